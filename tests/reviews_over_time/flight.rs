//! Reviews under way: one for equal questions, no more than the limit, and what becomes of who waits.

use super::before::junk;
use super::{
    HELD, OVERLOADED, START, UNAVAILABLE, configured, plan, reviewing, seconds, verifying,
};
use crate::support::{self, Core};
use envoy_test::jwks;
use serde_json::json;

#[test]
fn equal_questions_are_one_call_whose_answer_is_everybodys() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.caller("api");
        let mut requests: Vec<_> = (0..10).map(|_| world.held(&caller)).collect();
        let call = world.call();
        requests.push(world.held(&caller));
        assert!(world.is_quiet());
        let settled = world.core.answer_review(&call, caller.vouched());
        assert_eq!(settled.waiting.len(), 11);
        for mut request in requests {
            assert!(request.reviewed(&mut world.core, &settled).passes());
        }
        assert!(world.core.paused().is_empty());
    }
}

#[test]
fn strangers_get_three_quarters_of_the_places_and_callers_of_before_the_rest() {
    let limits = json!({ "limits": { "maxReviews": 4 } });
    for mut world in [configured(json!({}), limits.clone()), reviewing(json!({}), limits.clone())] {
        let known: Vec<_> = ["one", "two"].map(|name| world.caller(name)).into();
        for caller in &known {
            world.admit(caller);
        }
        world.wait(seconds(30));
        let strangers = ["a", "b", "c", "d"].map(|name| world.caller(name));
        for stranger in &strangers[..3] {
            world.held(stranger);
        }
        assert_eq!(world.by(&strangers[3]), OVERLOADED);
        world.held(&known[0]);
        assert_eq!(world.by(&known[1]), OVERLOADED);
        let calls = world.core.calls();
        assert_eq!(calls.len(), 4);
        // Who asks what is asked already needs no place, and an answer makes room.
        assert_eq!(world.by(&strangers[0]), HELD);
        world.core.answer_review(&calls[3], known[0].vouched());
        assert_eq!(world.by(&strangers[3]), OVERLOADED);
        world.held(&known[1]);
    }
}

#[test]
fn a_thousand_junk_tokens_are_48_calls_where_the_review_is_the_proof() {
    let mut world = reviewing(json!({}), json!({}));
    let outcomes: Vec<_> = (0..1000).map(|number| world.by(&junk(number))).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == HELD).count(), 48);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == OVERLOADED).count(), 952);
    assert_eq!(world.core.calls().len(), 48);
}

#[test]
fn a_refresh_without_room_is_tried_again_later_and_nobody_waits_for_it() {
    let mut world = configured(json!({}), json!({ "limits": { "maxReviews": 1 } }));
    let (known, stranger) = (world.caller("known"), world.caller("stranger"));
    world.admit(&known);
    world.wait(seconds(24));
    world.held(&stranger);
    let call = world.call();
    assert!(world.passes(&known) && world.is_quiet());
    world.core.answer_review(&call, stranger.vouched());
    assert!(world.passes(&known) && world.is_quiet(), "not at once");
    world.wait(seconds(1));
    assert!(world.passes(&known));
    world.call();
}

#[test]
fn a_call_that_is_never_answered_loses_its_place_in_the_end() {
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
    assert!(world.core.end_review(&call, lost.vouched()).is_none(), "an answer to nobody");
}

#[test]
fn who_hangs_up_is_forgotten_and_the_answer_still_counts() {
    let mut world = verifying(json!({}));
    let caller = world.caller("api");
    let (gone, mut stays) = (world.held(&caller), world.held(&caller));
    let call = world.call();
    world.core.hangs_up(gone.id);
    let settled = world.core.answer_review(&call, caller.vouched());
    assert_eq!(settled.waiting, [stays.id]);
    assert!(stays.reviewed(&mut world.core, &settled).passes());

    let caller = world.caller("web");
    let alone = world.held(&caller);
    world.core.hangs_up(alone.id);
    let settled = world.answer(caller.vouched());
    assert_eq!(settled.waiting, [0; 0]);
    assert!(world.passes(&caller));
}

#[test]
fn who_has_waited_long_enough_is_refused_as_our_failure_and_the_next_has_the_answer() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.caller("api");
        let mut request = world.held(&caller);
        let call = world.call();
        world.wait(seconds(5));
        assert_eq!(world.core.paused().overdue(world.core.now), [request.id]);
        assert_eq!(request.gives_up(&mut world.core), UNAVAILABLE);
        assert!(world.is_quiet(), "the same call is still under way");
        world.core.answer_review(&call, caller.vouched());
        assert!(world.passes(&caller));
    }
}

#[test]
fn more_than_may_wait_are_refused_as_overload() {
    let mut world = configured(json!({}), json!({ "limits": { "maxWaiting": 2 } }));
    let caller = world.caller("api");
    let mut waiting = [world.held(&caller), world.held(&caller)];
    assert_eq!(world.by(&caller), OVERLOADED);
    let settled = world.answer(caller.vouched());
    for request in &mut waiting {
        assert!(request.reviewed(&mut world.core, &settled).passes());
    }
}

#[test]
fn a_request_that_waited_for_keys_waits_on_for_its_review_within_the_same_time() {
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
    let settled = world.core.answer_review(&call, caller.vouched());
    assert!(request.reviewed(&mut world.core, &settled).passes());
}
