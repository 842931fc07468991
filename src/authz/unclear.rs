//! Finds the rules to evaluate if the host, the path or the method of a request has two readings.

use super::index::Numbers;
use super::rule::{PathPattern, RequestAttributes, Rule};
use crate::authz::Mode;
use crate::denial::{Denial, Reason};

/// The attributes of a request that have two readings, each with its denial. Of the rules that use them, only shadow rules
/// are evaluated.
#[derive(Clone, Debug)]
pub(super) struct Unclear {
    pub(super) host: Option<Denial>,
    pub(super) path: Option<Denial>,
    pub(super) method: Option<Denial>,
    /// Whether shadow rules name the method: for them it is clear.
    pub(super) shadow_knows_method: bool,
}

// === impl Unclear ===

impl Unclear {
    /// The rules up to the first enforced one with `allow`, or the denial by the first enforced rule that looks at what
    /// is unclear.
    ///
    /// `clear` are the rules that cover the host and the path as far as these are clear, in order.
    #[cold]
    pub(super) fn rules_of_each_reading(
        &self,
        rules: &[Rule],
        clear: &Numbers,
        request: &RequestAttributes<'_>,
    ) -> Result<Numbers, Denial> {
        let (mut numbers, mut shadowed) = (Numbers::new(), false);
        for (at, rule) in rules.iter().enumerate() {
            let covers_method = self.has_unclear_method(rule) || rule.covers_method(request);
            if !covers_method || !rule.covers_arrival(request) {
                continue;
            }
            let is_clear = clear.binary_search(&at).is_ok();
            match (self.denial(rule, is_clear), rule.mode) {
                (Some(denial), Mode::Enforce) => return Err(denial.clone()),
                (None, _) if !is_clear => continue,
                (_, _) => numbers.push(at),
            }
            if rule.is_last() {
                return Ok(numbers);
            }
            // A rule that covers only one of the readings must not let the request pass.
            shadowed |= is_clear && rule.is_shadow_allow() && self.leaves_covered(rule);
        }
        if shadowed { Ok(numbers) } else { Err(self.first_denial()) }
    }

    /// The denial of a rule that looks at what is unclear; `None` where it does not. A rule that does not cover the
    /// host or the path is not compared with the method.
    pub(super) fn denial(&self, rule: &Rule, is_clear: bool) -> Option<&Denial> {
        let host = self.host.as_ref().filter(|_| rule.hosts.is_some());
        let path = self.path.as_ref().filter(|_| rule.looks_at_path());
        let looks_at_method = is_clear && rule.looks_at_method() && self.has_unclear_method(rule);
        let method = self.method.as_ref().filter(|_| looks_at_method);
        host.or(path).or(method)
    }

    fn has_unclear_method(&self, rule: &Rule) -> bool {
        self.method.is_some() && !(self.shadow_knows_method && rule.mode == Mode::Shadow)
    }

    /// Whether a rule that covers what is clear covers every reading of the rest.
    fn leaves_covered(&self, rule: &Rule) -> bool {
        let every = |paths: &Vec<PathPattern>| paths.contains(&PathPattern::EVERYTHING);
        let path = self.path.is_none() || rule.paths.as_ref().is_none_or(every);
        let host = self.host.is_none() || rule.hosts.is_none();
        path && host && (!self.has_unclear_method(rule) || !rule.looks_at_method())
    }

    /// The denial where no rule decides.
    fn first_denial(&self) -> Denial {
        let first = self.host.as_ref().or(self.path.as_ref()).or(self.method.as_ref());
        let nothing = || Reason::Internal.because("nothing of the request is unclear");
        first.map_or_else(nothing, Denial::clone)
    }
}
