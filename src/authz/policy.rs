//! Decides whether a request passes. The enforced rules that cover a request are asked in order, until one decides.
//! Shadow rules only record what they would deny, unless no enforced rule decides.

mod matched_rules;
mod permit;

pub use matched_rules::{Asked, MatchedRules};
pub use permit::{HeaderEdits, Permit, ShadowPermit};

use super::access::AccessRequest;
use super::accounts::Who;
use super::host::NormalHost;
use super::index::RuleIndex;
use super::method::{KnownMethods, MethodCheck};
use super::path::NormalPath;
use super::rule::{PathPattern, RequestAttributes, Rule};
use super::trace::RuleTrace;
use super::unclear::Unclear;
use crate::authn::ServiceAccount;
use crate::authz::Mode;
use crate::callout::CalloutId;
use crate::denial::{Denial, Reason};
use crate::identity::Caller;
use matched_rules::forbidden;
use std::rc::Rc;

/// The rules, in an index.
///
/// ```compile_fail
/// // A policy is made from rules, or from the decision to have none.
/// let policy = sa_authn::authz::Policy::default();
/// ```
///
/// ```
/// let policy = sa_authn::authz::Policy::new(None);
/// ```
#[derive(Debug)]
pub struct Policy {
    /// `None`: no rules are configured, and every authenticated caller passes.
    rules: Option<Vec<Rule>>,
    index: RuleIndex,
    methods: KnownMethods,
    matched_fields: MatchedFields,
}

/// The request attributes that rules use. An attribute that no rule uses is neither read nor checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchedFields {
    /// Any rule has `hosts`.
    pub hosts: bool,
    /// Any rule has `paths`, or asks Kubernetes RBAC about the path.
    pub paths: bool,
    /// Any rule has `methods` or `corsPreflight`, or asks Kubernetes RBAC about the method.
    pub methods: bool,
    /// Any rule has `direction`.
    pub direction: bool,
    /// Any rule has `ports`.
    pub ports: bool,
}

/// What the policy decides about a request, and by which rule.
#[derive(Debug)]
pub struct Decision {
    /// Whether it passes.
    pub outcome: Outcome,
    /// The rule that decided.
    pub rule: Option<Rc<str>>,
    /// Shadow rules before the deciding enforced rule that would have denied the request.
    pub shadow_denied_by: Vec<Rc<str>>,
}

/// Whether a request passes.
#[derive(Debug)]
pub enum Outcome {
    /// It passes.
    Permitted(Permit),
    /// It is denied.
    Denied(Denial),
    /// It would have been denied, and passes because of shadow mode.
    ShadowDenied(ShadowPermit),
    /// Kubernetes RBAC decides, and this call brings the answer.
    Pending(CalloutId),
}

/// What the rules decide, before shadow mode.
struct Judgement {
    outcome: Result<(), Denial>,
    rule: Option<Rc<str>>,
    /// `Shadow` if only shadow rules decide: requests that they deny pass.
    mode: Mode,
    shadow_denied_by: Vec<Rc<str>>,
    /// The call that brings the answer to the enforced rule that decides; `outcome` is a denial.
    pending: Option<CalloutId>,
}

// === impl Policy ===

impl Policy {
    /// Indexes `rules`; `None` lets every authenticated caller pass.
    pub fn new(rules: Option<Vec<Rule>>) -> Self {
        let (mut index, mut methods) = (RuleIndex::default(), KnownMethods::default());
        let mut matched_fields = MatchedFields::default();
        for (at, rule) in rules.iter().flatten().enumerate() {
            matched_fields.hosts |= rule.hosts.is_some();
            matched_fields.paths |= rule.looks_at_path();
            matched_fields.methods |= rule.looks_at_method();
            rule.methods.iter().flatten().for_each(|method| methods.insert(method, rule.mode));
            matched_fields.direction |= rule.arrival.direction.is_some();
            matched_fields.ports |= !rule.arrival.ports.is_empty();
            each_pattern(rule, |host, path| index.insert(host, path, at));
        }
        Self { rules, index, methods, matched_fields }
    }

