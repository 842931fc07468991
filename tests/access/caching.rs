//! How long answers are valid, and when they are renewed.

use super::{
    FORBIDDEN, HELD, START, UNAVAILABLE, allowed, denied, non_resource, seconds, world, world_of,
};
use envoy_test::Token;
use sa_authn::callout::Reply;
use serde_json::json;

const METRICS: &str = "/metrics";

#[test]
fn allowed_access_is_valid_for_five_minutes_and_denied_access_for_thirty_seconds() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    assert!(world.answered(METRICS, &token, allowed()).passes());
    assert_eq!(world.answered("/x", &token, denied()), FORBIDDEN);
    world.wait(seconds(29));
    assert_eq!(world.get("/x", &token), FORBIDDEN);
    world.wait(seconds(1));
    assert_eq!(world.get("/x", &token), HELD);
    world.call();
    world.wait(seconds(239));
    assert!(world.get(METRICS, &token).passes() && world.is_quiet());
    world.wait(seconds(31));
    assert_eq!(world.get(METRICS, &token), HELD);
}

#[test]
fn configured_lifetimes_apply_and_zero_reviews_each_request() {
    let mut world =
        world_of(&non_resource(), json!({ "allowedTtl": "2s", "deniedTtl": "0s" }), json!({}));
    let token = world.token("api");
    assert!(world.answered(METRICS, &token, allowed()).passes());
    assert_eq!(world.answered("/x", &token, denied()), FORBIDDEN);
    assert!(world.answered("/x", &token, allowed()).passes());
    world.wait(seconds(2));
    assert_eq!(world.get(METRICS, &token), HELD);
}

#[test]
fn request_without_a_cache_passes_by_the_review_that_it_waited_for() {
    let none = json!({ "limits": { "tokenCacheEntries": 0 } });
    let zero = json!({ "allowedTtl": "0s" });
    for (access, more) in [(json!({}), none), (zero, json!({}))] {
        let mut world = world_of(&non_resource(), access, more);
        let token = world.token("api");
        assert!(world.answered(METRICS, &token, allowed()).passes());
        assert!(world.answered(METRICS, &token, allowed()).passes());
    }
}

#[test]
fn answer_is_never_valid_beyond_the_tokens_life() {
    let mut world = world(&non_resource());
    let token = Token::for_service_account("api", "api").issued_at(START).lifetime(100);
    let token = token.sign(&world.key);
    assert!(world.answered(METRICS, &token, allowed()).passes());
    world.wait(seconds(159));
    assert!(world.get(METRICS, &token).passes());
    // With the leeway, the token expires now, and so does the answer for every other token of the same user.
    world.wait(seconds(1));
    assert_eq!(
        world.get(METRICS, &token),
        super::Outcome::Refused(sa_authn::denial::Reason::Expired)
    );
}

#[test]
fn access_in_use_is_renewed_before_it_ends_and_no_request_waits() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    assert!(world.answered(METRICS, &token, allowed()).passes());
    world.wait(seconds(270));
    for _ in 0..3 {
        assert!(world.get(METRICS, &token).passes());
    }
    let call = world.call();
    world.core.answer_access(&call, allowed()).unwrap();
    world.wait(seconds(60));
    assert!(world.get(METRICS, &token).passes() && world.is_quiet());
}

#[test]
fn removed_binding_is_refused_when_the_access_is_reviewed_again() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    assert!(world.answered(METRICS, &token, allowed()).passes());
    world.wait(seconds(270));
    assert!(world.get(METRICS, &token).passes());
    let call = world.call();
    world.core.answer_access(&call, denied()).unwrap();
    assert_eq!(world.get(METRICS, &token), FORBIDDEN);
    // A new binding is seen as soon as the no has ended.
    world.wait(seconds(30));
    assert!(world.answered(METRICS, &token, allowed()).passes());
    assert!(world.get(METRICS, &token).passes());
}

#[test]
fn outage_leaves_answers_valid_until_they_end_and_then_denies() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    assert!(world.answered(METRICS, &token, allowed()).passes());
    world.wait(seconds(270));
    assert!(world.get(METRICS, &token).passes());
    let call = world.call();
    world.core.answer_access(&call, Reply::Reset).unwrap();
    assert!(world.get(METRICS, &token).passes() && world.is_quiet());
    world.wait(seconds(29));
    assert!(world.get(METRICS, &token).passes());
    let call = world.call();
    world.core.answer_access(&call, Reply::Reset).unwrap();
    world.wait(seconds(1));
    assert_eq!(world.answered(METRICS, &token, Reply::Reset), UNAVAILABLE);
    assert!(world.answered(METRICS, &token, allowed()).passes());
}

#[test]
fn clock_that_is_set_back_makes_no_answer_valid_for_longer() {
    let mut world = world(&non_resource());
    let token =
        Token::for_service_account("api", "api").issued_at(START - 1000).lifetime(24 * 3600);
    let token = token.sign(&world.key);
    assert!(world.answered(METRICS, &token, allowed()).passes());
    world.core.now = world.core.now.minus(seconds(10));
    assert_eq!(world.get(METRICS, &token), HELD);
}

#[test]
fn other_spec_is_another_question() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    assert!(world.answered(METRICS, &token, allowed()).passes());
    let other = world.token("other");
    assert_eq!(world.get(METRICS, &other), HELD);
    assert_eq!(world.get("/metrics/", &token), HELD);
    assert_eq!(world.outcome("POST", METRICS, &token), HELD);
    // Another token of the same account has another credential id.
    let rotated = world.token("api");
    assert_eq!(world.get(METRICS, &rotated), HELD);
    assert_eq!(world.core.calls().len(), 4);
}
