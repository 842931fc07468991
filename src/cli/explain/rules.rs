//! The authorization steps: for each rule, whether and why it covers the request, and whom it allows.

use super::Case;
use super::page::{Mark, Page};
use super::record::Record;
use sa_authn::authz::Mode;
use sa_authn::authz::accounts::Who;
use sa_authn::authz::host::NormalHost;
use sa_authn::authz::mismatch::Mismatch;
use sa_authn::authz::path::NormalPath;
use sa_authn::authz::rule::{RequestAttributes, Rule};
use sa_authn::authz::trace::Part;
use sa_authn::connection::Connection;
use sa_authn::denial::Reason;
use sa_authn::headers::Headers;
use sa_authn::identity::Caller;
use serde_json::Value;

/// Adds the steps of all rules.
pub fn add(case: &Case, connection: &Connection, page: &mut Page) {
    let (settings, record) = (&case.config.settings, &case.judged.record);
    let covering = match &record.covering {
        Some(Ok(covering)) => covering,
        Some(Err(denial)) => {
            let said = format!("{}: {}", denial.reason().code(), denial.detail());
            return page.step(Mark::Bad, "rules", said);
        }
        None => return,
    };
    let (Some(rules), Some(covering)) = (settings.policy.rules(), covering) else {
        return page.step(
            Mark::Idle,
            "rules",
            "not configured: every service account of the issuers is allowed",
        );
    };
    let Ok(headers) = Headers::read(&case.map, &settings.index) else { return };
    let method = headers.method.unwrap_or_default();
    let request = RequestAttributes {
        method,
        cors_preflight: method == b"OPTIONS" && headers.origin && headers.cors_request_method,
        direction: connection.direction,
        port: connection.port,
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
    let is_covering = |rule: &&Rule| covering.contains(&rule.name);
    for rule in rules {
        if is_covering(&rule) && is_evaluated(rule, case) {
            evaluated(rule, case, page);
            continue;
        }
        let mismatches = rule.mismatches(host.as_ref(), path.as_ref(), &request);
        let said: Vec<_> =
            mismatches.into_iter().map(|what| mismatch(what, rule, host.as_ref())).collect();
        let said = match said.is_empty() {
            true => "not evaluated: an earlier rule decided".to_owned(),
            false => format!("does not cover the request: {}", said.join(", ")),
        };
        page.step(Mark::Idle, "rule", format!("{:?} {said}", rule.name));
    }
    for asked in &record.asked {
        let plan = format!("asks {} at {}", asked.authority, asked.path);
        page.step(Mark::Idle, "access", format!("{plan}: {}", spec(&asked.body)));
    }
    if !rules.iter().filter(is_covering).any(|rule| rule.allow.is_some()) {
        page.step(
            Mark::Idle,
            "rule",
            "no rule that covers the request has `allow`, so every caller is denied",
        );
    }
}

/// Whether the filter evaluated the rule, or would evaluate it for a caller that is known.
fn is_evaluated(rule: &Rule, case: &Case) -> bool {
    let evaluated = &case.judged.record.rules;
    evaluated.is_empty() || evaluated.iter().any(|(name, ..)| *name == rule.name)
}

/// The step of a rule that covers the request.
fn evaluated(rule: &Rule, case: &Case, page: &mut Page) {
    let (finished, record) = (case.judged.finished.as_ref(), &case.judged.record);
    let caller = finished.and_then(|finished| finished.caller.as_deref().ok());
    let (covers, (mark, said)) = match record.rule(&rule.name, Part::Ambiguity) {
        Some(Err(denial)) => {
            ("may cover the request", (Mark::Bad, format!("; {}", denial.reason().code())))
        }
        Some(Ok(())) | None => ("covers the request", decides(rule, caller, record)),
    };
    // The caller may still be authenticated with the keys or the review that this command lacks, and the access be allowed.
    let open = case.judged.lacks.is_some()
        && mark == Mark::Bad
        && (caller.is_none() || lacks_answer(rule, record));
    let mark = if open { Mark::Idle } else { mark };
    let decided = finished.is_some_and(|finished| finished.rule.as_ref() == Some(&rule.name));
    let (mark, said) = match rule.mode {
        Mode::Enforce => (mark, said),
        Mode::Shadow => shadow(mark, &said, decided),
    };
    page.step(mark, "rule", format!("{:?} {covers}{said}", rule.name));
}

/// Whether the rule allows the caller only if Kubernetes RBAC does, whose answer is not there.
fn lacks_answer(rule: &Rule, record: &Record) -> bool {
    let denial = record.rule(&rule.name, Part::Allow).and_then(|allowed| allowed.as_ref().err());
    denial.is_some_and(|denial| denial.reason() == Reason::AuthorizationUnavailable)
}

/// The spec of a SubjectAccessReview.
fn spec(body: &[u8]) -> String {
    let review = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let mut spec = review.get("spec").cloned().unwrap_or_default();
    spec.sort_all_objects();
    spec.to_string()
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

/// The decision of a rule on the caller. Without a record of it, no caller is known.
fn decides(rule: &Rule, caller: Option<&Caller>, record: &Record) -> (Mark, String) {
    let holds = |part| matches!(record.rule(&rule.name, part), Some(Ok(())));
    let mut said = String::new();
    if let Some(who) = &rule.deny {
        let denies = !holds(Part::Deny);
        said += &format!("; deny {}", describe(who, caller, denies));
        if denies {
            return (Mark::Bad, said);
        }
    }
    match &rule.allow {
        Some(who) => {
            let allows = holds(Part::Allow);
            let mark = if allows { Mark::Good } else { Mark::Bad };
            (mark, format!("{said}; allow {}", describe(who, caller, allows)))
        }
        None => (Mark::Idle, format!("{said}; continues with the next rule")),
    }
}

/// Why `who` matches the caller or not.
fn describe(who: &Who, caller: Option<&Caller>, matches: bool) -> String {
    let caller = caller.map(|caller| format!("{}/{}", caller.namespace(), caller.name()));
    match (who, caller) {
        (Who::Anyone, _) => "matches anyone".to_owned(),
        (Who::KubernetesRbac(_), None) => {
            "asks Kubernetes RBAC about an authenticated caller".to_owned()
        }
        (_, None) => "requires an authenticated caller, and this request has none".to_owned(),
        (Who::Authenticated, Some(caller)) => format!("matches {caller} (authenticated)"),
        (Who::KubernetesRbac(_), Some(_)) => "asks Kubernetes RBAC".to_owned(),
        (Who::Listed(_), Some(caller)) if matches => format!("lists {caller}"),
        (Who::Listed(_), Some(caller)) => {
            format!("does not list {caller}, or a condition does not match")
        }
    }
}
