//! The verdict on a request, and the response to a denied one.

mod answer;

pub use answer::{Answer, Answers};

use crate::authz::{HeaderEdits, Permit, ShadowPermit};
use crate::denial::Denial;

/// The verdict on a request.
///
/// `Allow` needs a [`Permit`], and `Shadow` a [`ShadowPermit`]. Only [`crate::authz::Policy`] makes them.
#[derive(Debug)]
pub enum Verdict {
    /// The request is forwarded, with these edits of its headers.
    Allow(Permit, HeaderEdits),
    /// The filter responds to the request. The upstream never receives it.
    Deny(Denial),
    /// Shadow mode: the request would have been denied, and is forwarded.
    Shadow(ShadowPermit, HeaderEdits),
}
