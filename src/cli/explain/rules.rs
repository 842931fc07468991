//! MAY THEY PASS? Each rule, and why it covers the request, or does not; whom it lets in.

use super::Case;
use super::page::{Mark, Page};
use sa_authn::authn::ServiceAccount;
use sa_authn::authz::accounts::{Missing, Who};
use sa_authn::authz::host::NormalHost;
use sa_authn::authz::mismatch::Mismatch;
use sa_authn::authz::path::NormalPath;
use sa_authn::authz::policy::Route;
use sa_authn::authz::rule::{Circumstances, Rule};
use sa_authn::connection::Connection;
use sa_authn::headers::Headers;
use sa_authn::identity::Caller;
use sa_authn::verdict::Mode;

/// Tells of every rule.
pub fn tell(case: &Case, connection: &Connection, page: &mut Page) {
    let settings = &case.config.settings;
    let Ok(headers) = Headers::read(&case.map, &settings.index) else { return };
    let Some(rules) = settings.policy.rules() else {
        return page.say(
            Mark::Idle,
            "rules",
            "none: every service account of the issuers may pass",
        );
    };
    let method = headers.method.unwrap_or_default();
    let request = Circumstances {
        method,
        cors_preflight: method == b"OPTIONS" && headers.origin && headers.cors_request_method,
        direction: connection.direction,
        port: connection.port,
    };
    let asked = match settings.policy.route(headers.authority, headers.path, &request) {
        Ok(Route::Rules(asked)) => asked,
        Ok(Route::NoRules) => return,
        Err(denial) => {
            return page.say(
                Mark::Bad,
                "rules",
                format!("{}: {}", denial.reason().code(), denial.detail()),
            );
        }
    };
    let looks_at = settings.policy.looks_at();
    let host =
        NormalHost::parse(headers.authority.unwrap_or_default()).ok().filter(|_| looks_at.hosts);
    let path =
        headers.path.filter(|_| looks_at.paths).and_then(|path| NormalPath::parse(path).ok());
    if let Some(path) = &path {
        page.note("path", format!("{:?}, as rules compare it", path.text()));
    }
    if let Some(host) = &host {
        page.note("host", format!("{:?}, as rules compare it", host.to_string()));
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
            // Who calls may yet be proven, by what this command lacks.
            let open = case.judged.lacks.is_some() && account.is_none() && mark == Mark::Bad;
            let mark = if open { Mark::Idle } else { mark };
            let decided = finished.is_some_and(|finished| finished.rule.as_ref() == Some(name));
            let (mark, said) = match rule.mode {
                Mode::Enforce => (mark, said),
                Mode::Shadow => shadow(mark, &said, decided),
            };
            let covers = if asked.unclear(rule).is_some() { "may cover it" } else { "covers it" };
            page.say(mark, "rule", format!("{name:?} {covers}{said}"));
            continue;
        }
        let mismatches = rule.mismatches(host.as_ref(), path.as_ref(), &request);
        let said: Vec<_> =
            mismatches.into_iter().map(|what| mismatch(what, rule, host.as_ref())).collect();
        let said = match said.is_empty() {
            true => "was not asked: an earlier one decided".to_owned(),
            false => format!("does not cover it: {}", said.join(", ")),
        };
        page.say(Mark::Idle, "rule", format!("{name:?} {said}"));
    }
    if !asked.iter().any(|rule| rule.allow.is_some()) {
        page.say(Mark::Idle, "rule", "no rule that covers it has `allow`: every caller is denied");
    }
}

/// The same for a shadow rule, which decides only where no enforced rule does.
fn shadow(mark: Mark, said: &str, decided: bool) -> (Mark, String) {
    let would = if mark == Mark::Bad { ": would deny" } else { "" };
    let mark = if decided { mark } else { Mark::Idle };
    (mark, format!(" in shadow mode{said}{would}"))
}

fn mismatch(what: Mismatch, rule: &Rule, host: Option<&NormalHost>) -> String {
    match what {
        Mismatch::Host => "another host".to_owned(),
        Mismatch::HostPort => {
            let pattern = host.and_then(|host| Some((host, rule.host_but_for_port(host)?)));
            let Some((host, pattern)) = pattern else {
                return "another port of the host".to_owned();
            };
            format!(
                "host {:?} differs from {:?} by its port (this port: {:?}, any port: {:?})",
                host.to_string(),
                pattern.to_string(),
                pattern.with_port_of(host).to_string(),
                pattern.with_any_port().to_string(),
            )
        }
        Mismatch::Path => "another path".to_owned(),
        Mismatch::Method => format!(
            "another method than {}",
            rule.methods.iter().flatten().cloned().collect::<Vec<_>>().join(", ")
        ),
        Mismatch::Direction => "another direction".to_owned(),
        Mismatch::Port => format!("another port than {:?}", rule.arrival.ports),
        Mismatch::CorsPreflight => "no CORS preflight".to_owned(),
    }
}

/// What a rule that is asked says of the caller.
fn decides(rule: &Rule, account: Option<&ServiceAccount>) -> (Mark, String) {
    let mut said = String::new();
    if let Some(who) = &rule.deny {
        let meant = is_meant(who, account, Missing::Holds);
        said += &format!("; deny {}", describe(who, account, Missing::Holds));
        if meant != Some(false) {
            return (Mark::Bad, said);
        }
    }
    match &rule.allow {
        Some(who) => {
            let meant = is_meant(who, account, Missing::Fails) == Some(true);
            let mark = if meant { Mark::Good } else { Mark::Bad };
            (mark, format!("{said}; allow {}", describe(who, account, Missing::Fails)))
        }
        None => (Mark::Idle, format!("{said}; on to the next")),
    }
}

/// `None`: that depends on who calls, and nobody was proven.
fn is_meant(who: &Who, account: Option<&ServiceAccount>, missing: Missing) -> Option<bool> {
    match who {
        Who::Anyone => Some(true),
        Who::Authenticated => account.map(|_| true),
        Who::Listed(accounts) => account.map(|account| accounts.contains(account, missing)),
    }
}

fn describe(who: &Who, account: Option<&ServiceAccount>, missing: Missing) -> String {
    let caller = account.map(|account| format!("{}/{}", account.namespace(), account.name()));
    match (who, caller) {
        (Who::Anyone, _) => "says anyone".to_owned(),
        (_, None) => "is for callers who are proven, and nobody is".to_owned(),
        (Who::Authenticated, Some(caller)) => format!("says authenticated, as {caller} is"),
        (Who::Listed(accounts), Some(caller)) => {
            let lists = account.is_some_and(|account| accounts.contains(account, missing));
            if lists {
                format!("lists {caller}")
            } else {
                format!("does not list {caller}, or more must hold")
            }
        }
    }
}
