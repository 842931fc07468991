//! The authorization steps: for each rule, whether and why it covers the request, and whom it allows.

use super::Case;
use super::page::{Mark, Page};
use sa_authn::authn::ServiceAccount;
use sa_authn::authz::Mode;
use sa_authn::authz::accounts::{Missing, Who};
use sa_authn::authz::host::NormalHost;
use sa_authn::authz::mismatch::Mismatch;
use sa_authn::authz::path::NormalPath;
use sa_authn::authz::policy::MatchedRules;
use sa_authn::authz::rule::{RequestAttributes, Rule};
use sa_authn::connection::Connection;
use sa_authn::headers::Headers;
use sa_authn::identity::Caller;

/// Adds the steps of all rules.
pub fn add(case: &Case, connection: &Connection, page: &mut Page) {
    let settings = &case.config.settings;
    let Ok(headers) = Headers::read(&case.map, &settings.index) else { return };
    let Some(rules) = settings.policy.rules() else {
        return page.step(
            Mark::Idle,
            "rules",
            "not configured: every service account of the issuers is allowed",
        );
    };
    let method = headers.method.unwrap_or_default();
    let request = RequestAttributes {
        method,
        cors_preflight: method == b"OPTIONS" && headers.origin && headers.cors_request_method,
        direction: connection.direction,
        port: connection.port,
    };
    let matched = settings.policy.matching_rules(headers.authority, headers.path, &request);
    let asked = match matched.as_ref().map(MatchedRules::asked) {
        Ok(Some(asked)) => asked,
        Ok(None) => return,
        Err(denial) => {
            return page.step(
                Mark::Bad,
                "rules",
                format!("{}: {}", denial.reason().code(), denial.detail()),
            );
        }
    };
    let matched_fields = settings.policy.matched_fields();
    let host = NormalHost::parse(headers.authority.unwrap_or_default())
        .ok()
        .filter(|_| matched_fields.hosts);
    let path =
        headers.path.filter(|_| matched_fields.paths).and_then(|path| NormalPath::parse(path).ok());
    if let Some(path) = &path {
        page.note("path", format!("{:?} in normal form", path.text()));
    }
    if let Some(host) = &host {
        page.note("host", format!("{:?} in normal form", host.to_string()));
    }
    let finished = case.judged.finished.as_ref();
    let account =
        finished.and_then(|finished| finished.caller.as_deref().ok()).map(Caller::account);
    for rule in rules {
        let name = &rule.name;
        if asked.iter().any(|other| std::ptr::eq(other, rule)) {
            let (mark, said) = match asked.unclear(rule) {
                Some(denial) => (Mark::Bad, format!("; {}", denial.reason().code())),
                None => decides(rule, account),
            };
            // The caller may still be authenticated with the keys or the review that this command lacks.
            let open = case.judged.lacks.is_some() && account.is_none() && mark == Mark::Bad;
            let mark = if open { Mark::Idle } else { mark };
            let decided = finished.is_some_and(|finished| finished.rule.as_ref() == Some(name));
            let (mark, said) = match rule.mode {
                Mode::Enforce => (mark, said),
                Mode::Shadow => shadow(mark, &said, decided),
            };
            let covers = if asked.unclear(rule).is_some() {
                "may cover the request"
            } else {
                "covers the request"
            };
            page.step(mark, "rule", format!("{name:?} {covers}{said}"));
            continue;
        }
        let mismatches = rule.mismatches(host.as_ref(), path.as_ref(), &request);
        let said: Vec<_> =
            mismatches.into_iter().map(|what| mismatch(what, rule, host.as_ref())).collect();
        let said = match said.is_empty() {
            true => "not evaluated: an earlier rule decided".to_owned(),
            false => format!("does not cover the request: {}", said.join(", ")),
        };
        page.step(Mark::Idle, "rule", format!("{name:?} {said}"));
    }
    if !asked.iter().any(|rule| rule.allow.is_some()) {
        page.step(
            Mark::Idle,
            "rule",
            "no rule that covers the request has `allow`, so every caller is denied",
        );
    }
}

/// The step of a shadow rule, which decides only if no enforced rule does.
fn shadow(mark: Mark, said: &str, decided: bool) -> (Mark, String) {
    let would = if mark == Mark::Bad { ": would deny" } else { "" };
    let mark = if decided { mark } else { Mark::Idle };
    (mark, format!(" in shadow mode{said}{would}"))
}

fn mismatch(what: Mismatch, rule: &Rule, host: Option<&NormalHost>) -> String {
    match what {
        Mismatch::Host => "host differs".to_owned(),
        Mismatch::HostPort => {
            let pattern = host.and_then(|host| Some((host, rule.host_but_for_port(host)?)));
            let Some((host, pattern)) = pattern else {
                return "port of the host differs".to_owned();
            };
            format!(
                "host {:?} differs from {:?} by its port (this port: {:?}, any port: {:?})",
                host.to_string(),
                pattern.to_string(),
                pattern.with_port_of(host).to_string(),
                pattern.with_any_port().to_string(),
            )
        }
        Mismatch::Path => "path differs".to_owned(),
        Mismatch::Method => format!(
            "method is not one of {}",
            rule.methods.iter().flatten().cloned().collect::<Vec<_>>().join(", ")
        ),
        Mismatch::Direction => "direction differs".to_owned(),
        Mismatch::Port => format!("port is not one of {:?}", rule.arrival.ports),
        Mismatch::CorsPreflight => "not a CORS preflight".to_owned(),
    }
}

/// The decision of a rule on the caller.
fn decides(rule: &Rule, account: Option<&ServiceAccount>) -> (Mark, String) {
    let mut said = String::new();
    if let Some(who) = &rule.deny {
        let meant = matches_caller(who, account, Missing::Holds);
        said += &format!("; deny {}", describe(who, account, Missing::Holds));
        if meant != Some(false) {
            return (Mark::Bad, said);
        }
    }
    match &rule.allow {
        Some(who) => {
            let meant = matches_caller(who, account, Missing::Fails) == Some(true);
            let mark = if meant { Mark::Good } else { Mark::Bad };
            (mark, format!("{said}; allow {}", describe(who, account, Missing::Fails)))
        }
        None => (Mark::Idle, format!("{said}; continues with the next rule")),
    }
}

/// Whether `who` matches the caller; `None` if it depends on the caller, and no caller is authenticated.
fn matches_caller(who: &Who, account: Option<&ServiceAccount>, missing: Missing) -> Option<bool> {
    match who {
        Who::Anyone => Some(true),
        Who::Authenticated => account.map(|_| true),
        Who::Listed(accounts) => account.map(|account| accounts.contains(account, missing)),
    }
}

fn describe(who: &Who, account: Option<&ServiceAccount>, missing: Missing) -> String {
    let caller = account.map(|account| format!("{}/{}", account.namespace(), account.name()));
    match (who, caller) {
        (Who::Anyone, _) => "matches anyone".to_owned(),
        (_, None) => "requires an authenticated caller, and this request has none".to_owned(),
        (Who::Authenticated, Some(caller)) => format!("matches {caller} (authenticated)"),
        (Who::Listed(accounts), Some(caller)) => {
            let lists = account.is_some_and(|account| accounts.contains(account, missing));
            if lists {
                format!("lists {caller}")
            } else {
                format!("does not list {caller}, or a condition does not match")
            }
        }
    }
}
