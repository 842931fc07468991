//! An additional rule: an `allow` rule at the end denies no request that passed before, and a shadow rule changes no
//! verdict of an enforced rule.

use super::Dice;
use crate::support::{Core, inline, pairs, with};
use envoy_test::{KeyKind, Pairs, SigningKey, Token};
use sa_authn::config::Config;
use sa_authn::verdict::Verdict;
use serde_json::{Value, json};

const PATHS: [&str; 10] = [
    "/a",
    "/a/b",
    "/a/b/c",
    "/b",
    "/a%2fb",
    "/b;x",
    "/a/../b",
    "/b/%61?q=%2f",
    "//a/b",
    "/a/..//b",
];
const HOSTS: [&str; 7] = [
    "a.example",
    "B.example:80",
    "b.example",
    "x.a.example",
    "x.a.example:8080",
    "a.example.",
    "a.example,b.example",
];
/// Methods of rules.
const METHODS: [&str; 4] = ["GET", "POST", "OPTIONS", "FROB"];
/// Methods of requests.
const SENT: [&str; 6] = ["GET", "POST", "OPTIONS", "post", "FROB", "OTHER"];
const PATTERNS: [&str; 6] = ["/a", "/a/*", "/a/*/c", "/b", "/*", "/a/b"];
const HOST_PATTERNS: [&str; 6] =
    ["a.example", "*.example", "b.example:80", "b.example:*", "*.example:*", "*.a.example:8080"];
const ACCOUNTS: [&str; 5] = ["api/api", "api/*", "web/web", "*/web", "*/*"];

fn callers(dice: &mut Dice) -> Value {
    match dice.below(4) {
        0 => json!("anyone"),
        1 => json!("authenticated"),
        _ => json!([dice.one(&ACCOUNTS)]),
    }
}

fn rule(dice: &mut Dice) -> Value {
    let mut rule = json!({});
    if dice.below(2) == 0 {
        rule["paths"] = json!([dice.one(&PATTERNS)]);
    }
    if dice.below(3) == 0 {
        rule["hosts"] = json!([dice.one(&HOST_PATTERNS)]);
    }
    if dice.below(2) == 0 {
        rule["methods"] = json!([dice.one(&METHODS)]);
    }
    if dice.below(8) == 0 {
        rule["corsPreflight"] = json!(true);
    }
    rule
}

/// A rule of any kind, except a shadow rule with `allow`.
fn any_rule(dice: &mut Dice) -> Value {
    let mut rule = rule(dice);
    let kind = dice.below(4);
    if kind != 0 {
        rule["allow"] = callers(dice);
    }
    if kind < 2 {
        rule["deny"] = callers(dice);
    }
    // A shadow rule with `allow` decides only until an enforced rule is added after it.
    if kind == 0 && dice.below(2) == 0 {
        rule["mode"] = json!("shadow");
    }
    rule
}

/// A rule with `allow` and without `deny`.
fn allowing(dice: &mut Dice) -> Value {
    let mut rule = rule(dice);
    rule["allow"] = callers(dice);
    rule
}

fn request(dice: &mut Dice, tokens: &[String]) -> Pairs {
    let (method, path, host) = (dice.one(&SENT), dice.one(&PATHS), dice.one(&HOSTS));
    let mut headers = vec![(":authority", host), (":method", method), (":path", path)];
    let bearer = tokens.get(dice.below(tokens.len() + 1)).map(|token| format!("Bearer {token}"));
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    if dice.below(3) == 0 {
        headers.extend([("origin", "https://a.example"), ("access-control-request-method", "GET")]);
    }
    pairs(&headers)
}

/// A core with these rules; `None` if they are invalid, for example because a rule is unreachable.
fn core(base: &Value, rules: &[Value]) -> Option<Core> {
    let config = with(base.clone(), json!({ "rules": rules }));
    Config::parse(config.to_string().as_bytes()).ok().map(|_| Core::new(&config))
}

#[test]
fn additional_allow_rule_denies_no_request_that_passed_before() {
    let key = SigningKey::generate(KeyKind::P256);
    let sign = |namespace, name| Token::for_service_account(namespace, name).sign(&key);
    let tokens = [sign("api", "api"), sign("web", "web"), "a.b.c".to_owned()];
    let (base, mut dice) = (inline(&[&key]), Dice(2026));
    let (mut policies, mut passed_before, mut newly) = (0, 0, 0);
    while policies < 800 {
        let count = 1 + dice.below(4);
        let mut rules: Vec<_> = (0..count).map(|_| any_rule(&mut dice)).collect();
        let before = core(&base, &rules);
        rules.push(allowing(&mut dice));
        let (Some(mut before), Some(mut after)) = (before, core(&base, &rules)) else { continue };
        policies += 1;
        for _ in 0..60 {
            let request = request(&mut dice, &tokens);
            let passed = before.outcome(&request).passes();
            let passes = after.outcome(&request).passes();
            assert!(passes || !passed, "{request:?} no longer passes with {rules:#?}");
            passed_before += usize::from(passed);
            newly += usize::from(passes && !passed);
        }
    }
    // Otherwise the test would prove nothing.
    assert!(
        passed_before > 1500 && newly > 500,
        "{passed_before} passed before, {newly} only with the last rule"
    );
}

/// The verdict with its reason, the rule that decides, and the edits of the headers.
fn verdict(core: &mut Core, request: &Pairs) -> String {
    let finished = core.judge(request).expect("keys are there");
    let verdict = match &finished.verdict {
        Verdict::Allow(_, edits) => format!("allow {edits:?}"),
        Verdict::Deny(denial) => format!("deny {denial:?}"),
        Verdict::Shadow(permit, edits) => format!("shadow {permit:?} {edits:?}"),
    };
    format!("{:?}: {verdict}", finished.rule)
}

#[test]
fn shadow_rule_does_not_change_the_verdict_of_an_enforced_rule() {
    let key = SigningKey::generate(KeyKind::P256);
    let sign = |namespace, name| Token::for_service_account(namespace, name).sign(&key);
    let tokens = [sign("api", "api"), sign("web", "web"), "a.b.c".to_owned()];
    let (base, mut dice) = (inline(&[&key]), Dice(5));
    let (mut policies, mut recorded) = (0, 0);
    while policies < 400 {
        let count = dice.below(4);
        let mut rules: Vec<_> = (0..count).map(|_| any_rule(&mut dice)).collect();
        // So that an enforced rule decides every request.
        rules.push(json!({ "allow": callers(&mut dice) }));
        for (at, rule) in rules.iter_mut().enumerate() {
            rule["name"] = json!(format!("rule {at}"));
            rule["mode"] = json!("enforce");
        }
        let before = core(&base, &rules);
        for at in 0..=dice.below(3) {
            let mut shadow = any_rule(&mut dice);
            shadow["name"] = json!(format!("shadow {at}"));
            shadow["mode"] = json!("shadow");
            rules.insert(dice.below(rules.len()), shadow);
        }
        let (Some(mut before), Some(mut after)) = (before, core(&base, &rules)) else { continue };
        policies += 1;
        for _ in 0..60 {
            let request = request(&mut dice, &tokens);
            let expected = verdict(&mut before, &request);
            let found = verdict(&mut after, &request);
            assert_eq!(found, expected, "{request:?} with {rules:#?}");
            let judged = after.judge(&request).expect("keys are there");
            recorded += usize::from(!judged.shadow_denied_by.is_empty());
        }
    }
    assert!(recorded > 1000, "shadow rules recorded only {recorded} denials");
}
