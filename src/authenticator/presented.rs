//! The token that a request presents, and the review that it waited for.

use super::reviews::Token;
use crate::authn::bearer::BearerToken;
use crate::authn::token_review::{AcceptedReview, NotAccepted};
use crate::connection::Connection;
use crate::denial::Denial;
use crate::time::UnixTime;
use std::rc::Rc;

/// A token as a request presents it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a, T> {
    /// The token.
    pub token: BearerToken<'a>,
    /// When the request arrived.
    pub arrived: UnixTime,
    /// The attributes of the connection.
    pub connection: &'a Connection,
    /// The review that the request waited for, if it has ended.
    pub reviewed: Option<&'a Reviewed>,
    /// Learns each step.
    pub trace: &'a T,
}

/// A review that has ended, for the requests that waited for it, whether or not it is cached.
#[derive(Debug)]
pub struct Reviewed {
    pub(super) issuer: usize,
    pub(super) token: Token,
    pub(super) outcome: Result<Rc<AcceptedReview>, NotAccepted>,
}

// === impl Reviewed ===

impl Reviewed {
    /// The API server's answer.
    pub fn outcome(&self) -> Result<&AcceptedReview, &Denial> {
        self.outcome.as_deref().map_err(NotAccepted::denial)
    }

    /// Whether it is about this token of this issuer.
    pub(super) fn is_of(&self, issuer: usize, token: &[u8]) -> bool {
        self.issuer == issuer && *self.token.0 == *token
    }
}
