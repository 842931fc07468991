//! `rules`: what they cover and whom they let in, checked as far as a mistake can be seen.

use super::problems::Problems;
use super::wire;
use crate::authz::rule::{Accounts, Allow, Condition, PathPattern, Rule};
use std::rc::Rc;

/// The rules, in order; `None` where the configuration has none.
pub(super) fn check(
    wire: Option<Vec<wire::Rule>>,
    issuer_names: &[&str],
    problems: &mut Problems,
) -> Option<Vec<Rule>> {
    let wire = wire?;
    if wire.is_empty() {
        problems.add("rules", "an empty list lets nobody in: add a rule, or leave it out");
    }
    let mut rules: Vec<Rule> = Vec::new();
    for (at, rule) in wire.into_iter().enumerate() {
        let path = format!("rules[{at}]");
        let name: Rc<str> = rule.name.clone().unwrap_or_else(|| path.clone()).into();
        if name.is_empty() || rules.iter().any(|other| other.name == name) {
            problems.add(format!("{path}.name"), format!("{name:?} must be a name of its own"));
        }
        rules.push(Rule {
            name,
            methods: methods(&path, rule.methods, problems),
            paths: paths(&path, rule.paths, problems),
            allow: allow(&path, rule.allow, issuer_names, problems),
        });
    }
    Some(rules)
}

fn methods(path: &str, wire: Option<Vec<String>>, problems: &mut Problems) -> Option<Vec<String>> {
    let path = format!("{path}.methods");
    let methods = wire?;
    if methods.is_empty() {
        problems.add(&path, "an empty list covers no request: name methods, or leave it out");
    }
    for (at, method) in methods.iter().enumerate() {
        if method.is_empty()
            || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
        {
            problems.add(
                format!("{path}[{at}]"),
                "must be a method in capitals, such as \"GET\": RFC 9110 tells get from GET",
            );
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
        problems.add(&path, "an empty list covers no request: name paths, or leave it out");
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

fn allow(
    path: &str,
    wire: Option<wire::Allow>,
    issuer_names: &[&str],
    problems: &mut Problems,
) -> Allow {
    let path = format!("{path}.allow");
    let entries = match wire {
        Some(wire::Allow::Anyone) => return Allow::Anyone,
        Some(wire::Allow::Authenticated) => return Allow::Authenticated,
        Some(wire::Allow::Listed(entries)) => entries,
        None => {
            problems
                .add(&path, "must be \"anyone\", \"authenticated\" or a list of namespace/name");
            Vec::new()
        }
    };
    if entries.is_empty() {
        problems.add(&path, "an empty list lets nobody in: name service accounts");
    }
    let mut accounts = Accounts::default();
    for (at, entry) in entries.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        let (account, condition) = match entry {
            wire::AllowEntry::Account(account) => (account, Condition::default()),
            wire::AllowEntry::Conditions(wire) => conditions(&path, wire, issuer_names, problems),
        };
        if let Err(fault) = accounts.add(&account, condition) {
            problems.add(path, format!("{account:?}: {fault}"));
        }
    }
    Allow::Listed(accounts)
}

fn conditions(
    path: &str,
    wire: wire::AllowConditions,
    issuer_names: &[&str],
    problems: &mut Problems,
) -> (String, Condition) {
    if wire.service_account.is_none() && wire.issuer_name.is_none() {
        problems.add(path, "must have serviceAccount or issuerName");
    }
    if let Some(name) = &wire.issuer_name
        && !issuer_names.contains(&name.as_str())
    {
        problems.add(
            format!("{path}.issuerName"),
            format!("{name:?} is no issuer's name; there is {}", issuer_names.join(", ")),
        );
    }
    let account = wire.service_account.unwrap_or_else(|| "*/*".to_owned());
    (account, Condition { issuer_name: wire.issuer_name })
}
