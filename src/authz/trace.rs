//! What the policy tells a trace.

use super::access::{AccessAnswer, AccessQuestion};
use super::rule::Rule;
use crate::denial::Denial;

/// Learns which parts of the rules are evaluated for a request, and the result of each. The module uses `()`, which costs nothing.
pub trait RuleTrace {
    /// A part of a rule was evaluated.
    fn evaluated(&self, _rule: &Rule, _part: Part, _outcome: &Result<(), Denial>) {}

    /// A rule asked Kubernetes RBAC, and this is the answer so far.
    fn asked(&self, _rule: &Rule, _question: &AccessQuestion<'_>, _answer: &AccessAnswer) {}
}

/// A part of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A host, path or method with two readings, at which the rule looks.
    Ambiguity,
    /// `deny`.
    Deny,
    /// `allow`.
    Allow,
}

impl RuleTrace for () {}
