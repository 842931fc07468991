//! Validation of `rules`.

use super::problems::Problems;
use super::wire;
use super::{access, hints, names};
use crate::authz::accounts::{Accounts, Condition, Who};
use crate::authz::host::HostPattern;
use crate::authz::rule::{ArrivalPattern, PathPattern, Rule};
use crate::connection::Direction;
use std::rc::Rc;

/// The values that rules can refer to.
pub(super) struct Known<'k> {
    pub(super) issuer_names: &'k [String],
    pub(super) audiences: &'k [String],
}

/// The rules, in order; `None` if the configuration has no `rules`.
pub(super) fn check(
    wire: Option<Vec<wire::Rule>>,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Option<Vec<Rule>> {
    let wire = wire?;
    if wire.is_empty() {
        problems.add(
            "rules",
            "must not be empty, because no request would be allowed; add a rule, or remove `rules`",
        );
    }
    let mut names = std::collections::HashSet::new();
    let mut rules: Vec<Rule> = Vec::new();
    for (at, rule) in wire.into_iter().enumerate() {
        let path = format!("rules[{at}]");
        let name: Rc<str> = rule.name.clone().unwrap_or_else(|| path.clone()).into();
        if name.is_empty() || !names.insert(Rc::clone(&name)) {
            problems.add(
                format!("{path}.name"),
                format!("rule names must be unique and not empty: {name:?}"),
            );
        }
        rules.push(check_rule(&path, name, rule, known, problems));
    }
    Some(rules)
}

fn check_rule(
    path: &str,
    name: Rc<str>,
    wire: wire::Rule,
    known: &Known<'_>,
    problems: &mut Problems,
) -> Rule {
    if wire.allow.is_none() && wire.deny.is_none() {
        let fault =
            "required unless `deny` is set; list who may pass, for example [\"namespace/name\"]";
        problems.add(format!("{path}.allow"), fault);
    }
    let who = |field: &str, wire: Option<wire::Who>, problems: &mut Problems| {
        wire.map(|wire| check_who(&format!("{path}.{field}"), wire, known, problems))
    };
    let deny = who("deny", wire.deny, problems);
    let is_void = match (&deny, &wire.allow) {
        (Some(Who::Anyone), Some(_)) => true,
        (Some(Who::Authenticated), Some(allow)) => !matches!(allow, wire::Who::Anyone),
        (Some(Who::Listed(deny)), Some(wire::Who::Listed(allow))) => {
            let account = |entry: &wire::Entry| match entry {
                wire::Entry::Account(account) => deny.covers(account),
                wire::Entry::Conditions(one) => {
                    one.service_account.as_ref().is_some_and(|account| deny.covers(account))
                }
            };
            !allow.is_empty() && allow.iter().all(account)
        }
        _ => false,
    };
    if is_void {
        let fault =
            "`allow` has no effect: `deny` rejects all of these callers; remove one of them";
        problems.add(format!("{path}.allow"), fault);
    }
    let allow = who("allow", wire.allow, problems);
    Rule {
        name,
        hosts: hosts(path, wire.hosts, deny.is_some(), problems),
        methods: methods(path, wire.methods, problems),
        paths: paths(path, wire.paths, problems),
        arrival: arrival(path, wire.direction, wire.ports, problems),
        cors_preflight: wire.cors_preflight.unwrap_or(false),
        deny,
        allow,
        mode: names::mode(wire.mode),
    }
}

/// Reports unreachable rules.
pub(super) fn check_reachable(
    unreachable: &[(usize, usize)],
    rules: &[Rc<str>],
    problems: &mut Problems,
) {
    for (at, by) in unreachable {
        let earlier = rules.get(*by).map_or("", |name| name);
        problems.add(
            format!("rules[{at}]"),
            format!(
                "unreachable: rule {earlier:?} above matches every request this rule matches; move \
                 or remove it"
            ),
        );
    }
}

fn hosts(
    path: &str,
    wire: Option<Vec<String>>,
    denies: bool,
    problems: &mut Problems,
) -> Option<Vec<HostPattern>> {
    let path = format!("{path}.hosts");
    let patterns = wire?;
    if patterns.is_empty() {
        problems.add(
            &path,
            "must not be empty, because the rule would match no request; list hosts, or remove \
             `hosts`",
        );
    }
    let mut parsed = Vec::new();
    for (at, pattern) in patterns.iter().enumerate() {
        match HostPattern::parse(pattern) {
            // A caller must not bypass `deny` by adding a port that the upstream ignores.
            Ok(pattern) if denies && pattern.has_no_port() => {
                let any = pattern.with_any_port().to_string();
                let fault = format!("a host with a port would bypass this `deny`; use {any:?}");
                problems.add(format!("{path}[{at}]"), fault);
            }
            Ok(pattern) => parsed.push(pattern),
            Err(fault) => problems.add(format!("{path}[{at}]"), fault),
        }
    }
    Some(parsed)
}

fn arrival(
    path: &str,
    direction: Option<wire::Direction>,
    ports: Option<Vec<u16>>,
    problems: &mut Problems,
) -> ArrivalPattern {
    if ports.as_ref().is_some_and(|ports| ports.is_empty() || ports.contains(&0)) {
        problems.add(
            format!("{path}.ports"),
            "must be a list of ports from 1 to 65535; to match every port, remove `ports`",
        );
    }
    ArrivalPattern {
        direction: direction.map(|direction| match direction {
            wire::Direction::Inbound => Direction::Inbound,
            wire::Direction::Outbound => Direction::Outbound,
        }),
        ports: ports.unwrap_or_default(),
    }
}

fn methods(path: &str, wire: Option<Vec<String>>, problems: &mut Problems) -> Option<Vec<String>> {
    let path = format!("{path}.methods");
    let methods = wire?;
    if methods.is_empty() {
        problems.add(
            &path,
            "must not be empty, because the rule would match no request; list methods, or remove \
             `methods`",
        );
    }
    for (at, method) in methods.iter().enumerate() {
        if method.is_empty()
            || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        {
            let fault = format!(
                "{method:?}: must be an upper-case method, for example \"GET\" (methods are case-sensitive)"
            );
            problems.add(format!("{path}[{at}]"), fault);
        }
    }
    Some(methods)
}

fn paths(
    path: &str,
    wire: Option<Vec<String>>,
    problems: &mut Problems,
) -> Option<Vec<PathPattern>> {
    let path = format!("{path}.paths");
    let patterns = wire?;
    if patterns.is_empty() {
        problems.add(
            &path,
            "must not be empty, because the rule would match no request; list paths, or remove \
             `paths`",
        );
    }
    let mut parsed = Vec::new();
    for (at, pattern) in patterns.iter().enumerate() {
        match PathPattern::parse(pattern) {
            Ok(pattern) => parsed.push(pattern),
            Err(fault) => problems.add(format!("{path}[{at}]"), fault),
        }
    }
    Some(parsed)
}

fn check_who(path: &str, wire: wire::Who, known: &Known<'_>, problems: &mut Problems) -> Who {
    let entries = match wire {
        wire::Who::Anyone => return Who::Anyone,
        wire::Who::Authenticated => return Who::Authenticated,
        wire::Who::Listed(entries) => entries,
        wire::Who::Kubernetes(wire) => {
            if path.ends_with(".deny") {
                let fault = "kubernetesRBAC is only supported in `allow`; list the accounts";
                problems.add(path, fault);
            }
            return Who::KubernetesRbac(access::rule(path, *wire, problems));
        }
    };
    if entries.is_empty() {
        problems.add(
            path,
            "must not be empty; list service accounts, for example [\"namespace/name\"]",
        );
    }
    let mut accounts = Accounts::default();
    for (at, entry) in entries.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        let (account, condition) = match entry {
            wire::Entry::Account(account) => (account, Condition::default()),
            wire::Entry::Conditions(wire) => conditions(&path, *wire, known, problems),
        };
        if let Err(fault) = accounts.add(&account, condition) {
            let form = hints::account(&account).filter(|form| *form != account);
            let hint = form.map_or(String::new(), |form| format!("; write {form:?}"));
            problems.add(path, format!("{account:?}: {fault}{hint}"));
        }
    }
    Who::Listed(accounts)
}

