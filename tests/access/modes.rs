//! Shadow mode, shadow rules, other rules, and callers that are not authenticated.

use super::{FORBIDDEN, HELD, START, World, allowed, denied, non_resource, plan, rule, world_of};
use crate::support::{self, Core, Outcome, with};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::denial::Reason;
use serde_json::{Value, json};

fn with_rules(rules: Value, more: Value) -> World {
    let key = SigningKey::generate(KeyKind::P256);
    let mut config = support::inline(&[&key]);
    config["issuers"][0]["subjectAccessReview"] = plan();
    let config = with(with(config, json!({ "rules": rules })), more);
    World { core: Core::at(START, &config), key }
}

fn shadowed(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Shadowed(reason, _) => Some(*reason),
        _ => None,
    }
}

#[test]
fn shadow_mode_reviews_in_the_background_and_pauses_no_request() {
    let mut world = world_of(&non_resource(), json!({}), json!({ "mode": "shadow" }));
    let token = world.token("api");
    let first = world.get("/metrics", &token);
    assert_eq!(shadowed(&first), Some(Reason::AuthorizationUnavailable));
    let call = world.call();
    world.core.answer_access(&call, denied()).unwrap();
    assert_eq!(shadowed(&world.get("/metrics", &token)), Some(Reason::Forbidden));
    let other = world.token("other");
    world.get("/metrics", &other);
    let call = world.call();
    world.core.answer_access(&call, allowed()).unwrap();
    assert!(world.get("/metrics", &other).passes());
}

#[test]
fn shadow_rule_reviews_in_the_background_beside_the_rule_that_decides() {
    let shadow = with(rule(&non_resource()), json!({ "mode": "shadow" }));
    let rules = json!([shadow, { "name": "all", "allow": "authenticated" }]);
    let mut world = with_rules(rules, json!({}));
    let token = world.token("api");
    assert!(world.get("/metrics", &token).passes());
    let call = world.call();
    world.core.answer_access(&call, denied()).unwrap();
    let finished = world.core.judge(&super::request("GET", "/metrics", &token)).unwrap();
    assert_eq!(finished.shadow_denied_by.iter().map(|name| &**name).collect::<Vec<_>>(), ["rbac"]);
    assert_eq!(finished.rule.as_deref(), Some("all"));
    assert!(world.is_quiet());
}

#[test]
fn shadow_rule_alone_forwards_what_it_would_deny() {
    let shadow = with(rule(&non_resource()), json!({ "mode": "shadow" }));
    let mut world = with_rules(json!([shadow]), json!({}));
    let token = world.token("api");
    let first = world.get("/metrics", &token);
    assert_eq!(shadowed(&first), Some(Reason::AuthorizationUnavailable));
    let call = world.call();
    world.core.answer_access(&call, allowed()).unwrap();
    assert!(world.get("/metrics", &token).passes());
}

#[test]
fn no_decides_and_the_next_rule_is_not_asked() {
    let second = json!({ "name": "other", "methods": ["GET"], "allow": "authenticated" });
    let first = with(rule(&non_resource()), json!({ "methods": ["GET"], "paths": ["/metrics"] }));
    let mut world = with_rules(json!([first, second]), json!({}));
    let token = world.token("api");
    assert_eq!(world.answered("/metrics", &token, denied()), FORBIDDEN);
    assert!(world.get("/other", &token).passes() && world.is_quiet());
}

#[test]
fn deny_of_the_same_rule_is_decided_first_and_asks_nothing() {
    let denies = with(rule(&non_resource()), json!({ "deny": ["api/bad"] }));
    let mut world = with_rules(json!([denies]), json!({}));
    let (good, bad) = (world.token("good"), world.token("bad"));
    assert_eq!(world.get("/metrics", &bad), FORBIDDEN);
    assert!(world.is_quiet());
    assert_eq!(world.get("/metrics", &good), HELD);
}

#[test]
fn caller_without_a_valid_token_asks_nothing() {
    let mut world = with_rules(json!([rule(&non_resource())]), json!({}));
    let request = support::pairs(&[(":method", "GET"), (":path", "/metrics")]);
    assert_eq!(world.core.outcome(&request), Outcome::Refused(Reason::MissingToken));
    assert_eq!(world.get("/metrics", "a.b.c"), Outcome::Refused(Reason::MalformedToken));
    assert!(world.is_quiet());
}

#[test]
fn account_of_an_issuer_without_access_reviews_is_forbidden() {
    let (key, other) = (SigningKey::generate(KeyKind::P256), SigningKey::generate(KeyKind::P256));
    let mut config = support::inline(&[&key]);
    config["issuers"][0]["subjectAccessReview"] = plan();
    let mut foreign = support::inline(&[&other])["issuers"][0].clone();
    foreign["name"] = json!("foreign");
    foreign["issuer"] = json!("https://foreign.example");
    config["issuers"].as_array_mut().unwrap().push(foreign);
    let config = with(config, json!({ "rules": [rule(&non_resource())] }));
    let mut world = World { core: Core::at(START, &config), key };
    let token =
        envoy_test::Token::for_service_account("api", "api").issuer("https://foreign.example");
    let token = token.issued_at(START).lifetime(3600).sign(&other);
    let denial = world.core.denial(&super::request("GET", "/metrics", &token));
    assert_eq!(denial.reason(), Reason::Forbidden);
    assert!(
        denial.detail().ends_with("issuer \"foreign\" has no subjectAccessReview"),
        "{}",
        denial.detail()
    );
    assert!(world.is_quiet());
}
