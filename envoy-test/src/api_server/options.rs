//! The options of an API server.

use crate::keys::KeyKind;
use crate::token::DEFAULT_ISSUER;

/// The relevant flags and RBAC settings of an API server.
#[derive(Clone, Debug)]
pub struct ApiServerOptions {
    /// `--service-account-issuer`: what it writes into tokens, and shows in discovery.
    pub issuer: String,
    /// Further issuers that it accepts, but never shows.
    pub accepted_issuers: Vec<String>,
    /// The kind of its first signing key.
    pub key_kind: KeyKind,
    /// `--api-audiences`; empty means the issuer.
    pub api_audiences: Vec<String>,
    /// `--service-account-jwks-uri`; None means its own address.
    pub jwks_uri: Option<String>,
    /// What precedes every path, as behind a Rancher server, or at an issuer with a path.
    pub path_prefix: String,
    /// The path of the JWKS after the prefix.
    pub jwks_path: String,
    /// `--anonymous-auth`.
    pub anonymous_auth: bool,
    /// Whether `system:service-account-issuer-discovery` is bound to all users.
    pub anonymous_discovery: bool,
}

/// What happens to the old keys after a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Old keys stay published after the new one.
    KeepOld,
    /// Old keys are removed at once.
    RemoveOld,
}

// === impl ApiServerOptions ===

impl ApiServerOptions {
    /// The defaults, with another issuer.
    pub fn with_issuer(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), ..Self::default() }
    }

    /// The audiences of tokens that the API server itself takes.
    pub(super) fn own_audiences(&self) -> Vec<String> {
        match self.api_audiences.as_slice() {
            [] => vec![self.issuer.clone()],
            audiences => audiences.to_vec(),
        }
    }

    pub(super) fn accepts_issuer(&self, issuer: &str) -> bool {
        self.issuer == issuer || self.accepted_issuers.iter().any(|known| known == issuer)
    }
}

impl Default for ApiServerOptions {
    fn default() -> Self {
        Self {
            issuer: DEFAULT_ISSUER.to_owned(),
            accepted_issuers: Vec::new(),
            key_kind: KeyKind::Rsa2048,
            api_audiences: Vec::new(),
            jwks_uri: None,
            path_prefix: String::new(),
            jwks_path: "/openid/v1/jwks".to_owned(),
            anonymous_auth: true,
            anonymous_discovery: false,
        }
    }
}