fn conditions(
    path: &str,
    wire: wire::Conditions,
    known: &Known<'_>,
    problems: &mut Problems,
) -> (String, Condition) {
    let mut refers = |field: &str, value: &Option<String>, there: &[String]| {
        if let Some(value) = value.as_ref().filter(|value| !there.contains(value)) {
            let there = there.join(", ");
            problems.add(format!("{path}.{field}"), format!("{value:?}: expected one of {there}"));
        }
    };
    refers("issuerName", &wire.issuer_name, known.issuer_names);
    refers("audience", &wire.audience, known.audiences);
    for (field, value) in [("node", &wire.node), ("uid", &wire.uid)] {
        if value.as_ref().is_some_and(String::is_empty) {
            problems.add(
                format!("{path}.{field}"),
                "must not be empty; set a value, or remove the field",
            );
        }
    }
    if wire.pod_bound == Some(false) {
        problems
            .add(format!("{path}.podBound"), "must be true; to match all tokens, remove the field");
    }
    let account = match (wire.service_account, wire.namespace) {
        (Some(account), None) => account,
        (None, Some(namespace)) => format!("{namespace}/*"),
        (None, None) => "*/*".to_owned(),
        (Some(account), Some(_)) => {
            let fault =
                "not allowed with serviceAccount, which contains the namespace; remove `namespace`";
            problems.add(format!("{path}.namespace"), fault);
            account
        }
    };
    let condition = Condition {
        issuer_name: wire.issuer_name,
        audience: wire.audience,
        pod_bound: wire.pod_bound.unwrap_or(false),
        node: wire.node,
        uid: wire.uid,
    };
    if account == "*/*" && condition == Condition::default() {
        problems.add(path, "empty condition; use \"authenticated\" to match every service account");
    }
    (account, condition)
}
