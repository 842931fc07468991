//! Decides whether a request passes. The enforced rules that cover a request are asked in order, until one decides.
//! Shadow rules only record what they would deny, unless no enforced rule decides.

mod permit;
mod route;

pub use permit::{HeaderEdits, Permit, ShadowPermit};
pub use route::{Asked, Route};

use super::accounts::Who;
use super::host::NormalHost;
use super::index::RuleIndex;
use super::method::{KnownMethods, MethodCheck};
use super::path::NormalPath;
use super::rule::{Circumstances, PathPattern, Rule};
use super::unclear::Unclear;
use crate::authn::ServiceAccount;
use crate::identity::Caller;
use crate::verdict::{Denial, Mode, Reason};
use route::forbidden;
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
    /// `None`: no rules are configured, and every proven caller passes.
    rules: Option<Vec<Rule>>,
    index: RuleIndex,
    methods: KnownMethods,
    looks_at: LooksAt,
}

/// What rules look at; what none looks at is neither read nor judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LooksAt {
    /// Any rule has `hosts`.
    pub hosts: bool,
    /// Any rule has `paths`.
    pub paths: bool,
    /// Any rule has `methods` or `corsPreflight`.
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
    pub shadowed: Vec<Rc<str>>,
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
}

/// What the rules decide, before shadow mode.
struct Judgement {
    outcome: Result<(), Denial>,
    rule: Option<Rc<str>>,
    /// `Shadow` where only shadow rules decide: what they deny passes.
    mode: Mode,
    shadowed: Vec<Rc<str>>,
}

// === impl Policy ===

impl Policy {
    /// Indexes `rules`; `None` lets every proven caller pass.
    pub fn new(rules: Option<Vec<Rule>>) -> Self {
        let (mut index, mut methods) = (RuleIndex::default(), KnownMethods::default());
        let mut looks_at = LooksAt::default();
        for (at, rule) in rules.iter().flatten().enumerate() {
            looks_at.hosts |= rule.hosts.is_some();
            looks_at.paths |= rule.paths.is_some();
            looks_at.methods |= rule.looks_at_method();
            rule.methods.iter().flatten().for_each(|method| methods.insert(method, rule.mode));
            looks_at.direction |= rule.arrival.direction.is_some();
            looks_at.ports |= !rule.arrival.ports.is_empty();
            each_pattern(rule, |host, path| index.insert(host, path, at));
        }
        Self { rules, index, methods, looks_at }
    }

    /// The rules, in order; `None` where the configuration has none.
    pub fn rules(&self) -> Option<&[Rule]> {
        self.rules.as_deref()
    }

    /// What the rules look at.
    pub fn looks_at(&self) -> LooksAt {
        self.looks_at
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

    /// Finds the rules that are asked.
    ///
    /// A host, path or method with two readings is refused by the first rule that looks at it. What the rules
    /// before that one decide stays: an additional rule must not refuse whom they let in.
    pub fn route(
        &self,
        host: Option<&[u8]>,
        path: Option<&[u8]>,
        request: &Circumstances<'_>,
    ) -> Result<Route<'_>, Denial> {
        let path = path.filter(|_| !request.method.is_empty());
        let path = path.ok_or_else(|| Reason::AmbiguousPath.because("no :method or no :path"))?;
        let Some(rules) = &self.rules else { return Ok(Route::without_rules()) };
        let host = match self.looks_at.hosts {
            true => NormalHost::parse(host.unwrap_or(b"")).map(Some),
            false => Ok(None),
        };
        let path = match self.looks_at.paths {
            true => NormalPath::parse(path),
            false => Ok(NormalPath::root()),
        };
        let method = match self.looks_at.methods {
            true => self.methods.check(request.method),
            false => MethodCheck::Known,
        };
        let (host, path) = match (host, path, method) {
            (Ok(host), Ok(path), MethodCheck::Known) => (host, path),
            (host, path, method) => {
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
                let numbers = unclear.route(rules, &clear, request)?;
                return Ok(Route::of(Asked { rules, numbers, unclear: Some(unclear) }));
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
        Ok(Route::of(Asked { rules, numbers, unclear: None }))
    }

    /// Decides about a request. `route` is what [`Self::route`] found, or why the request is denied whatever the rules say;
    /// `caller` the authenticated caller, or why there is none; `mode` the filter's.
    pub fn decide(
        &self,
        route: Result<&Route<'_>, Denial>,
        caller: Result<&Rc<Caller>, &Denial>,
        mode: Mode,
    ) -> Decision {
        let judgement = match route {
            Ok(route) => Judgement::by(route, caller.map(|caller| caller.account())),
            Err(denial) => Judgement::refused(denial),
        };
        let Judgement { outcome, rule, mode: of_rules, shadowed } = judgement;
        let caller = caller.ok().cloned();
        let outcome = match (outcome, of_rules, mode) {
            (Ok(()), _, _) => Outcome::Permitted(Permit::new(caller, rule.clone())),
            (Err(denial), Mode::Enforce, Mode::Enforce) => Outcome::Denied(denial),
            (Err(denial), _, _) => Outcome::ShadowDenied(ShadowPermit::new(caller, denial)),
        };
        Decision { outcome, rule, shadowed }
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
    fn by(route: &Route<'_>, caller: Result<&ServiceAccount, &Denial>) -> Self {
        let Some(asked) = route.asked() else {
            let outcome = caller.map(drop).map_err(Denial::clone);
            return Self { outcome, rule: None, mode: Mode::Enforce, shadowed: Vec::new() };
        };
        let (mut shadow, mut shadowed) = (None, Vec::new());
        for rule in asked.iter() {
            let Some(outcome) = asked.outcome(rule, caller) else { continue };
            let name = Rc::clone(&rule.name);
            if rule.mode == Mode::Enforce {
                return Self { outcome, rule: Some(name), mode: Mode::Enforce, shadowed };
            }
            if outcome.is_err() {
                shadowed.push(Rc::clone(&name));
            }
            shadow.get_or_insert((name, outcome));
        }
        match shadow.filter(|_| asked.iter().any(Rule::is_shadow_allow)) {
            // That rule would have ended the list: the rules behind it were not asked.
            Some((name, outcome)) => {
                Self { outcome, rule: Some(name), mode: Mode::Shadow, shadowed: Vec::new() }
            }
            None => {
                let refusal = caller.map_or_else(Denial::clone, |caller| {
                    forbidden(caller, "no rule covers the request".to_owned())
                });
                Self { shadowed, ..Self::refused(refusal) }
            }
        }
    }

    /// A refusal that no rule made.
    fn refused(denial: Denial) -> Self {
        Self { outcome: Err(denial), rule: None, mode: Mode::Enforce, shadowed: Vec::new() }
    }
}

/// Whether `earlier` decides on whatever both cover, so that `rule` is not asked. No shadow rule does.
fn decides_for(earlier: &Rule, rule: &Rule) -> bool {
    let methods = match (&earlier.methods, &rule.methods) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(earlier), Some(methods)) => methods.iter().all(|method| earlier.contains(method)),
    };
    let decides = earlier.allow.is_some() || matches!(earlier.deny, Some(Who::Anyone));
    methods && earlier.is_unconditional() && decides && earlier.mode == Mode::Enforce
}
