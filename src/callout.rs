//! HTTP calls to clusters and their replies, as plain data.

use crate::printable::printable;
use std::fmt;
use std::time::Duration;

/// Identifies a call in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CalloutId(pub u32);

/// A request to an Envoy cluster.
#[derive(Clone, PartialEq, Eq)]
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
    /// A JSON document to POST; without one it is a GET.
    pub body: Option<Vec<u8>>,
    /// After this long Envoy answers 504 itself. Never zero: that would mean forever.
    pub timeout: Duration,
}

/// The outcome of a [`Callout`].
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// An answer, from the server or from Envoy itself (503 and 504).
    Response {
        /// `:status`.
        status: u16,
        /// `cache-control`, where there is one.
        cache_control: Option<String>,
        /// `retry-after`, where there is one.
        retry_after: Option<String>,
        /// At most [`MAX_BODY_BYTES`]; `None` when there was more.
        body: Option<Vec<u8>>,
    },
    /// The connection broke before an answer.
    Reset,
    /// Envoy does not know the cluster (yet).
    UnknownCluster,
    /// Envoy did not send the call.
    NotSent,
}

/// Why the server did not answer a [`Callout`]. The text says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// Envoy has no such cluster.
    UnknownCluster(String),
    /// Envoy would not send the call.
    NotSent,
    /// A proxy before the server dropped the call, because a circuit breaker is open.
    Overflow,
    /// The connection could not be made, broke, or took too long. Envoy's text.
    NoAnswer(String),
    /// More than [`MAX_BODY_BYTES`].
    TooLarge,
}

/// A response of the server, or of a proxy before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// `:status`.
    pub status: u16,
    /// `cache-control`, if there is one.
    pub cache_control: Option<String>,
    retry_after: Option<String>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// The largest response that is read. A JWKS of 100 RSA 4096 keys has 90 KB. A larger response could fill the VM's memory.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

// === impl Callout ===

/// The body may hold a token.
impl fmt::Debug for Callout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let (cluster, authority, path) = (&self.cluster, &self.authority, &self.path);
        write!(f, "Callout {{ {:?}, {method} {path} of {authority} by {cluster} }}", self.id)
    }
}

// === impl Reply ===

impl Reply {
    /// The response, unless it is Envoy's own, for a server that it cannot reach.
    pub fn answer(self, cluster: &str) -> Result<ServerAnswer, CallFailure> {
        match self {
            Self::Response { status: status @ (503 | 504), body: Some(body), .. }
                if is_of_envoy(&body) =>
            {
                Err(CallFailure::of_envoy(status, &body))
            }
            Self::Response { status, cache_control, retry_after, body } => {
                let body = body.ok_or(CallFailure::TooLarge)?;
                Ok(ServerAnswer { status, cache_control, retry_after, body })
            }
            Self::Reset => Err(CallFailure::NoAnswer("connection reset".to_owned())),
            Self::UnknownCluster => Err(CallFailure::UnknownCluster(cluster.to_owned())),
            Self::NotSent => Err(CallFailure::NotSent),
        }
    }
}

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

// === impl ServerAnswer ===

impl ServerAnswer {
    /// `Retry-After` in seconds (RFC 9110 section 10.2.3), at most [`MAX_RETRY_AFTER`]. The API server sends no dates.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_deref()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
    }
}

// === impl CallFailure ===

/// Whether Envoy wrote this body of a 503 or 504 itself: it begins with one of Envoy's texts. An Envoy between this one
/// and the server has the same texts, and the same reason.
fn is_of_envoy(body: &[u8]) -> bool {
    ENVOY_TEXTS.iter().any(|text| body.starts_with(text.as_bytes()))
}

impl CallFailure {
    fn of_envoy(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        // "reset reason: overflow" is what an Envoy before the server says; this one does not send the call.
        if text.contains("overflow") {
            return Self::Overflow;
        }
        // Envoy 1.36 says what TLS had against the server; 1.40 says no more than this, whatever it was.
        let hint = match text.contains("TLS_error") || text.contains("remote connection failure") {
            true => ": is the cluster's address right, and are its trusted_ca and sni?",
            false => "",
        };
        let shown: String = text.chars().take(MAX_SHOWN).collect();
        Self::NoAnswer(format!("{status} {}{hint}", printable(&shown)))
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCluster(cluster) => write!(
                f,
                "Envoy has no such cluster (yet) as {cluster:?}: check the name under `clusters`"
            ),
            Self::NotSent => f.write_str(
                "Envoy did not send the call: the cluster has no healthy host (is its name resolved?), \
                 its credential_injector has no credential (is the token file there?), or its \
                 circuit breaker is open",
            ),
            Self::Overflow => f.write_str(
                "a proxy before the server dropped the call: its circuit breaker is open (503, overflow)",
            ),
            Self::NoAnswer(text) => write!(f, "no answer ({text})"),
            Self::TooLarge => write!(f, "the answer is larger than {MAX_BODY_BYTES} bytes"),
        }
    }
}

/// What a body is that is not the expected JSON, for the log.
pub fn what_is(body: &[u8]) -> Option<&'static str> {
    let status = b"\"kind\":\"Status\"";
    match body.trim_ascii() {
        [] => Some("the body is empty"),
        // As in Kubernetes' own clients, which use Go's encoding/json.
        [0xef, 0xbb, 0xbf, ..] => Some("the body begins with a byte order mark, remove it"),
        [0x1f, 0x8b, ..] => Some("the body is compressed (gzip), although it was not asked for"),
        [b'<', ..] => Some("the body is HTML or XML, for example of a login page"),
        json if json.windows(status.len()).any(|window| window == status) => {
            Some("the body is a Status object of Kubernetes")
        }
        _ => None,
    }
}

/// How long a server's `Retry-After` is followed at most.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// envoy:source/common/router/router.cc
const ENVOY_TEXTS: [&str; 3] =
    ["upstream connect error or disconnect", "upstream request timeout", "no healthy upstream"];

const MAX_SHOWN: usize = 200;
