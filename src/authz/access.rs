//! Kubernetes RBAC as the decision of a rule (`allow: {"kubernetesRBAC": ...}`).
//!
//! A rule has an [`AccessRule`]. For a request and its caller it gives [`AccessQuestion`]s, each of which is the spec of a
//! SubjectAccessReview. The API server's yes is an [`AccessGrant`], which only [`read`] makes.

mod answer;
mod attribute;
mod question;
mod verb;

pub use answer::{AccessAnswer, AccessGrant, read};
pub use attribute::Attribute;
pub use question::AccessQuestion;
pub use verb::Verbs;

use super::path::NormalPath;
use crate::authn::ServiceAccount;
use crate::denial::{Denial, Reason};
use attribute::query_values;
use std::borrow::Cow;

/// Where SubjectAccessReviews are sent.
pub const PATH: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

const API_VERSION: &str = "authorization.k8s.io/v1";
const KIND: &str = "SubjectAccessReview";

/// What a rule asks Kubernetes RBAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Which access.
    pub target: AccessTarget,
    /// The verb of a request whose rule does not name one.
    pub verbs: Verbs,
    /// Instead of the method's verb.
    pub verb: Option<Attribute>,
}

/// Which access a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTarget {
    /// To the request's path.
    NonResource,
    /// To a resource: attributes by their names in `resourceAttributes`.
    Resource(Vec<(&'static str, Attribute)>),
}

/// Answers questions: the API server's answers, as far as they are known.
pub trait AccessReviewer {
    /// The answer, or the call that brings it.
    fn review(&mut self, question: &AccessQuestion<'_>) -> AccessAnswer;
}

/// What the decision of an [`AccessRule`] needs besides the caller.
pub struct AccessRequest<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`, with its query.
    pub path: &'a [u8],
    /// Who answers.
    pub reviewer: &'a mut dyn AccessReviewer,
}

/// Knows no answer.
#[derive(Debug)]
pub struct NoReviewer;

// === impl AccessRule ===

impl AccessRule {
    /// Whether the questions depend on the path.
    pub fn looks_at_path(&self) -> bool {
        let segment = |attribute: &Attribute| matches!(attribute, Attribute::Segment(_));
        matches!(self.target, AccessTarget::NonResource) || self.attributes().any(segment)
    }

    /// Whether the questions depend on the method.
    pub fn looks_at_method(&self) -> bool {
        self.verb.is_none()
    }

    /// The query parameter that attributes come from. The configuration allows one.
    pub fn parameter(&self) -> Option<&str> {
        self.parameters().next()
    }

    /// Every query parameter that attributes come from.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.attributes().filter_map(|attribute| match attribute {
            Attribute::Query(name) => Some(name.as_str()),
            Attribute::Fixed(_) | Attribute::Segment(_) => None,
        })
    }

    fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        let of_target = match &self.target {
            AccessTarget::NonResource => [].as_slice(),
            AccessTarget::Resource(attributes) => attributes.as_slice(),
        };
        of_target.iter().map(|(_, attribute)| attribute).chain(&self.verb)
    }

    /// What to ask about a request: one question for each value of the query parameter. All must be allowed.
    pub fn questions<'q>(
        &'q self,
        method: &'q [u8],
        path: &'q [u8],
        caller: &'q ServiceAccount,
    ) -> Result<Vec<AccessQuestion<'q>>, Denial> {
        let normal = match self.looks_at_path() {
            true => NormalPath::parse(path)?,
            false => NormalPath::root(),
        };
        let Some(parameter) = self.parameter() else {
            return Ok(vec![self.question(method, &normal, None, caller)?]);
        };
        let values = query_values(path, parameter)?;
        values.iter().map(|value| self.question(method, &normal, Some(value), caller)).collect()
    }

    fn question<'q>(
        &'q self,
        method: &'q [u8],
        path: &NormalPath<'q>,
        parameter: Option<&str>,
        caller: &'q ServiceAccount,
    ) -> Result<AccessQuestion<'q>, Denial> {
        let mut question = AccessQuestion::of(caller, &self.target);
        let verb = match &self.verb {
            Some(attribute) => attribute.value(path, parameter)?,
            None => self.verbs.of(method, &self.target),
        };
        question.add("verb", verb);
        match &self.target {
            AccessTarget::NonResource => {
                let text = path.text();
                if text.len() > MAX_PATH_BYTES {
                    let detail = format!("a path of more than {MAX_PATH_BYTES} bytes");
                    return Err(Reason::AmbiguousAttributes.because(detail));
                }
                question.add("path", Cow::Owned(text.into_owned()));
            }
            AccessTarget::Resource(attributes) => {
                for (name, attribute) in attributes {
                    question.add(name, attribute.value(path, parameter)?);
                }
            }
        }
        Ok(question)
    }
}

// === impl NoReviewer ===

impl AccessReviewer for NoReviewer {
    fn review(&mut self, _: &AccessQuestion<'_>) -> AccessAnswer {
        let detail = "no API server answers";
        AccessAnswer::Unavailable(Reason::AuthorizationUnavailable.because(detail))
    }
}

impl std::fmt::Debug for AccessRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessRequest")
    }
}

/// Kubernetes does not cache the answer for 10,000 bytes or more, because such a path may be an attack. Paths of services
/// have some hundred bytes.
const MAX_PATH_BYTES: usize = 2048;
