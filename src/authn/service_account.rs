//! The service account of an authenticated caller.

use super::claims::ObjectRef;
use super::issuer::IssuerIdentity;
use super::proof::Proof;
use super::subject::NamedAccount;
use crate::account_name::PREFIX;
use crate::denial::Denial;
use std::cell::OnceCell;
use std::rc::Rc;

/// An authenticated service account. It can only be made from a [`Proof`], and its fields are read from the proof, except
/// those that rules compare for each request.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    namespace: Box<str>,
    name: Box<str>,
    subject: Box<str>,
    proof: Proof,
    pub(super) user_digest: OnceCell<[u8; 32]>,
}

// === impl ServiceAccount ===

impl ServiceAccount {
    /// The service account of a proof.
    pub fn from_proof(proof: Proof) -> Result<Self, Denial> {
        let (namespace, name) = match &proof {
            Proof::Signature(token) => {
                let NamedAccount { namespace, name } =
                    NamedAccount::of_claims(token.claims(), token.issuer())?;
                (namespace, name)
            }
            // It was checked when the review was accepted.
            Proof::Review(review) => (review.user().namespace(), review.user().name()),
        };
        // Both proofs require that `sub` is exactly this.
        let subject = [PREFIX, namespace, ":", name].concat().into();
        let (namespace, name) = (namespace.into(), name.into());
        Ok(Self { namespace, name, subject, proof, user_digest: OnceCell::new() })
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

    /// The settings of the issuer.
    pub fn issuer(&self) -> &Rc<IssuerIdentity> {
        match &self.proof {
            Proof::Signature(token) => token.issuer(),
            Proof::Review(review) => review.user().issuer(),
        }
    }

    /// The configuration's name of the issuer.
    pub fn issuer_name(&self) -> &Rc<str> {
        &self.issuer().name
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
