//! What the authentication of a token tells a trace.

use super::issuer::IssuerIdentity;
use super::jwt::Jwt;
use super::keys::Jwk;
use crate::denial::Denial;
use std::rc::Rc;

/// Learns each step of a token's authentication that the filter takes. A step that it does not reach is not told. The module
/// uses `()`, which costs nothing.
pub trait TokenTrace {
    /// The token was parsed.
    fn parsed(&self, _jwt: &Result<Jwt<'_>, Denial>) {}

    /// The issuers that may have issued the token, as indexes in the configuration.
    fn issuers(&self, _issuers: Result<&[usize], &Denial>) {}

    /// The keys of an issuer that may have signed the token.
    fn keys(&self, _issuer: &IssuerIdentity, _keys: &[Rc<Jwk>]) {}

    /// The signature was verified with a key of an issuer.
    fn signature(&self, _issuer: &IssuerIdentity, _key: &Jwk, _outcome: &Result<(), Denial>) {}

    /// A value of the token was compared.
    fn checked<T>(&self, _check: Check, _outcome: &Result<T, Denial>) {}
}

/// A comparison of a token with the configuration or the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Whether `alg` is supported.
    Algorithm,
    /// `exp`, `nbf`, `iat`, and the lifetime.
    Times,
    /// `aud`.
    Audience,
    /// `sub` and `kubernetes.io`.
    Account,
    /// The mTLS peer.
    Peer,
}

impl TokenTrace for () {}
