//! A request and its caller -> a permit, or a refusal. The first rule that covers a request decides.

use super::accounts::Who;
use super::host::NormalHost;
use super::index::{Numbers, RuleIndex};
use super::method::KnownMethods;
use super::path::NormalPath;
use super::rule::{Circumstances, PathPattern, Rule};
use super::unclear::Unclear;
use crate::authn::ServiceAccount;
use crate::verdict::{Denial, Mode, Reason};
use std::rc::Rc;

/// The rules, in an index.
#[derive(Debug, Default)]
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

/// Which rules are asked about a request: those that cover it, up to the first that decides.
#[derive(Clone, Debug)]
pub enum Route<'p> {
    /// None is configured.
    NoRules,
    /// These, in order. Without one that decides, nobody passes.
    Rules(Asked<'p>),
}

/// Rules by their numbers.
#[derive(Clone, Debug)]
pub struct Asked<'p> {
    rules: &'p [Rule],
    numbers: Numbers,
}

/// What the policy says of a request, and by which rule.
#[derive(Debug)]
pub struct Judgement {
    /// Whether it may pass.
    pub outcome: Result<Permit, Denial>,
    /// The rule that decided.
    pub rule: Option<Rc<str>>,
    /// Whether that rule is to be enforced.
    pub mode: Mode,
    /// Rules in shadow mode that would have refused it before.
    pub shadowed: Vec<Rc<str>>,
}

/// Leave to pass. Only [`Policy::decide`] makes one.
#[derive(Debug)]
pub struct Permit(());

// === impl Policy ===

impl Policy {
    /// Indexes `rules`; `None` lets every proven caller pass.
    pub fn new(rules: Option<Vec<Rule>>) -> Self {
        let mut policy = Self::default();
        for (at, rule) in rules.iter().flatten().enumerate() {
            policy.looks_at.hosts |= rule.hosts.is_some();
            policy.looks_at.paths |= rule.paths.is_some();
            policy.looks_at.methods |= rule.looks_at_method();
            rule.methods.iter().flatten().for_each(|method| policy.methods.insert(method));
            policy.looks_at.direction |= rule.arrival.direction.is_some();
            policy.looks_at.ports |= !rule.arrival.ports.is_empty();
            each_pattern(rule, |host, path| policy.index.insert(host, path, at));
        }
        Self { rules, ..policy }
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
        let Some(rules) = &self.rules else { return Ok(Route::NoRules) };
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
            false => Ok(()),
        };
        let (host, path) = match (host, path, method) {
            (Ok(host), Ok(path), Ok(())) => (host, path),
            (host, path, method) => {
                let root = NormalPath::root();
                let seen = host.as_ref().ok().and_then(Option::as_ref);
                let clear = self.index.find(seen, path.as_ref().unwrap_or(&root));
                let (host, path, method) = (host.err(), path.err(), method.err());
                let numbers = Unclear { host, path, method }.route(rules, &clear, request)?;
                return Ok(Route::Rules(Asked { rules, numbers }));
            }
        };
        let mut numbers = self.index.find(host.as_ref(), &path);
        let mut decided = false;
        numbers.retain(|at| match rules.get(*at) {
            Some(rule) if !decided && rule.covers(request) => {
                decided = rule.allow.is_some();
                true
            }
            _ => false,
        });
        Ok(Route::Rules(Asked { rules, numbers }))
    }

    /// Decides on a request by its route. `caller` is who was proven, or why nobody was.
    pub fn decide(&self, route: &Route<'_>, caller: Result<&ServiceAccount, &Denial>) -> Judgement {
        let Route::Rules(asked) = route else {
            let outcome = caller.map(|_| Permit(())).map_err(Denial::clone);
            return Judgement { outcome, rule: None, mode: Mode::Enforce, shadowed: Vec::new() };
        };
        let mut shadowed = Vec::new();
        for rule in asked.iter() {
            let name = Rc::clone(&rule.name);
            let outcome = match (denied(rule, caller), &rule.allow) {
                // A rule on trial must not open what the rules behind it close.
                (Err(_), _) if rule.mode == Mode::Shadow && rule.allow.is_none() => {
                    shadowed.push(name);
                    continue;
                }
                (Err(denial), _) => Err(denial),
                (Ok(()), None) => continue,
                (Ok(()), Some(who)) => allowed(rule, who, caller).map(Permit),
            };
            return Judgement { outcome, rule: Some(name), mode: rule.mode, shadowed };
        }
        let refusal = caller.map_or_else(Denial::clone, |caller| {
            forbidden(caller, "no rule covers the request".to_owned())
        });
        Judgement { outcome: Err(refusal), rule: None, mode: Mode::Enforce, shadowed }
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

/// Whether `earlier` decides on whatever both cover, so that `rule` is not asked.
fn decides_for(earlier: &Rule, rule: &Rule) -> bool {
    let methods = match (&earlier.methods, &rule.methods) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(earlier), Some(methods)) => methods.iter().all(|method| earlier.contains(method)),
    };
    let denies_all = matches!(earlier.deny, Some(Who::Anyone)) && earlier.mode == Mode::Enforce;
    methods && earlier.is_unconditional() && (earlier.allow.is_some() || denies_all)
}

/// `deny`. Of a caller that cannot be proven nobody knows whether it is on a list: it does not pass one.
fn denied(rule: &Rule, caller: Result<&ServiceAccount, &Denial>) -> Result<(), Denial> {
    let name = &rule.name;
    match (&rule.deny, caller) {
        (Some(Who::Anyone), _) => {
            Err(Reason::Forbidden.because(format!("rule {name:?} refuses everybody")))
        }
        (Some(Who::Authenticated), Ok(caller)) => {
            Err(forbidden(caller, format!("rule {name:?} refuses every service account")))
        }
        (Some(Who::Listed(accounts)), Ok(caller)) if accounts.contains(caller) => {
            Err(forbidden(caller, format!("rule {name:?} refuses it")))
        }
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
        Who::Listed(accounts) if accounts.contains(caller) => Ok(()),
        Who::Listed(_) => Err(forbidden(caller, format!("rule {:?} does not list it", rule.name))),
    }
}

fn forbidden(caller: &ServiceAccount, by: String) -> Denial {
    Reason::Forbidden.because(format!("{}/{}: {by}", caller.namespace(), caller.name()))
}

// === impl Asked ===

impl<'p> Asked<'p> {
    /// The rules themselves.
    pub fn iter(&self) -> impl Iterator<Item = &'p Rule> {
        self.numbers.iter().filter_map(|at| self.rules.get(*at))
    }
}

// === impl Route ===

impl Route<'_> {
    /// Whether nobody needs to be proven.
    pub fn is_open(&self) -> bool {
        // What refuses on trial lets pass, whoever calls.
        let matters = |rule: &&Rule| rule.mode == Mode::Enforce || rule.allow.is_some();
        matches!(self, Self::Rules(asked) if asked.iter().find(matters).is_some_and(|rule| rule.is_open()))
    }

    /// Whether all that decides is on trial, so that nobody may wait for it.
    pub fn is_shadowed(&self) -> bool {
        matches!(self, Self::Rules(asked)
            if asked.iter().all(|rule| rule.mode == Mode::Shadow)
                && asked.iter().last().is_some_and(|rule| rule.allow.is_some()))
    }
}

// === impl Judgement ===

impl Judgement {
    /// A refusal that no rule made.
    pub fn refused(denial: Denial) -> Self {
        Self { outcome: Err(denial), rule: None, mode: Mode::Enforce, shadowed: Vec::new() }
    }
}
