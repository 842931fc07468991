//! HTTP calls as plain data: what the core wants sent, and what came back.

use std::fmt;
use std::time::Duration;

/// Names one call among those under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CalloutId(pub u32);

/// A request that the shell is to send to an Envoy cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// Comes back with the reply.
    pub id: CalloutId,
    /// The name of the Envoy cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`, with its query.
    pub path: String,
    /// `accept`: the API server answers 406 to a JWKS request that takes `application/json` alone.
    pub accept: &'static str,
    /// After this long Envoy answers 504 itself. Never zero: that would mean forever.
    pub timeout: Duration,
}

/// What became of a [`Callout`].
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer, from the server or from Envoy itself (503 and 504).
    Response {
        /// `:status`.
        status: u16,
        /// `cache-control`, where there is one.
        cache_control: Option<String>,
        /// At most [`MAX_BODY_BYTES`]; `None` when there was more.
        body: Option<Vec<u8>>,
    },
    /// The connection broke before an answer.
    Reset,
    /// Envoy does not know the cluster (yet).
    UnknownCluster,
    /// Envoy would not send the call.
    NotSent,
}

/// The largest answer that is read. A JWKS of 100 RSA 4096 keys has 90 KB; beyond that somebody is
/// trying to fill the VM's memory.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

// === impl Reply ===

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response { status, body, .. } => {
                let length = body.as_ref().map(Vec::len);
                write!(f, "Response {{ status: {status}, body bytes: {length:?} }}")
            }
            Self::Reset => f.write_str("Reset"),
            Self::UnknownCluster => f.write_str("UnknownCluster"),
            Self::NotSent => f.write_str("NotSent"),
        }
    }
}
