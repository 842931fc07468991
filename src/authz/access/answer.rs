//! Evaluates the API server's response to a SubjectAccessReview (kubernetes/api:authorization/v1/types.go).

use super::{API_VERSION, AccessQuestion, KIND};
use crate::authn::token_review::refused;
use crate::authn::{AccessPlan, check_members};
use crate::callout::{CalloutId, Reply};
use crate::denial::{Denial, Reason};
use crate::printable::printable;
use serde_json::Value;
use std::rc::Rc;

/// The API server's yes to one question. Only [`read`] makes one.
///
/// ```compile_fail
/// // Its field is private.
/// let grant = sa_authn::authz::access::AccessGrant { key: Vec::new().into() };
/// ```
///
/// ```compile_fail
/// let grant = sa_authn::authz::access::AccessGrant::default();
/// ```
///
/// ```
/// use sa_authn::authz::access::{AccessGrant, AccessQuestion};
/// fn answers(grant: &AccessGrant, question: &AccessQuestion<'_>) -> bool {
///     grant.is_for(question)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct AccessGrant {
    key: Rc<[u8]>,
}

/// The answer to an [`AccessQuestion`].
#[derive(Clone, Debug)]
pub enum AccessAnswer {
    /// The API server allows the access.
    Allowed(AccessGrant),
    /// The API server does not allow it; its reason, for the log.
    Denied(Rc<str>),
    /// There is no answer; the denial is [`Reason::AuthorizationUnavailable`] or [`Reason::Overloaded`].
    Unavailable(Denial),
    /// This call brings the answer.
    Pending(CalloutId),
}

struct Status {
    allowed: bool,
    denied: bool,
    reason: String,
    error: String,
}

/// Reads the reply to the review with this key.
pub fn read(reply: Reply, plan: &AccessPlan, key: &Rc<[u8]>) -> AccessAnswer {
    match status(reply, plan) {
        // A role that is missing can leave an evaluation error beside the yes of another (types.go, `evaluationError`).
        Ok(Status { allowed: true, denied: false, .. }) => {
            AccessAnswer::Allowed(AccessGrant { key: Rc::clone(key) })
        }
        Ok(Status { denied: true, reason, .. }) => {
            AccessAnswer::Denied(format!("denied explicitly: {}", shown(&reason)).into())
        }
        Ok(Status { error, .. }) if !error.is_empty() => {
            unavailable(format!("evaluationError: {}", shown(&error)))
        }
        Ok(Status { reason, .. }) => AccessAnswer::Denied(shown(&reason).into()),
        Err(why) => unavailable(why),
    }
}

fn unavailable(why: String) -> AccessAnswer {
    AccessAnswer::Unavailable(Reason::AuthorizationUnavailable.because(why))
}

fn status(reply: Reply, plan: &AccessPlan) -> Result<Status, String> {
    let answer = reply.answer(&plan.cluster).map_err(|failure| failure.to_string())?;
    if !matches!(answer.status, 200 | 201) {
        return Err(refused(answer.status, KIND));
    }
    let no_review = |why: String| format!("the answer is not a {KIND}: {why}");
    check_members(&answer.body).map_err(|error| no_review(error.to_string()))?;
    let review: Value =
        serde_json::from_slice(&answer.body).map_err(|error| no_review(error.to_string()))?;
    let text = |member: &str| review.get(member).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if (api_version, kind) != (API_VERSION, KIND) {
        return Err(no_review(format!("it is a {kind:?} of {api_version:?}")));
    }
    let status = review.get("status").and_then(Value::as_object);
    let status = status.ok_or_else(|| no_review("it has no status".to_owned()))?;
    let text =
        |member: &str| status.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let whether = |member: &str, absent: Option<bool>| {
        let value = status.get(member).map_or(absent, Value::as_bool);
        value.ok_or_else(|| no_review(format!("status.{member} is missing or not a boolean")))
    };
    Ok(Status {
        allowed: whether("allowed", None)?,
        denied: whether("denied", Some(false))?,
        reason: text("reason"),
        error: text("evaluationError"),
    })
}

/// Text of the API server, which can be long.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MAX_SHOWN).collect();
    printable(&cut).into_owned()
}

// === impl AccessGrant ===

impl AccessGrant {
    /// Whether it is the answer to this question.
    pub fn is_for(&self, question: &AccessQuestion<'_>) -> bool {
        *self.key == *question.key()
    }
}

const MAX_SHOWN: usize = 200;