    /// The rules, in order; `None` if none are configured.
    pub fn rules(&self) -> Option<&[Rule]> {
        self.rules.as_deref()
    }

    /// The request attributes that rules use.
    pub fn matched_fields(&self) -> MatchedFields {
        self.matched_fields
    }

    /// Rules that no request can reach, each with an earlier one that covers it.
    pub fn unreachable(&self) -> Vec<(usize, usize)> {
        let rules = self.rules.as_deref().unwrap_or_default();
        let mut unreachable = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            let (mut all, mut by) = (true, None);
            each_pattern(rule, |host, path| {
                let mut earlier = self.index.find_covering(host, path).into_iter();
                let covering = earlier.find(|other| {
                    *other < at && rules.get(*other).is_some_and(|other| decides_for(other, rule))
                });
                all &= covering.is_some();
                by = by.or(covering);
            });
            unreachable.extend(by.filter(|_| all).map(|by| (at, by)));
        }
        unreachable
    }

    /// Finds the rules to evaluate.
    ///
    /// The first rule that uses an attribute with two readings (a host, path or method) denies the request. Decisions of
    /// earlier rules stay: an additional rule must not deny requests that they allow.
    pub fn matching_rules(
        &self,
        host: Option<&[u8]>,
        path: Option<&[u8]>,
        request: &RequestAttributes<'_>,
    ) -> Result<MatchedRules<'_>, Denial> {
        let path = path.filter(|_| !request.method.is_empty());
        let path = path.ok_or_else(|| Reason::AmbiguousPath.because("no :method or no :path"))?;
        let Some(rules) = &self.rules else { return Ok(MatchedRules::without_rules()) };
        let host = match self.matched_fields.hosts {
            true => NormalHost::parse(host.unwrap_or(b"")).map(Some),
            false => Ok(None),
        };
        let path = match self.matched_fields.paths {
            true => NormalPath::parse(path),
            false => Ok(NormalPath::root()),
        };
        let method = match self.matched_fields.methods {
            true => self.methods.look_up(request.method),
            false => MethodCheck::Known,
        };
        let (host, path) = match (host, path, method) {
            (Ok(host), Ok(path), MethodCheck::Known) => (host, path),
            (host, path, method) => {
                return self.rules_of_unclear(rules, host, path, method, request);
            }
        };
        let mut numbers = self.index.find(host.as_ref(), &path);
        let mut decided = false;
        numbers.retain(|at| match rules.get(*at) {
            Some(rule) if !decided && rule.covers(request) => {
                decided = rule.is_last();
                true
            }
            _ => false,
        });
        Ok(MatchedRules::of(Asked { rules, numbers, unclear: None }))
    }

    /// The same for a request of which something has two readings.
    #[cold]
    fn rules_of_unclear<'p>(
        &'p self,
        rules: &'p [Rule],
        host: Result<Option<NormalHost>, Denial>,
        path: Result<NormalPath<'_>, Denial>,
        method: MethodCheck,
        request: &RequestAttributes<'_>,
    ) -> Result<MatchedRules<'p>, Denial> {
        let root = NormalPath::root();
        let seen = host.as_ref().ok().and_then(Option::as_ref);
        let clear = self.index.find(seen, path.as_ref().unwrap_or(&root));
        let (method, shadow_knows_method) = match method {
            MethodCheck::Known => (None, true),
            MethodCheck::KnownToShadow(denial) => (Some(denial), true),
            MethodCheck::Unknown(denial) => (Some(denial), false),
        };
        let (host, path) = (host.err(), path.err());
        let unclear = Unclear { host, path, method, shadow_knows_method };
        let numbers = unclear.rules_of_each_reading(rules, &clear, request)?;
        Ok(MatchedRules::of(Asked { rules, numbers, unclear: Some(unclear) }))
    }

    /// Decides about a request. `matched` is what [`Self::matching_rules`] found, or why the request is denied whatever the rules say;
    /// `caller` the authenticated caller, or why there is none; `access` is for rules that ask Kubernetes RBAC; `mode` the
    /// filter's.
    pub fn decide(
        &self,
        matched: Result<&MatchedRules<'_>, Denial>,
        caller: Result<&Rc<Caller>, &Denial>,
        access: &mut AccessRequest<'_>,
        mode: Mode,
        trace: &impl RuleTrace,
    ) -> Decision {
        let judgement = match matched {
            Ok(matched) => {
                Judgement::by(matched, caller.map(|caller| caller.account()), access, trace)
            }
            Err(denial) => Judgement::without_rule(denial),
        };
        let Judgement { outcome, rule, mode: of_rules, shadow_denied_by, pending } = judgement;
        let caller = caller.ok().cloned();
        let outcome = match (outcome, of_rules, mode) {
            (Ok(()), _, _) => Outcome::Permitted(Permit::new(caller, rule.clone())),
            (Err(denial), Mode::Enforce, Mode::Enforce) => match pending {
                Some(call) => Outcome::Pending(call),
                None => Outcome::Denied(denial),
            },
            (Err(denial), _, _) => Outcome::ShadowDenied(ShadowPermit::new(caller, denial)),
        };
        Decision { outcome, rule, shadow_denied_by }
    }
}

