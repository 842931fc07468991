//! The meaning of `status.error` in a TokenReview that does not accept the token.
//!
//! The texts are those of kubernetes:pkg/serviceaccount/{claims,legacy,jwt}.go and of go-jose, as kube-apiserver 1.36
//! sends them.

use super::{Cause, NotAccepted};
use crate::denial::Reason;

/// What the API server says of a token that it does not accept.
pub(super) fn of(error: String) -> NotAccepted {
    let has = |(text, _): &&(&str, Reason)| error.contains(text);
    if let Some((_, reason)) = REJECTIONS.iter().find(has) {
        return NotAccepted::Rejected(reason.because(error));
    }
    if UNDECIDED.iter().any(|text| error.contains(text)) {
        // A caller can cause a timeout at the API server with a flood of tokens, so it is not an outage.
        return NotAccepted::unavailable(Cause::Shortage, format!("undecided: {error}"));
    }
    NotAccepted::Rejected(Reason::Revoked.because(error))
}

/// A text, and the reason that it stands for. They come first: the claims of a genuine token, such as its audiences, are
/// part of some texts, and must not turn a rejection into an outage.
const REJECTIONS: [(&str, Reason); 9] = [
    ("is invalid for the target audiences", Reason::WrongAudience),
    ("token has expired", Reason::Expired),
    ("token is not valid yet", Reason::NotYetValid),
    ("token is issued in the future", Reason::NotYetValid),
    ("error in cryptographic primitive", Reason::BadSignature),
    ("invalid signature, no keys found", Reason::BadSignature),
    ("oken has been invalidated", Reason::Revoked),
    ("does not match", Reason::Revoked),
    ("not found", Reason::Revoked),
];

/// Parts of the errors of Go's net, net/http and context packages, of etcd and of the API machinery.
const UNDECIDED: [&str; 13] = [
    "context deadline exceeded",
    "context canceled",
    "timeout",
    "timed out",
    "etcdserver:",
    "dial tcp",
    "connection re", // refused, reset
    "unexpected EOF",
    "Too Many Requests",
    "too many requests",
    "Internal error occurred",
    "is currently unable to handle the request",
    "storage is (re)initializing",
];
