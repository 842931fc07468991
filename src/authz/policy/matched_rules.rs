//! The rules that are evaluated for a request, and the decision of each.

use crate::authn::ServiceAccount;
use crate::authz::Mode;
use crate::authz::access::{AccessAnswer, AccessRequest, AccessRule};
use crate::authz::accounts::{Missing, Who};
use crate::authz::index::Numbers;
use crate::authz::rule::Rule;
use crate::authz::trace::{Part, RuleTrace};
use crate::authz::unclear::Unclear;
use crate::callout::CalloutId;
use crate::denial::{Denial, Reason};

/// The rules that are evaluated for a request: those that cover it, up to the first enforced rule with `allow`.
///
/// ```compile_fail
/// // A route without rules lets every authenticated caller pass, so only a policy without rules gives one.
/// let route = sa_authn::authz::policy::MatchedRules(None);
/// ```
///
/// ```
/// fn has_rules(route: &sa_authn::authz::policy::MatchedRules<'_>) -> bool {
///     route.asked().is_some()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct MatchedRules<'p>(Option<Asked<'p>>);

/// The rules, as indexes into the policy's list.
#[derive(Clone, Debug)]
pub struct Asked<'p> {
    pub(super) rules: &'p [Rule],
    pub(super) numbers: Numbers,
    pub(super) unclear: Option<Unclear>,
}

// === impl Asked ===

impl<'p> Asked<'p> {
    /// The rules themselves.
    pub fn iter(&self) -> impl Iterator<Item = &'p Rule> {
        self.numbers.iter().filter_map(|at| self.rules.get(*at))
    }

    /// The denial of a rule that looks at a host, a path or a method with two readings.
    pub fn unclear(&self, rule: &Rule) -> Option<&Denial> {
        self.unclear.as_ref()?.denial(rule, true)
    }

    /// The decision of a rule if it is enforced; `None` if later rules decide. `pending`: the call that brings the answer to
    /// a rule that asks Kubernetes RBAC.
    pub(super) fn outcome(
        &self,
        rule: &Rule,
        caller: Result<&ServiceAccount, &Denial>,
        with: (&mut AccessRequest<'_>, &mut Option<CalloutId>),
        trace: &impl RuleTrace,
    ) -> Option<Result<(), Denial>> {
        if let Some(denial) = self.unclear(rule) {
            let denied = Err(denial.clone());
            trace.evaluated(rule, Part::Ambiguity, &denied);
            return Some(denied);
        }
        let denied = denied(rule, caller);
        trace.evaluated(rule, Part::Deny, &denied);
        let who = match (&denied, &rule.allow) {
            (Err(_), _) => return Some(denied),
            (Ok(()), None) => return None,
            (Ok(()), Some(who)) => who,
        };
        let allowed = match who {
            Who::KubernetesRbac(asks) => caller
                .map_err(Denial::clone)
                .and_then(|caller| ask_kubernetes((rule, asks), caller, with, trace)),
            _ => allowed(rule, who, caller),
        };
        trace.evaluated(rule, Part::Allow, &allowed);
        Some(allowed)
    }
}

// === impl MatchedRules ===

impl<'p> MatchedRules<'p> {
    /// No rule is configured.
    pub(super) fn without_rules() -> Self {
        Self(None)
    }

    /// These rules are evaluated in order. If none decides, the request is denied.
    pub(super) fn of(asked: Asked<'p>) -> Self {
        Self(Some(asked))
    }

    /// The rules to evaluate; `None` if no rule is configured.
    pub fn asked(&self) -> Option<&Asked<'p>> {
        self.0.as_ref()
    }

    /// Whether the verdict depends on the caller. A decision of a shadow rule is not worth a pause.
    pub fn needs_caller(&self) -> bool {
        let Some(asked) = &self.0 else { return true };
        match asked.iter().find(|rule| rule.mode == Mode::Enforce) {
            Some(rule) => !rule.is_open(),
            None => !self.is_shadowed(),
        }
    }

    /// Whether the request passes because of a shadow rule: no enforced rule allows it.
    pub fn is_shadowed(&self) -> bool {
        let Some(asked) = &self.0 else { return false };
        !asked.iter().any(Rule::is_last) && asked.iter().any(Rule::is_shadow_allow)
    }
}