/// Calls `see` with each host and path of a rule.
fn each_pattern(rule: &Rule, mut see: impl FnMut(Option<&super::host::HostPattern>, &PathPattern)) {
    let everything = [PathPattern::EVERYTHING];
    for path in rule.paths.as_deref().unwrap_or(&everything) {
        match &rule.hosts {
            None => see(None, path),
            Some(hosts) => hosts.iter().for_each(|host| see(Some(host), path)),
        }
    }
}

// === impl Judgement ===

impl Judgement {
    /// The judgement of the rules that are asked.
    fn by(
        matched: &MatchedRules<'_>,
        caller: Result<&ServiceAccount, &Denial>,
        access: &mut AccessRequest<'_>,
        trace: &impl RuleTrace,
    ) -> Self {
        let Some(asked) = matched.asked() else {
            let outcome = caller.map(drop).map_err(Denial::clone);
            return Self::of(outcome, None, Mode::Enforce);
        };
        let (mut shadow, mut shadow_denied_by) = (None, Vec::new());
        for rule in asked.iter() {
            let mut pending = None;
            let with = (&mut *access, &mut pending);
            let Some(outcome) = asked.outcome(rule, caller, with, trace) else { continue };
            let name = Rc::clone(&rule.name);
            if rule.mode == Mode::Enforce {
                let judged = Self::of(outcome, Some(name), Mode::Enforce);
                return Self { shadow_denied_by, pending, ..judged };
            }
            if outcome.is_err() {
                shadow_denied_by.push(Rc::clone(&name));
            }
            shadow.get_or_insert((name, outcome));
        }
        match shadow.filter(|_| asked.iter().any(Rule::is_shadow_allow)) {
            // If this rule were enforced, the rules after it would not be evaluated.
            Some((name, outcome)) => Self::of(outcome, Some(name), Mode::Shadow),
            None => {
                let refusal = caller.map_or_else(Denial::clone, |caller| {
                    forbidden(caller, "no rule covers the request".to_owned())
                });
                Self { shadow_denied_by, ..Self::without_rule(refusal) }
            }
        }
    }

    /// A refusal that no rule made.
    fn without_rule(denial: Denial) -> Self {
        Self::of(Err(denial), None, Mode::Enforce)
    }

    fn of(outcome: Result<(), Denial>, rule: Option<Rc<str>>, mode: Mode) -> Self {
        Self { outcome, rule, mode, shadow_denied_by: Vec::new(), pending: None }
    }
}

/// Whether `earlier` decides every request that both rules cover, so that `rule` is not evaluated. A shadow rule does not.
fn decides_for(earlier: &Rule, rule: &Rule) -> bool {
    let methods = match (&earlier.methods, &rule.methods) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(earlier), Some(methods)) => methods.iter().all(|method| earlier.contains(method)),
    };
    let decides = earlier.allow.is_some() || matches!(earlier.deny, Some(Who::Anyone));
    methods && earlier.is_unconditional() && decides && earlier.mode == Mode::Enforce
}
