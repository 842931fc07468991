//! TokenReview: the request body, and the evaluation of the response (kubernetes/api:authentication/v1/types.go).
//!
//! `authenticated: true` alone proves nothing. For a token that begins with white space, the API server answers `true` for
//! `system:anonymous` with the audiences echoed; a server that does not support audiences answers `true` and echoes none.

mod answer;
mod rejection;

pub use answer::ReviewedUser;
pub(crate) use answer::refused;

use super::claims::Claims;
use super::issuer::{IssuerIdentity, ReviewPlan};
use crate::callout::{CallFailure, Callout, CalloutId, Reply};
use crate::denial::{Denial, Reason};
use std::rc::Rc;

/// Where reviews are sent.
pub const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

const API_VERSION: &str = "authentication.k8s.io/v1";
const KIND: &str = "TokenReview";

/// Why a review gave no answer about the token.
///
/// Only an outage may open `onOutage: "acceptVerified"`. A caller can create a shortage, and a misconfiguration
/// would otherwise switch reviews off without anyone noticing. docs/token-review.md has the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The API server cannot be reached: no connection, no answer in time, or a status from 500 to 599.
    Outage,
    /// The API server (429) or Envoy (an open circuit breaker, a call that was not sent) has no room for the call, or the API
    /// server, which answers other calls, is slow.
    Shortage,
    /// Something answers that does not review tokens for this proxy: 401, 403, 404, another status, no TokenReview, or no
    /// such cluster.
    Misconfiguration,
}

/// A review that did not accept the token.
#[derive(Clone, Debug)]
pub enum NotAccepted {
    /// The API server answered: it rejects the token, or its answer contradicts the token.
    Rejected(Denial),
    /// There is no answer about the token; the denial is [`Reason::ReviewUnavailable`].
    Unavailable(Cause, Denial),
}

/// A review in which the API server confirmed the service account that the token names. Only `ReviewedUser::named_by` makes
/// one.
#[derive(Clone, Debug)]
pub struct AcceptedReview {
    user: ReviewedUser,
    claims: Rc<Claims>,
}

/// The body of a review of a token that was parsed strictly. The API server accepts white space and stray bits, which would
/// make it another token.
pub fn request_body(token: &str, audiences: &[Rc<str>]) -> Vec<u8> {
    let audiences: Vec<_> = audiences.iter().map(|audience| &**audience).collect();
    serde_json::json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "spec": { "token": token, "audiences": audiences },
    })
    .to_string()
    .into_bytes()
}

// === impl ReviewPlan ===

impl ReviewPlan {
    /// The call that requests a review of `token`.
    pub fn callout(&self, id: CalloutId, token: &str, audiences: &[Rc<str>]) -> Callout {
        Callout {
            id,
            cluster: self.cluster.clone(),
            authority: self.authority.clone(),
            path: format!("{}{PATH}", self.path_prefix),
            accept: "application/json",
            body: Some(request_body(token, audiences)),
            timeout: self.timeout,
        }
    }

    /// Reads the reply to that call, for a token with these claims.
    pub fn read(
        &self,
        reply: Reply,
        issuer: &Rc<IssuerIdentity>,
        claims: &Rc<Claims>,
    ) -> Result<AcceptedReview, NotAccepted> {
        let unavailable =
            |failure: CallFailure| NotAccepted::unavailable((&failure).into(), failure);
        let answer = reply.answer(&self.cluster).map_err(unavailable)?;
        let user = answer::read(answer.status, &answer.body, issuer)?;
        user.named_by(claims).map_err(NotAccepted::Rejected)
    }
}

// === impl NotAccepted ===

impl NotAccepted {
    fn unavailable(cause: Cause, why: impl ToString) -> Self {
        Self::Unavailable(cause, Reason::ReviewUnavailable.because(why.to_string()))
    }

    /// The denial for a request that waited for this review.
    pub fn denial(&self) -> &Denial {
        match self {
            Self::Rejected(denial) | Self::Unavailable(_, denial) => denial,
        }
    }
}

// === impl Cause ===

impl From<&CallFailure> for Cause {
    fn from(failure: &CallFailure) -> Self {
        match failure {
            CallFailure::NoAnswer(_) => Self::Outage,
            // Envoy does not say why it did not send a call. An open circuit breaker is one of the reasons.
            CallFailure::NotSent | CallFailure::Overflow => Self::Shortage,
            CallFailure::UnknownCluster(_) | CallFailure::TooLarge => Self::Misconfiguration,
        }
    }
}

impl Cause {
    /// The cause of an answer whose status is not one of success.
    fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Shortage,
            500..=599 => Self::Outage,
            _ => Self::Misconfiguration,
        }
    }
}

// === impl AcceptedReview ===

impl AcceptedReview {
    /// The user that the API server confirmed.
    pub fn user(&self) -> &ReviewedUser {
        &self.user
    }

    /// The token's claims, which the API server has seen, too.
    pub fn claims(&self) -> &Rc<Claims> {
        &self.claims
    }
}
