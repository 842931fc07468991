//! Evaluates the API server's response to a SubjectAccessReview (kubernetes/api:authorization/v1/types.go).

use super::{API_VERSION, AccessQuestion, KIND};
use crate::authn::token_review::refused;
use crate::authn::{AccessPlan, Object, Strict};
use crate::callout::{CalloutId, Reply};
use crate::denial::{Denial, Reason};
use crate::printable::printable;
use serde::de::MapAccess;
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

#[derive(Default)]
struct AccessReview {
    api_version: String,
    kind: String,
    status: Option<Status>,
}

#[derive(Default)]
struct Status {
    allowed: Option<bool>,
    denied: bool,
    reason: String,
    error: String,
}

/// Reads the reply to the review with this key.
pub fn read(reply: Reply, plan: &AccessPlan, key: &Rc<[u8]>) -> AccessAnswer {
    match status(reply, plan) {
        // A role that is missing can leave an evaluation error beside the yes of another (types.go, `evaluationError`).
        Ok(Status { allowed: Some(true), denied: false, .. }) => {
            AccessAnswer::Allowed(AccessGrant { key: Rc::clone(key) })
        }
        Ok(Status { denied: true, reason, .. }) => {
            AccessAnswer::Denied(format!("denied explicitly: {}", shown(&reason)).into())
        }
        Ok(Status { error, .. }) if !error.is_empty() => {
            unavailable(format!("evaluationError: {}", shown(&error)))
        }
        Ok(Status { allowed: None, .. }) => {
            unavailable(format!("the answer is not a {KIND}: it has no status.allowed"))
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
    let Strict(AccessReview { api_version, kind, status }) =
        serde_json::from_slice(&answer.body).map_err(|error| no_review(error.to_string()))?;
    if (api_version.as_str(), kind.as_str()) != (API_VERSION, KIND) {
        return Err(no_review(format!("it is a {kind:?} of {api_version:?}")));
    }
    status.ok_or_else(|| no_review("it has no status".to_owned()))
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

// === impl Object: what is read of the answer ===

#[derive(Clone, Copy)]
enum Member {
    ApiVersion,
    Kind,
    Status,
}

impl<'de> Object<'de> for AccessReview {
    type Member = Member;
    const MEMBERS: &'static [(&'static str, Member)] =
        &[("apiVersion", Member::ApiVersion), ("kind", Member::Kind), ("status", Member::Status)];

    fn set<A: MapAccess<'de>>(&mut self, member: Member, map: &mut A) -> Result<(), A::Error> {
        match member {
            Member::ApiVersion => self.api_version = map.next_value()?,
            Member::Kind => self.kind = map.next_value()?,
            Member::Status => self.status = Some(map.next_value::<Strict<_>>()?.0),
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum StatusMember {
    Allowed,
    Denied,
    Reason,
    Error,
}

impl<'de> Object<'de> for Status {
    type Member = StatusMember;
    const MEMBERS: &'static [(&'static str, StatusMember)] = &[
        ("allowed", StatusMember::Allowed),
        ("denied", StatusMember::Denied),
        ("reason", StatusMember::Reason),
        ("evaluationError", StatusMember::Error),
    ];

    fn set<A: MapAccess<'de>>(
        &mut self,
        member: StatusMember,
        map: &mut A,
    ) -> Result<(), A::Error> {
        match member {
            StatusMember::Allowed => self.allowed = Some(map.next_value()?),
            StatusMember::Denied => self.denied = map.next_value()?,
            StatusMember::Reason => self.reason = map.next_value()?,
            StatusMember::Error => self.error = map.next_value()?,
        }
        Ok(())
    }
}

const MAX_SHOWN: usize = 200;
