//! The two ways in which a caller can have been proven.

use super::token_review::AcceptedReview;
use super::verify::VerifiedToken;

/// Why a [`super::ServiceAccount`] is believed. Neither kind can be made outside the module that earns it.
#[derive(Clone, Debug)]
pub enum Proof {
    /// The token's signature is the issuer's, and its claims hold.
    Signature(Box<VerifiedToken>),
    /// The API server accepted the token in a TokenReview.
    Review(Box<AcceptedReview>),
}
