//! The service account of an authenticated caller. Names are checked as Kubernetes checks them.

use super::claims::{Claims, ObjectRef};
use super::issuer::IssuerIdentity;
use super::proof::Proof;
use crate::verdict::{Denial, Reason};
use std::rc::Rc;

/// An authenticated service account. It can only be made from a [`Proof`], and its fields are read from the proof, except
/// those that rules compare for each request.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    namespace: Box<str>,
    name: Box<str>,
    subject: Box<str>,
    proof: Proof,
}

/// The service account that a token's claims name. It is not verified by this.
#[derive(Debug)]
pub struct Named<'c> {
    namespace: &'c str,
    name: &'c str,
}

// === impl ServiceAccount ===

impl ServiceAccount {
    /// The service account of a proof.
    pub fn from_proof(proof: Proof) -> Result<Self, Denial> {
        let (namespace, name) = match &proof {
            Proof::Signature(token) => {
                let Named { namespace, name } = Named::check(token.claims(), token.issuer())?;
                (namespace, name)
            }
            // It was checked when the review was accepted.
            Proof::Review(review) => (review.user().namespace(), review.user().name()),
        };
        // Both proofs require that `sub` is exactly this.
        let subject = [PREFIX, namespace, ":", name].concat().into();
        Ok(Self { namespace: namespace.into(), name: name.into(), subject, proof })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name within the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The uid of the ServiceAccount object: a recreated account of the same name has another.
    pub fn uid(&self) -> Option<&str> {
        match &self.proof {
            Proof::Signature(token) => token.claims().service_account()?.uid,
            Proof::Review(review) => Some(review.user().uid()),
        }
    }

    /// `system:serviceaccount:<namespace>:<name>`, its username at the API server.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The pod that the token is bound to.
    pub fn pod(&self) -> Option<ObjectRef<'_>> {
        match &self.proof {
            Proof::Signature(token) => token.claims().pod(),
            Proof::Review(review) => review.user().pod(),
        }
    }

    /// The node that the pod runs on, or that the token is bound to.
    pub fn node(&self) -> Option<ObjectRef<'_>> {
        match &self.proof {
            Proof::Signature(token) => token.claims().node(),
            Proof::Review(review) => review.user().node(),
        }
    }

    /// The configuration's name of the issuer.
    pub fn issuer_name(&self) -> &Rc<str> {
        match &self.proof {
            Proof::Signature(token) => &token.issuer().name,
            Proof::Review(review) => &review.user().issuer().name,
        }
    }

    /// The first configured audience that the token is meant for.
    pub fn audience(&self) -> &str {
        match &self.proof {
            Proof::Signature(token) => token.audience(),
            Proof::Review(review) => review.user().audience(),
        }
    }

    /// Whether the token is meant for this audience, and the issuer's configuration accepts it.
    pub fn has_audience(&self, audience: &str) -> bool {
        match &self.proof {
            Proof::Signature(token) => token.has_audience(audience),
            Proof::Review(review) => review.user().has_audience(audience),
        }
    }

    /// The token's own id.
    pub fn token_id(&self) -> Option<&str> {
        match &self.proof {
            Proof::Signature(token) => token.claims().token_id(),
            Proof::Review(review) => review.user().token_id(),
        }
    }

    /// Its proof.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

// === impl Named ===

impl<'c> Named<'c> {
    /// The subject and the claim `kubernetes.io` must name the same account: the API server uses the claim, most other
    /// software the subject, and a token in which they differ would be two callers.
    pub fn check(claims: &'c Claims, issuer: &IssuerIdentity) -> Result<Self, Denial> {
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

/// Namespace and name of `system:serviceaccount:<namespace>:<name>`, as strict as
/// kubernetes/apiserver:pkg/authentication/serviceaccount/util.go.
pub fn split_username(username: &str) -> Option<(&str, &str)> {
    let (namespace, name) = username.strip_prefix(PREFIX)?.split_once(':')?;
    (is_dns_label(namespace) && is_dns_subdomain(name)).then_some((namespace, name))
}

/// RFC 1123: what a namespace may be called.
pub fn is_dns_label(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(|b| is_lower_alphanumeric(*b));
    text.len() <= 63
        && alphanumeric(text.as_bytes().first())
        && alphanumeric(text.as_bytes().last())
        && text.bytes().all(|byte| is_lower_alphanumeric(byte) || byte == b'-')
}

/// RFC 1123 labels with dots between them: what a service account may be called. Kubernetes limits the
/// whole to 253 characters, and not its labels.
pub fn is_dns_subdomain(text: &str) -> bool {
    let label = |part: &str| {
        let (first, last) = (part.bytes().next(), part.bytes().next_back());
        first.is_some_and(is_lower_alphanumeric)
            && last.is_some_and(is_lower_alphanumeric)
            && part.bytes().all(|byte| is_lower_alphanumeric(byte) || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

const PREFIX: &str = "system:serviceaccount:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_is_exactly_a_service_accounts() {
        let longest = format!("system:serviceaccount:{}:{}", "n".repeat(63), "a".repeat(253));
        assert!(split_username(&longest).is_some());
        for (username, expected) in [
            ("system:serviceaccount:demo:app", Some(("demo", "app"))),
            ("system:serviceaccount:demo:app.v1-2", Some(("demo", "app.v1-2"))),
        ] {
            assert_eq!(split_username(username), expected);
        }
    }

    #[test]
    fn what_only_looks_like_a_service_account_is_none() {
        for username in [
            "demo:app",
            "system:serviceaccount:demo",
            "system:serviceaccount::app",
            "system:serviceaccount:demo:",
            "system:serviceaccount:demo:app:x",
            "system:serviceaccount:de.mo:app",
            "system:serviceaccount:Demo:app",
            "system:serviceaccount:demo:App",
            "system:serviceaccount:demo:-app",
            "system:serviceaccount:demo:app.",
            "system:serviceaccount:demo:a..b",
            "system:serviceaccount:d\u{435}mo:app",
            "system:serviceaccount:demo:app ",
            "System:serviceaccount:demo:app",
            " system:serviceaccount:demo:app",
            "system:serviceaccounts:demo:app",
            "system:anonymous",
        ] {
            assert_eq!(split_username(username), None, "{username}");
        }
        let too_long = format!("system:serviceaccount:{}:app", "n".repeat(64));
        assert_eq!(split_username(&too_long), None);
    }
}
