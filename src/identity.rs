//! The authenticated caller, with the values of identity headers and filter state.

use crate::authn::{Proof, ServiceAccount};
use std::rc::Rc;

/// A header that the filter writes (`identityHeaders`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeader {
    /// Its name, lower-case.
    pub name: Rc<str>,
    /// Its value.
    pub field: IdentityField,
}

/// A field of the caller's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityField {
    /// `system:serviceaccount:<namespace>:<name>`.
    Subject,
    /// The service account's namespace.
    Namespace,
    /// The service account's name.
    Name,
    /// The service account's uid.
    Uid,
    /// The name of the pod that the token is bound to.
    PodName,
    /// That pod's uid.
    PodUid,
    /// The name of the node.
    NodeName,
    /// The node's uid, if the token has it.
    NodeUid,
    /// The token's `jti`.
    TokenId,
    /// The configured audience that the token is meant for.
    Audience,
    /// The configuration's name of the issuer.
    IssuerName,
    /// The token's claims, base64url without padding.
    Payload,
    /// `signature` or `review`: how the caller was authenticated.
    ProvenBy,
}

/// What the upstream, access logs and other filters learn about a caller.
#[derive(Debug)]
pub struct IdentityPlan {
    /// `identityHeaders`.
    pub headers: Vec<IdentityHeader>,
    /// `filterState`, with the name of each property that is passed to the host.
    pub filter_state: Vec<(Rc<str>, IdentityField)>,
}

/// An authenticated caller with its header values precomputed, because computing them costs more than looking up the
/// token.
#[derive(Debug)]
pub struct Caller {
    account: ServiceAccount,
    headers: Vec<HeaderValue>,
    filter_state: Vec<HeaderValue>,
}

/// A name and a value.
pub type HeaderValue = (Rc<str>, Rc<[u8]>);

// === impl Caller ===

impl Caller {
    /// Computes the configured values. `payload` is as in [`IdentityField::of`].
    pub fn new(account: ServiceAccount, payload: Option<&str>, plan: &IdentityPlan) -> Self {
        let value = |field: IdentityField| Some(field.of(&account, payload)?.as_bytes().into());
        let headers = plan.headers.iter();
        let headers =
            headers.filter_map(|header| Some((Rc::clone(&header.name), value(header.field)?)));
        let state = plan.filter_state.iter();
        let state = state.filter_map(|(name, field)| Some((Rc::clone(name), value(*field)?)));
        let (headers, filter_state) = (headers.collect(), state.collect());
        Self { account, headers, filter_state }
    }

    /// The service account.
    pub fn account(&self) -> &ServiceAccount {
        &self.account
    }

    /// The identity headers (`identityHeaders`).
    pub fn headers(&self) -> &[HeaderValue] {
        &self.headers
    }

    /// The filter state, for access logs and other filters (`filterState`).
    pub fn filter_state(&self) -> &[HeaderValue] {
        &self.filter_state
    }
}

impl std::ops::Deref for Caller {
    type Target = ServiceAccount;

    fn deref(&self) -> &ServiceAccount {
        &self.account
    }
}

// === impl IdentityField ===

impl IdentityField {
    /// Every field with its name in the configuration.
    pub const NAMES: [(&'static str, Self); 13] = [
        ("subject", Self::Subject),
        ("namespace", Self::Namespace),
        ("name", Self::Name),
        ("uid", Self::Uid),
        ("pod.name", Self::PodName),
        ("pod.uid", Self::PodUid),
        ("node.name", Self::NodeName),
        ("node.uid", Self::NodeUid),
        ("jti", Self::TokenId),
        ("audience", Self::Audience),
        ("issuer.name", Self::IssuerName),
        ("payload", Self::Payload),
        ("provenBy", Self::ProvenBy),
    ];

    /// By its name in the configuration.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// The value; `None` if the token lacks it, or if no header can hold it: the upstream then receives no header rather than
    /// a changed value. `payload` is the second part of a verified token.
    pub fn of<'a>(self, account: &'a ServiceAccount, payload: Option<&'a str>) -> Option<&'a str> {
        let value = match self {
            Self::Subject => Some(account.subject()),
            Self::Namespace => Some(account.namespace()),
            Self::Name => Some(account.name()),
            Self::Uid => account.uid(),
            Self::PodName => account.pod().map(|pod| pod.name),
            Self::PodUid => account.pod().and_then(|pod| pod.uid),
            Self::NodeName => account.node().map(|node| node.name),
            Self::NodeUid => account.node().and_then(|node| node.uid),
            Self::TokenId => account.token_id(),
            Self::Audience => Some(account.audience()),
            Self::IssuerName => Some(&**account.issuer_name()),
            // A review proves the user that the API server named, and none of the token's claims.
            Self::Payload => payload.filter(|_| matches!(account.proof(), Proof::Signature(_))),
            Self::ProvenBy => Some(match account.proof() {
                Proof::Signature(_) => "signature",
                Proof::Review(_) => "review",
            }),
        };
        value.filter(|value| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()))
    }
}