/// `deny`. An unauthenticated caller could be any of the listed accounts, so a list denies it.
fn denied(rule: &Rule, caller: Result<&ServiceAccount, &Denial>) -> Result<(), Denial> {
    let name = &rule.name;
    match (&rule.deny, caller) {
        (Some(Who::Anyone), _) => {
            Err(Reason::Forbidden.because(format!("rule {name:?} denies every caller")))
        }
        (Some(Who::Authenticated), Ok(caller)) => {
            Err(forbidden(caller, format!("rule {name:?} denies every service account")))
        }
        (Some(Who::Listed(accounts)), Ok(caller)) if accounts.contains(caller, Missing::Holds) => {
            Err(forbidden(caller, format!("rule {name:?} denies it")))
        }
        // The configuration does not allow it.
        (Some(Who::KubernetesRbac(_)), _) => Err(misplaced()),
        (Some(_), Err(denial)) => Err(denial.clone()),
        (Some(_), Ok(_)) | (None, _) => Ok(()),
    }
}

fn allowed(rule: &Rule, who: &Who, caller: Result<&ServiceAccount, &Denial>) -> Result<(), Denial> {
    if let Who::Anyone = who {
        return Ok(());
    }
    let caller = caller.map_err(Denial::clone)?;
    match who {
        Who::Anyone | Who::Authenticated => Ok(()),
        Who::Listed(accounts) if accounts.contains(caller, Missing::Fails) => Ok(()),
        Who::Listed(_) => Err(forbidden(caller, format!("rule {:?} does not allow it", rule.name))),
        Who::KubernetesRbac(_) => Err(misplaced()),
    }
}

/// `allow: {"kubernetesRBAC": ...}`. Every question is asked, so that one pause is enough for all answers; each must be
/// answered by yes.
#[inline(never)]
fn ask_kubernetes(
    (rule, asks): (&Rule, &AccessRule),
    caller: &ServiceAccount,
    (access, pending): (&mut AccessRequest<'_>, &mut Option<CalloutId>),
    trace: &impl RuleTrace,
) -> Result<(), Denial> {
    let mut missing = None;
    let questions = asks.questions(access.method, access.path, caller)?;
    for question in &questions {
        let answer = access.reviewer.review(question);
        trace.asked(rule, question, &answer);
        match answer {
            AccessAnswer::Allowed(grant) if grant.is_for(question) => {}
            AccessAnswer::Allowed(_) => return Err(Reason::Internal.because("another's answer")),
            AccessAnswer::Denied(why) => {
                let by = format!("rule {:?}: Kubernetes RBAC denies {question}: {why}", rule.name);
                return Err(forbidden(caller, by));
            }
            AccessAnswer::Unavailable(denial) => return Err(denial),
            AccessAnswer::Pending(call) => missing = missing.or(Some(call)),
        }
    }
    match missing {
        None if questions.is_empty() => Err(Reason::Internal.because("no question")),
        None => Ok(()),
        Some(call) => {
            *pending = Some(call);
            let detail = "the access is not reviewed yet, and the request does not wait for it";
            Err(Reason::AuthorizationUnavailable.because(detail))
        }
    }
}

#[cold]
fn misplaced() -> Denial {
    Reason::Internal.because("kubernetesRBAC in a place where it has no meaning")
}

pub(super) fn forbidden(caller: &ServiceAccount, by: String) -> Denial {
    Reason::Forbidden.because(format!("{}/{}: {by}", caller.namespace(), caller.name()))
}
