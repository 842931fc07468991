//! The two ways in which a caller can have been proven.

use super::claims::Claims;
use super::token_review::AcceptedReview;
use super::verify::VerifiedToken;
use std::rc::Rc;

/// Why a [`super::ServiceAccount`] is believed. Neither kind can be made outside the module that earns it.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The token's signature is the issuer's, and its claims hold.
    Signature(Box<VerifiedToken>),
    /// The API server accepted the token in a TokenReview.
    Review(Rc<AcceptedReview>),
}

// === impl Proof ===

impl Proof {
    /// What the token says.
    pub fn claims(&self) -> Rc<Claims> {
        match self {
            Self::Signature(token) => Rc::clone(token.claims()),
            Self::Review(review) => Rc::clone(review.claims()),
        }
    }
}
