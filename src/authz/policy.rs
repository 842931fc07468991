//! A request and its caller -> a permit, or a refusal. The first rule that covers a request decides.

use super::path::NormalPath;
use super::rule::{Allow, PathPattern, Rule, Segment};
use crate::authn::ServiceAccount;
use crate::verdict::{Denial, Reason};
use std::collections::HashMap;
use std::rc::Rc;

/// The rules, in an index: ten thousand cost a request what ten do.
#[derive(Debug, Default)]
pub struct Policy {
    /// `None`: no rules are configured, and every proven caller passes.
    rules: Option<Vec<Rule>>,
    /// Rules without paths, in order.
    anywhere: Vec<usize>,
    paths: Node,
    looks_at_paths: bool,
}

/// Which rule decides on a request.
#[derive(Clone, Copy, Debug)]
pub enum Route<'p> {
    /// None is configured.
    NoRules,
    /// This one.
    Rule(&'p Rule),
    /// There are rules, and none covers it.
    Uncovered,
}

/// Leave to pass, and by which rule. Only [`Policy::decide`] makes one.
#[derive(Debug)]
pub struct Permit {
    rule: Option<Rc<str>>,
}

/// One segment of a path in the tree of all patterns.
#[derive(Debug, Default)]
struct Node {
    literal: HashMap<String, Node>,
    any: Option<Box<Node>>,
    /// Rules whose pattern ends here, in order.
    here: Vec<usize>,
    /// Rules whose pattern is everything below, in order.
    below: Vec<usize>,
}

// === impl Policy ===

impl Policy {
    /// Indexes `rules`; `None` lets every proven caller pass.
    pub fn new(rules: Option<Vec<Rule>>) -> Self {
        let mut policy = Self::default();
        for (at, rule) in rules.iter().flatten().enumerate() {
            match &rule.paths {
                None => policy.anywhere.push(at),
                Some(patterns) => {
                    policy.looks_at_paths = true;
                    patterns.iter().for_each(|pattern| policy.paths.insert(pattern, at));
                }
            }
        }
        Self { rules, ..policy }
    }

    /// Finds the rule that decides. A request whose method or path is missing is refused, and one
    /// whose path is ambiguous where any rule looks at paths.
    pub fn route(&self, method: Option<&[u8]>, path: Option<&[u8]>) -> Result<Route<'_>, Denial> {
        let (Some(method), Some(path)) = (method, path) else {
            return Err(Reason::AmbiguousPath.because("no :method or no :path"));
        };
        let Some(rules) = &self.rules else { return Ok(Route::NoRules) };
        let covers = |at: &usize| rules.get(*at).is_some_and(|rule| rule.covers_method(method));
        let mut first = self.anywhere.iter().copied().find(|at| covers(at));
        if self.looks_at_paths {
            let path = NormalPath::parse(path)?;
            let segments: Vec<_> = path.segments().collect();
            self.paths.visit(&segments, &mut |candidates| {
                let found = candidates.iter().copied().find(|at| covers(at));
                first = first.into_iter().chain(found).min();
            });
        }
        Ok(first.and_then(|at| rules.get(at)).map_or(Route::Uncovered, Route::Rule))
    }

    /// Decides on a request by its route. `caller` is who was proven, or why nobody was.
    pub fn decide(
        &self,
        route: Route<'_>,
        caller: Result<&ServiceAccount, &Denial>,
    ) -> Result<Permit, Denial> {
        let rule = match route {
            Route::Rule(rule) => Some(rule),
            Route::NoRules | Route::Uncovered => None,
        };
        if let Some(Rule { name, allow: Allow::Anyone, .. }) = rule {
            return Ok(Permit { rule: Some(Rc::clone(name)) });
        }
        let caller = caller.map_err(Denial::clone)?;
        match (route, rule.map(|rule| &rule.allow)) {
            (Route::NoRules, _) | (_, Some(Allow::Anyone | Allow::Authenticated)) => {}
            (_, Some(Allow::Listed(accounts))) if accounts.contains(caller) => {}
            (_, Some(Allow::Listed(_))) => return Err(forbidden(caller, rule)),
            (Route::Rule(_) | Route::Uncovered, None) => return Err(forbidden(caller, rule)),
        }
        Ok(Permit { rule: rule.map(|rule| Rc::clone(&rule.name)) })
    }
}

fn forbidden(caller: &ServiceAccount, rule: Option<&Rule>) -> Denial {
    let by = rule.map_or("no rule covers the request".to_owned(), |rule| {
        format!("rule {:?} does not list it", rule.name)
    });
    Reason::Forbidden.because(format!("{}/{}: {by}", caller.namespace(), caller.name()))
}

// === impl Route ===

impl Route<'_> {
    /// Whether nobody needs to be proven.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Rule(Rule { allow: Allow::Anyone, .. }))
    }
}

// === impl Permit ===

impl Permit {
    /// The rule that let the request in; `None` where no rules are configured.
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }
}

// === impl Node ===

impl Node {
    fn insert(&mut self, pattern: &PathPattern, rule: usize) {
        let mut node = self;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(word) => node.literal.entry(word.clone()).or_default(),
                Segment::Any => node.any.get_or_insert_default(),
            };
        }
        if pattern.below { node.below.push(rule) } else { node.here.push(rule) }
    }

    /// Shows `see` the rules of every pattern that matches.
    fn visit(&self, segments: &[&str], see: &mut impl FnMut(&[usize])) {
        let Some((segment, rest)) = segments.split_first() else { return see(&self.here) };
        see(&self.below);
        if let Some(node) = self.literal.get(*segment) {
            node.visit(rest, see);
        }
        if let Some(node) = &self.any
            && !segment.is_empty()
        {
            node.visit(rest, see);
        }
    }
}
