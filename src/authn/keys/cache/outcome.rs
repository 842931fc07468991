//! What a key cache answers: about a token's key, and about a reply.

use crate::authn::keys::fetch::FetchFailure;
use crate::authn::keys::jwk::Jwk;
use std::rc::Rc;
use std::time::Duration;

/// What the cache says of a token's key.
#[derive(Debug)]
pub enum Lookup {
    /// One of these may have signed it; never empty.
    Found(Vec<Rc<Jwk>>),
    /// A fetch is under way or due, and its result decides.
    Hold(Cause),
    /// The issuer does not publish such a key.
    Unknown,
    /// Nobody can say now; after this long it is worth asking again.
    Unavailable(Duration),
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// There are no keys yet.
    NoKeys,
    /// There are keys, but not with this kid.
    UnknownKid,
}

/// What a reply did.
#[derive(Clone, Debug)]
pub enum Settled {
    /// Nothing for anyone who waits: another call follows.
    Continues,
    /// There are fresh keys: so many, and so many skipped.
    Renewed {
        /// Keys that can be used.
        keys: usize,
        /// Keys of kinds that we do not take.
        skipped: usize,
    },
    /// The fetch failed; whatever keys there were are still there.
    Failed(FetchFailure),
}
