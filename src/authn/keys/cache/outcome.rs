//! The results of key cache operations.

use crate::authn::keys::fetch::FetchFailure;
use crate::authn::keys::jwk::Jwk;
use std::rc::Rc;
use std::time::Duration;

/// The result of a key lookup.
#[derive(Debug)]
pub enum Lookup {
    /// The keys that may have signed the token; never empty.
    Found(Vec<Rc<Jwk>>),
    /// A fetch is running or due; the request is paused until it ends.
    Hold(Cause),
    /// The issuer does not publish this key.
    Unknown,
    /// The keys cannot be fetched now. The caller may retry after this time.
    Unavailable(Duration),
}

/// Why a request is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The cache has no keys.
    NoKeys,
    /// The cache has keys, but not with this key ID.
    UnknownKid,
}

/// The effect of a response on the cache.
#[derive(Clone, Debug)]
pub enum Settled {
    /// The fetch continues with another call.
    Continues,
    /// The fetch succeeded.
    Renewed {
        /// The number of supported keys.
        keys: usize,
        /// The number of skipped keys.
        skipped: usize,
        /// Why keys were skipped.
        remarks: String,
    },
    /// The fetch failed. Cached keys remain valid.
    Failed(FetchFailure),
}
