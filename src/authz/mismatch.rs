//! The reasons why a rule does not cover a request.
//!
//! Only the command line needs them. The filter finds the rules that cover a request with
//! [`super::policy::Policy::matching_rules`].

use super::host::{HostPattern, NormalHost};
use super::index::RuleIndex;
use super::path::NormalPath;
use super::rule::{PathPattern, RequestAttributes, Rule};

/// An attribute of a request that a rule does not cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The host.
    Host,
    /// The port of the host: another one, or a port although the rule has none.
    HostPort,
    /// The path.
    Path,
    /// The method.
    Method,
    /// The listener's direction.
    Direction,
    /// The listener's port.
    Port,
    /// The request is not a CORS preflight.
    CorsPreflight,
}

// === impl Rule ===

impl Rule {
    /// The attributes of a request that the rule does not cover. `host` and `path` are `None` if no rule depends on
    /// them.
    pub fn mismatches(
        &self,
        host: Option<&NormalHost>,
        path: Option<&NormalPath<'_>>,
        request: &RequestAttributes<'_>,
    ) -> Vec<Mismatch> {
        let by_port = host.is_some_and(|host| self.host_but_for_port(host).is_some());
        let method =
            |names: &Vec<String>| names.iter().any(|name| name.as_bytes() == request.method);
        let arrival = &self.arrival;
        let direction = arrival.direction.is_none_or(|wanted| request.direction == Some(wanted));
        let ports = &arrival.ports;
        let port = ports.is_empty() || request.port.is_some_and(|port| ports.contains(&port));
        let held = [
            (Mismatch::Host, host.is_none_or(|host| by_port || self.covers_host(host))),
            (Mismatch::HostPort, !by_port),
            (Mismatch::Path, path.is_none_or(|path| self.covers_path(path))),
            (Mismatch::Method, self.methods.as_ref().is_none_or(method)),
            (Mismatch::Direction, direction),
            (Mismatch::Port, port),
            (Mismatch::CorsPreflight, !self.cors_preflight || request.cors_preflight),
        ];
        held.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| what).collect()
    }

    /// The pattern of the rule that covers the host but not its port.
    pub fn host_but_for_port(&self, host: &NormalHost) -> Option<&HostPattern> {
        let mut patterns = self.hosts.iter().flatten();
        let found = patterns.find(|pattern| covers(&pattern.with_any_port(), host))?;
        (!self.covers_host(host)).then_some(found)
    }

    fn covers_host(&self, host: &NormalHost) -> bool {
        self.hosts
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| covers(pattern, host)))
    }

    fn covers_path(&self, path: &NormalPath<'_>) -> bool {
        let Some(patterns) = &self.paths else { return true };
        let mut index = RuleIndex::default();
        patterns.iter().for_each(|path| index.insert(None, path, 0));
        !index.find(None, path).is_empty()
    }
}

/// Uses the index, so that the command line and the filter agree.
fn covers(pattern: &HostPattern, host: &NormalHost) -> bool {
    let mut index = RuleIndex::default();
    index.insert(Some(pattern), &PathPattern::EVERYTHING, 0);
    !index.find(Some(host), &NormalPath::root()).is_empty()
}
