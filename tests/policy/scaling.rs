//! Measures that the decision time does not grow with the number of rules and accounts.
#![allow(clippy::disallowed_methods, reason = "the test measures; the core has no clock")]

use crate::support::{Core, get, good, inline, with};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::authz::Mode;
use sa_authn::authz::access::{AccessRequest, NoReviewer};
use sa_authn::authz::rule::RequestAttributes;
use sa_authn::authz::{Outcome, Policy};
use sa_authn::identity::Caller;
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::{Duration, Instant};

fn rules(count: usize, accounts: usize) -> Value {
    let others = |at: usize| {
        json!({ "paths": [format!("/api/v{at}/*"), format!("/of/*/r{at}")], "hosts": [format!("h{at}.example")],
            "allow": ["api/other"] })
    };
    let listed: Vec<_> =
        (0..accounts).map(|at| json!(format!("ns-{}/sa-{at}", at % 100))).collect();
    let mut rules: Vec<_> = (1..count).map(others).collect();
    let allow: Vec<_> = listed.into_iter().chain([json!("api/api")]).collect();
    rules.push(json!({ "name": "ours", "paths": ["/secrets/*"], "allow": allow }));
    json!({ "rules": rules })
}

/// The fastest of many rounds: other load on the machine only adds time.
fn cost(policy: &Policy, caller: &Rc<Caller>) -> Duration {
    let attributes = RequestAttributes { method: b"GET", ..RequestAttributes::default() };
    let decide = || {
        let (host, path) = (Some(b"h7.example".as_slice()), Some(b"/secrets/a/b".as_slice()));
        let matched = policy.matching_rules(host, path, &attributes).expect("a plain request");
        let mut access = AccessRequest { method: b"", path: b"", reviewer: &mut NoReviewer };
        let decision = policy.decide(Ok(&matched), Ok(caller), &mut access, Mode::Enforce, &());
        assert!(matches!(decision.outcome, Outcome::Permitted(_)));
        assert_eq!(decision.rule.as_deref(), Some("ours"));
    };
    let round = || {
        let start = Instant::now();
        (0..200).for_each(|_| decide());
        start.elapsed()
    };
    (0..50).map(|_| round()).min().unwrap_or_default()
}

#[test]
#[ignore = "measures time: needs a machine without other load"]
fn decision_time_does_not_grow_with_rules_and_accounts() {
    let key = SigningKey::generate(KeyKind::P256);
    let core = |count, accounts| Core::new(&with(inline(&[&key]), rules(count, accounts)));
    let (mut few, many) = (core(10, 10), core(10_000, 100_000));
    let finished = few.judge(&get("/secrets/a", &good().sign(&key))).expect("keys are there");
    let caller = finished.caller.expect("a good token");
    let [few, many] = [&few, &many].map(|core| cost(&core.settings().policy, &caller));
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    println!("10 rules, 10 accounts: {few:?}; 10,000 and 100,000: {many:?}; ratio {ratio:.2}");
    assert!(ratio < 2.0, "{ratio:.2}");
}
