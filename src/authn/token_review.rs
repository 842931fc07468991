//! What the API server says of a token: the body of a TokenReview, and what of its answer is believed
//! (kubernetes/api:authentication/v1/types.go).
//!
//! `authenticated: true` alone proves nothing. A token that begins with white space is answered
//! `true` for `system:anonymous`, with the audiences echoed; a server that does not know of audiences
//! answers `true` and echoes none.

use super::claims::ObjectRef;
use super::issuer::IssuerIdentity;
use super::jwt::Jwt;
use super::service_account::split_username;
use crate::verdict::{Denial, Reason};
use serde::Deserialize;
use std::collections::HashMap;
use std::rc::Rc;

/// Where reviews are sent.
pub const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// A review in which the API server vouched for a service account. Only [`judge`] makes one.
#[derive(Clone, Debug)]
pub struct AcceptedReview {
    issuer: Rc<IssuerIdentity>,
    user: User,
    audience: String,
}

#[derive(Deserialize)]
struct TokenReview {
    status: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    authenticated: bool,
    #[serde(default)]
    user: User,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    error: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    extra: HashMap<String, Vec<String>>,
}

/// The body that asks for a review. Only a token that was parsed strictly may be sent.
pub fn request_body(jwt: &Jwt<'_>, audiences: &[String]) -> Vec<u8> {
    serde_json::json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": jwt.text, "audiences": audiences },
    })
    .to_string()
    .into_bytes()
}

/// Reads the answer: 200 and 201 are answers, everything else is our failure and not the caller's.
pub fn judge(
    status: u16,
    body: &[u8],
    issuer: &Rc<IssuerIdentity>,
) -> Result<AcceptedReview, Denial> {
    let unavailable = |what: String| Reason::ReviewUnavailable.because(what);
    if !matches!(status, 200 | 201) {
        return Err(unavailable(format!("the API server answered {status}")));
    }
    let TokenReview { status } = serde_json::from_slice(body)
        .map_err(|error| unavailable(format!("not a TokenReview: {error}")))?;
    if !status.authenticated {
        return Err(Reason::Revoked.because(status.error));
    }
    let mismatch = |what: String| Reason::ReviewMismatch.because(what);
    if split_username(&status.user.username).is_none() {
        return Err(mismatch(format!("reviewed as {:?}", status.user.username)));
    }
    let audience = issuer.audiences.iter().find(|wanted| status.audiences.contains(wanted));
    let audience = audience
        .ok_or_else(|| mismatch(format!("reviewed for audiences {:?}", status.audiences)))?
        .clone();
    Ok(AcceptedReview { issuer: Rc::clone(issuer), user: status.user, audience })
}

// === impl AcceptedReview ===

impl AcceptedReview {
    /// The issuer of the configuration whose API server was asked.
    pub fn issuer(&self) -> &Rc<IssuerIdentity> {
        &self.issuer
    }

    /// The service account's namespace.
    pub fn namespace(&self) -> &str {
        split_username(&self.user.username).map_or("", |(namespace, _)| namespace)
    }

    /// The service account's name.
    pub fn name(&self) -> &str {
        split_username(&self.user.username).map_or("", |(_, name)| name)
    }

    /// The service account's uid.
    pub fn uid(&self) -> &str {
        &self.user.uid
    }

    /// The configured audience that the API server confirmed.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The pod that the token is bound to.
    pub fn pod(&self) -> Option<ObjectRef> {
        self.object("pod")
    }

    /// The node that the pod runs on.
    pub fn node(&self) -> Option<ObjectRef> {
        self.object("node")
    }

    /// The token's `jti`.
    pub fn token_id(&self) -> Option<&str> {
        self.extra("credential-id")?.strip_prefix("JTI=")
    }

    fn object(&self, kind: &str) -> Option<ObjectRef> {
        let name = self.extra(&format!("{kind}-name"))?.to_owned();
        Some(ObjectRef { name, uid: self.extra(&format!("{kind}-uid")).map(str::to_owned) })
    }

    fn extra(&self, key: &str) -> Option<&str> {
        let values = self.user.extra.get(&format!("authentication.kubernetes.io/{key}"))?;
        values.first().map(String::as_str)
    }
}
