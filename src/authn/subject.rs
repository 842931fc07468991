//! The service account that a token's claims name.

use super::claims::Claims;
use super::issuer::IssuerIdentity;
use crate::account_name::split_username;
use crate::denial::{Denial, Reason};

/// The service account that a token's claims name. It is not verified by this.
#[derive(Debug)]
pub struct NamedAccount<'c> {
    /// Its namespace.
    pub namespace: &'c str,
    /// Its name.
    pub name: &'c str,
}

// === impl NamedAccount ===

impl<'c> NamedAccount<'c> {
    /// The subject and the claim `kubernetes.io` must name the same account: the API server uses the claim, most other
    /// software the subject, and a token in which they differ would be two callers.
    pub fn of_claims(claims: &'c Claims, issuer: &IssuerIdentity) -> Result<Self, Denial> {
        let (namespace, name) = subject(claims)?;
        let refuse = |what: &'static str| Reason::NotAServiceAccount.because(what);
        if !claims.in_kubernetes() {
            return Err(refuse("no kubernetes.io"));
        }
        let account = claims.service_account();
        let account = account.ok_or_else(|| refuse("no kubernetes.io.serviceaccount"))?;
        if claims.namespace() != Some(namespace) || account.name != name {
            return Err(refuse("sub and kubernetes.io name different service accounts"));
        }
        if issuer.require_pod && claims.pod().is_none() {
            return Err(Reason::NotBound.because("the token is not bound to a pod"));
        }
        if account.uid.is_none_or(str::is_empty) {
            return Err(refuse("no kubernetes.io.serviceaccount.uid"));
        }
        Ok(Self { namespace, name })
    }
}

fn subject(claims: &Claims) -> Result<(&str, &str), Denial> {
    let subject = claims.subject().ok_or_else(|| Reason::MissingClaim.because("no sub"))?;
    split_username(subject)
        .ok_or_else(|| Reason::NotAServiceAccount.because(format!("sub {subject:?}")))
}
