//! Reviews in flight: sharing, limits, timeouts, and the requests that wait for them.

use super::requests::forged;
use super::{
    HELD, OVERLOADED, START, UNAVAILABLE, configured, plan, reviewing, seconds, verifying,
};
use crate::support::{self, Core};
use envoy_test::jwks;
use serde_json::json;

#[test]
fn requests_with_the_same_token_share_one_review() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.caller("api");
        let mut requests: Vec<_> = (0..10).map(|_| world.held(&caller)).collect();
        let call = world.call();
        requests.push(world.held(&caller));
        assert!(world.is_quiet());
        let settled = world.core.answer_review(&call, caller.approved());
        assert_eq!(settled.waiting.len(), 11);
        for mut request in requests {
            assert!(request.reviewed(&mut world.core, &settled).passes());
        }
        assert!(world.core.paused().is_empty());
    }
}

#[test]
fn new_callers_use_at_most_three_quarters_of_the_reviews() {
    let limits = json!({ "limits": { "maxReviews": 4 } });
    for mut world in [configured(json!({}), limits.clone()), reviewing(json!({}), limits.clone())] {
        let known: Vec<_> = ["one", "two"].map(|name| world.caller(name)).into();
        for caller in &known {
            world.admit(caller);
        }
        world.wait(seconds(30));
        let new_callers = ["a", "b", "c", "d"].map(|name| world.caller(name));
        for new_caller in &new_callers[..3] {
            world.held(new_caller);
        }
        assert_eq!(world.by(&new_callers[3]), OVERLOADED);
        world.held(&known[0]);
        assert_eq!(world.by(&known[1]), OVERLOADED);
        let calls = world.core.calls();
        assert_eq!(calls.len(), 4);
        // A request for a token in review needs no place, and a response frees one.
        assert_eq!(world.by(&new_callers[0]), HELD);
        world.core.answer_review(&calls[3], known[0].approved());
        assert_eq!(world.by(&new_callers[3]), OVERLOADED);
        world.held(&known[1]);
    }
}

#[test]
fn thousand_invalid_tokens_cause_48_reviews_with_instead() {
    let mut world = reviewing(json!({}), json!({}));
    let outcomes: Vec<_> = (0..1000).map(|number| world.by(&forged(number))).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == HELD).count(), 48);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == OVERLOADED).count(), 952);
    assert_eq!(world.core.calls().len(), 48);
}

#[test]
fn refresh_without_a_free_review_is_retried_without_pausing_requests() {
    let mut world = configured(json!({}), json!({ "limits": { "maxReviews": 1 } }));
    let (known, new_caller) = (world.caller("known"), world.caller("new"));
    world.admit(&known);
    world.wait(seconds(24));
    world.held(&new_caller);
    let call = world.call();
    assert!(world.passes(&known) && world.is_quiet());
    world.core.answer_review(&call, new_caller.approved());
    assert!(world.passes(&known) && world.is_quiet(), "not at once");
    world.wait(seconds(1));
    assert!(world.passes(&known));
    world.call();
}

#[test]
fn unanswered_review_is_abandoned_and_frees_its_place() {
    let limits = json!({ "limits": { "maxReviews": 1 } });
    let mut world = configured(json!({ "timeout": "2s" }), limits);
    let (lost, next) = (world.caller("lost"), world.caller("next"));
    world.held(&lost);
    let call = world.call();
    world.wait(seconds(6));
    assert_eq!(world.by(&next), OVERLOADED);
    world.wait(seconds(1));
    world.held(&next);
    world.call();
    assert!(world.core.end_review(&call, lost.approved()).is_none(), "no request waits for it");
}

#[test]
fn answer_to_a_request_whose_caller_hung_up_is_still_cached() {
    let mut world = verifying(json!({}));
    let caller = world.caller("api");
    let (gone, mut stays) = (world.held(&caller), world.held(&caller));
    let call = world.call();
    world.core.hangs_up(gone.id);
    let settled = world.core.answer_review(&call, caller.approved());
    assert_eq!(settled.waiting, [stays.id]);
    assert!(stays.reviewed(&mut world.core, &settled).passes());

    let caller = world.caller("web");
    let alone = world.held(&caller);
    world.core.hangs_up(alone.id);
    let settled = world.answer(caller.approved());
    assert_eq!(settled.waiting, [0; 0]);
    assert!(world.passes(&caller));
}

#[test]
fn review_that_arrives_after_the_deadline_is_cached_for_the_next_request() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.caller("api");
        let mut request = world.held(&caller);
        let call = world.call();
        world.wait(seconds(5));
        assert_eq!(world.core.paused().overdue(world.core.now), [request.id]);
        assert_eq!(request.gives_up(&mut world.core), UNAVAILABLE);
        assert!(world.is_quiet(), "the same call is still in flight");
        world.core.answer_review(&call, caller.approved());
        assert!(world.passes(&caller));
    }
}

#[test]
fn requests_beyond_max_waiting_are_rejected_as_overloaded() {
    let mut world = configured(json!({}), json!({ "limits": { "maxWaiting": 2 } }));
    let caller = world.caller("api");
    let mut waiting = [world.held(&caller), world.held(&caller)];
    assert_eq!(world.by(&caller), OVERLOADED);
    let settled = world.answer(caller.approved());
    for request in &mut waiting {
        assert!(request.reviewed(&mut world.core, &settled).passes());
    }
}

#[test]
fn waits_for_keys_and_review_share_one_deadline() {
    let mut world = verifying(json!({}));
    let mut config = support::discovered();
    config["issuers"][0]["tokenReview"] = plan();
    world.core = Core::at(START, &config);
    let caller = world.caller("api");
    let mut request = world.held(&caller);
    world.core.publish(&jwks(&[&world.key]).to_string());
    world.wait(seconds(2));
    assert_eq!(request.wakes(&mut world.core), HELD);
    let call = world.call();
    world.wait(seconds(3));
    assert_eq!(world.core.paused().overdue(world.core.now), [request.id]);
    let settled = world.core.answer_review(&call, caller.approved());
    assert!(request.reviewed(&mut world.core, &settled).passes());
}
