//! Shadow mode, shadow rules, other rules, and callers that are not authenticated.

use super::{FORBIDDEN, HELD, START, World, allowed, denied, non_resource, plan, rule, world_of};
use crate::support::{self, Core, Outcome, with};
use envoy_test::{KeyKind, SigningKey, Token};
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

/// A second issuer, with further members and a key of its own.
fn with_foreign_issuer(more: Value) -> (World, SigningKey) {
    let (key, other) = (SigningKey::generate(KeyKind::P256), SigningKey::generate(KeyKind::P256));
    let mut config = support::inline(&[&key]);
    config["issuers"][0]["subjectAccessReview"] = plan();
    let mut foreign = support::inline(&[&other])["issuers"][0].clone();
    foreign["name"] = json!("foreign");
    foreign["issuer"] = json!("https://foreign.example");
    config["issuers"].as_array_mut().unwrap().push(with(foreign, more));
    let config = with(config, json!({ "rules": [rule(&non_resource())] }));
    (World { core: Core::at(START, &config), key }, other)
}

/// The same account, uid, pod and token ID of both issuers, as clusters that were restored from one backup have them.
fn tokens_of_both(world: &World, other: &SigningKey) -> (String, String) {
    let token = Token::for_service_account("api", "api").issued_at(START).lifetime(3600);
    let foreign = token.clone().issuer("https://foreign.example");
    (token.sign(&world.key), foreign.sign(other))
}

#[test]
fn answer_for_one_issuer_is_not_used_for_an_issuer_without_access_reviews() {
    let (mut world, other) = with_foreign_issuer(json!({}));
    let (own, foreign) = tokens_of_both(&world, &other);
    assert!(world.answered("/metrics", &own, allowed()).passes());
    assert_eq!(world.get("/metrics", &foreign), FORBIDDEN);
    assert!(world.is_quiet());
}

#[test]
fn equal_users_of_two_issuers_are_reviewed_by_their_own_api_servers() {
    let elsewhere = json!({ "cluster": "other-apiserver", "authority": "other.example" });
    let (mut world, other) = with_foreign_issuer(json!({ "subjectAccessReview": elsewhere }));
    let (own, foreign) = tokens_of_both(&world, &other);
    let mut requests = [world.held("GET", "/a", &own), world.held("GET", "/a", &foreign)];
    let calls = world.core.calls();
    let clusters: Vec<_> = calls.iter().map(|call| call.cluster.as_str()).collect();
    assert_eq!(clusters, ["kube-apiserver", "other-apiserver"]);
    for (call, reply) in calls.iter().zip([denied(), allowed()]) {
        world.core.answer_access(call, reply).unwrap();
    }
    let outcomes = requests.each_mut().map(|request| request.wakes(&mut world.core));
    assert_eq!(outcomes[0], FORBIDDEN);
    assert!(outcomes[1].passes());
    assert_eq!(world.get("/a", &own), FORBIDDEN);
    assert!(world.get("/a", &foreign).passes() && world.is_quiet());
}

#[test]
fn account_of_an_issuer_without_access_reviews_is_forbidden() {
    let (mut world, other) = with_foreign_issuer(json!({}));
    let (_, token) = tokens_of_both(&world, &other);
    let denial = world.core.denial(&super::request("GET", "/metrics", &token));
    assert_eq!(denial.reason(), Reason::Forbidden);
    assert!(
        denial.detail().ends_with("issuer \"foreign\" has no subjectAccessReview"),
        "{}",
        denial.detail()
    );
    assert!(world.is_quiet());
}
