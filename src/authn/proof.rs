//! The two proofs of a caller's identity.

use super::claims::Claims;
use super::token_review::AcceptedReview;
use super::verify::VerifiedToken;
use std::rc::Rc;

/// The proof of a [`super::ServiceAccount`]. Only verification and an accepted review make one.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The token was verified.
    Signature(Box<VerifiedToken>),
    /// The API server accepted the token in a TokenReview.
    Review(Rc<AcceptedReview>),
}

// === impl Proof ===

impl Proof {
    /// The token's claims.
    pub fn claims(&self) -> Rc<Claims> {
        match self {
            Self::Signature(token) => Rc::clone(token.claims()),
            Self::Review(review) => Rc::clone(review.claims()),
        }
    }
}
