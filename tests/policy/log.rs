//! The decision log: line budgets, dropped counts, and escaping of caller input.

use super::World;
use envoy_test::Token;
use envoy_test::token::assemble;
use sa_authn::decision_log::DecisionLog;
use sa_authn::denial::Reason;
use sa_authn::exchange::Finished;
use sa_authn::time::UnixTime;
use serde_json::{Value, json};
use std::time::Duration;

/// Requests of the three kinds that the log distinguishes, and a log.
struct Traffic {
    world: World,
    log: DecisionLog,
    now: UnixTime,
}

// === impl Traffic ===

impl Traffic {
    fn new() -> Self {
        let world = World::new(json!({ "rules": [{ "name": "api", "allow": ["api/api"] }] }));
        Self { world, log: DecisionLog::default(), now: UnixTime::from_secs(2_000_000_000) }
    }

    fn invalid(&mut self) -> Finished {
        let headers = crate::support::get("/", "a.b.c");
        self.world.core.judge(&headers).unwrap()
    }

    /// A request of `""`, `expired`, or an account.
    fn by(&mut self, caller: &str) -> Finished {
        let headers = self.world.request("GET", "/", caller);
        self.world.core.judge(&headers).unwrap()
    }

    /// A request that passes with `onOutage: acceptVerified`.
    fn unreviewed(&mut self) -> Finished {
        let why = Reason::ReviewUnavailable.because("the last review failed");
        Finished { unreviewed: Some(why), ..self.by("api/api") }
    }

    fn lines(&mut self, finished: &Finished, times: usize) -> Vec<Value> {
        let lines = (0..times).filter_map(|_| self.log.line(finished, self.now));
        lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    fn overdue(&mut self) -> Vec<Value> {
        let lines = self.log.overdue(self.now).into_iter();
        lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now.plus(Duration::from_millis(millis));
    }
}

#[test]
fn invalid_tokens_do_not_suppress_log_lines_of_authenticated_callers() {
    let mut traffic = Traffic::new();
    let (invalid, forbidden, unreviewed) =
        (traffic.invalid(), traffic.by("web/web"), traffic.unreviewed());
    assert_eq!(traffic.lines(&invalid, 1000).len(), 10);
    let lines = traffic.lines(&forbidden, 1);
    assert_eq!(lines[0]["reason"], "forbidden");
    assert_eq!(lines[0]["sub"], "system:serviceaccount:web:web");
    let lines = traffic.lines(&unreviewed, 1);
    assert_eq!(
        lines,
        [json!({
            "verdict": "allowed",
            "unreviewed": "the last review failed",
            "sub": "system:serviceaccount:api:api",
        })]
    );
    // The two kinds do not suppress each other.
    assert_eq!(traffic.lines(&forbidden, 1000).len(), 9);
    assert_eq!(traffic.lines(&unreviewed, 1000).len(), 9);
}

#[test]
fn next_log_line_reports_dropped_lines_by_reason() {
    let mut traffic = Traffic::new();
    let (invalid, expired, forbidden) =
        (traffic.invalid(), traffic.by("expired"), traffic.by("web/web"));
    assert_eq!(traffic.lines(&invalid, 100).len(), 10);
    assert_eq!(traffic.lines(&expired, 7).len(), 0);
    assert_eq!(traffic.lines(&forbidden, 12).len(), 10);
    traffic.wait(1000);
    let next = traffic.lines(&expired, 2);
    assert_eq!(next[0]["dropped"], json!({ "malformed_token": 90, "expired": 7 }));
    assert_eq!(next[1].get("dropped"), None, "reported once");
    assert_eq!(traffic.lines(&forbidden, 1)[0]["dropped"], json!({ "forbidden": 2 }));
}

#[test]
fn dropped_counts_are_logged_separately_if_no_line_follows() {
    let mut traffic = Traffic::new();
    let (invalid, forbidden, unreviewed) =
        (traffic.invalid(), traffic.by("web/web"), traffic.unreviewed());
    traffic.lines(&invalid, 100);
    traffic.lines(&unreviewed, 13);
    traffic.wait(999);
    assert_eq!(traffic.overdue(), [] as [Value; 0], "a line may still follow in this second");
    traffic.wait(1);
    let expected = [
        json!({ "callers": "unproven", "dropped": { "malformed_token": 90 } }),
        json!({ "callers": "unreviewed", "dropped": { "review_unavailable": 3 } }),
    ];
    assert_eq!(traffic.overdue(), expected);
    assert_eq!(traffic.overdue(), [] as [Value; 0], "reported once");
    traffic.lines(&forbidden, 11);
    let rest: Vec<Value> =
        traffic.log.rest().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rest, [json!({ "callers": "proven", "dropped": { "forbidden": 1 } })]);
}

#[test]
fn decision_log_continues_after_the_clock_steps_back() {
    let mut traffic = Traffic::new();
    let invalid = traffic.invalid();
    traffic.lines(&invalid, 100);
    traffic.now = traffic.now.minus(Duration::from_secs(3600));
    assert_eq!(traffic.lines(&invalid, 1)[0]["dropped"], json!({ "malformed_token": 90 }));
}

#[test]
fn shadow_denied_request_is_logged_and_counted_with_its_rule() {
    let mut traffic = Traffic::new();
    traffic.world = World::new(json!({ "rules": [
        { "name": "new", "deny": ["api/*"], "mode": "shadow" },
        { "name": "old", "allow": "anyone" },
    ] }));
    let allowed = traffic.by("api/api");
    let lines = traffic.lines(&allowed, 12);
    let sub = "system:serviceaccount:api:api";
    assert_eq!(lines[0], json!({ "verdict": "shadow_denied", "rule": "new", "sub": sub }));
    traffic.wait(1000);
    let expected = [json!({ "callers": "proven", "dropped": { "shadow_denied": 2 } })];
    assert_eq!(traffic.overdue(), expected);
}

/// C1 controls, DEL, bidirectional overrides, a line separator, a byte order mark, an escape sequence.
const HOSTILE: &str = "\u{85}\u{9b}\u{7f}\u{202e}\u{2066}\u{2028}\u{feff}\u{1b}[2J\r\n";

#[test]
fn caller_input_is_logged_as_printable_ascii() {
    let mut traffic = Traffic::new();
    let hostile = |name: &str| format!("{name}{HOSTILE}");
    let (kid, sub, iss, aud) = (hostile("kid"), hostile("sub"), hostile("iss"), hostile("aud"));
    let claims = Token::for_service_account("a", "b").audience(&aud).issuer(&iss);
    let claims = claims.claim("sub", json!(sub));
    let header = json!({ "alg": "ES256", "kid": kid }).to_string();
    let token = assemble(&header, &claims.claims().to_string(), |_| vec![1]);
    let mut headers = crate::support::get(&hostile("/p"), &token);
    let id = hostile("id");
    headers.push(("x-request-id".to_owned(), id.clone().into_bytes()));
    let finished = traffic.world.core.judge(&headers).unwrap();
    let line = traffic.log.line(&finished, traffic.now).unwrap();
    assert!(line.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{line}");
    let line: Value = serde_json::from_str(&line).unwrap();
    for (name, expected) in
        [("kid", &kid), ("sub", &sub), ("issuer", &iss), ("aud", &aud), ("request_id", &id)]
    {
        assert_eq!(line[name], **expected, "{name} in {line}");
    }
    assert_eq!(line["reason"], "unknown_issuer");
}
