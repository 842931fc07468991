//! Tokens in use are reviewed again before their approval expires, without a pause.

use super::{HELD, REVOKED, gone, millis, reviewing, seconds, verifying};
use sa_authn::callout::Reply;
use serde_json::json;

#[test]
fn token_in_use_is_reviewed_again_before_its_approval_expires() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.caller("api");
        world.admit(&caller);
        world.wait(seconds(24) - millis(1));
        assert!(world.passes(&caller));
        assert!(world.is_quiet(), "too early");
        world.wait(millis(1));
        assert!(world.passes(&caller));
        let call = world.call();
        for _ in 0..5 {
            world.wait(millis(900));
            assert!(world.passes(&caller));
            assert!(world.is_quiet(), "the review is in flight");
        }
        let settled = world.core.answer_review(&call, caller.approved());
        assert_eq!(settled.waiting, [0; 0], "no request waits for it");
        // The approval is valid for another 30 seconds.
        world.wait(seconds(30) - millis(1));
        assert!(world.passes(&caller));
        world.wait(millis(1));
        assert_eq!(world.by(&caller), HELD);
    }
}

#[test]
fn refresh_ahead_sets_when_tokens_are_reviewed_again() {
    for (ahead, from) in [("10s", 20), ("29s", 1)] {
        let mut world = verifying(json!({ "refreshAhead": ahead }));
        let caller = world.caller("api");
        world.admit(&caller);
        world.wait(seconds(from) - millis(1));
        assert!(world.passes(&caller) && world.is_quiet(), "{ahead}");
        world.wait(millis(1));
        assert!(world.passes(&caller), "{ahead}");
        world.call();
    }
    let mut world = verifying(json!({ "refreshAhead": "0s" }));
    let caller = world.caller("api");
    world.admit(&caller);
    world.wait(seconds(30) - millis(1));
    assert!(world.passes(&caller) && world.is_quiet());
}

#[test]
fn unused_token_is_not_reviewed_again() {
    let mut world = verifying(json!({}));
    let caller = world.caller("api");
    world.admit(&caller);
    for _ in 0..3600 {
        world.wait(seconds(1));
        assert!(world.is_quiet());
    }
}

#[test]
fn rejection_by_a_refresh_invalidates_the_approval_at_once() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.caller("api");
        world.admit(&caller);
        world.wait(seconds(25));
        assert!(world.passes(&caller));
        world.answer(gone());
        assert_eq!(world.by(&caller), REVOKED);
        assert!(world.is_quiet());
    }
}

#[test]
fn failed_refresh_is_retried_once_a_second_until_the_approval_expires() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.caller("api");
        world.admit(&caller);
        world.wait(seconds(24));
        for _ in 0..6 {
            for _ in 0..3 {
                assert!(world.passes(&caller));
            }
            world.answer(Reply::Reset);
            assert!(world.passes(&caller));
            assert!(world.is_quiet(), "not at once");
            world.wait(seconds(1));
        }
        assert_eq!(world.by(&caller), HELD);
    }
}

#[test]
fn request_after_the_approval_expires_waits_for_the_refresh_in_flight() {
    let mut world = verifying(json!({}));
    let caller = world.caller("api");
    world.admit(&caller);
    world.wait(seconds(29));
    assert!(world.passes(&caller));
    let call = world.call();
    world.wait(seconds(1));
    let mut request = world.held(&caller);
    assert!(world.is_quiet(), "one call is enough");
    let settled = world.core.answer_review(&call, caller.approved());
    assert!(request.reviewed(&mut world.core, &settled).passes());
}

#[test]
fn fifty_steady_callers_cause_50_reviews_per_period_and_wait_once() {
    let mut world = verifying(json!({}));
    let callers: Vec<_> = (0..50).map(|number| world.caller(&format!("caller-{number}"))).collect();
    for caller in &callers {
        world.admit(caller);
    }
    world.look_ups();
    let mut reviews = 0;
    for _ in 0..1200 {
        world.wait(millis(100));
        for caller in &callers {
            assert!(world.passes(caller));
        }
        for call in world.core.calls() {
            let text = call.body.as_deref().map(String::from_utf8_lossy).unwrap();
            let caller_of_call =
                callers.iter().find(|caller| text.contains(&caller.token)).unwrap();
            world.core.answer_review(&call, caller_of_call.approved());
            reviews += 1;
        }
    }
    // 120 s are five periods of 24 s.
    assert_eq!(reviews, 50 * 5);
    assert_eq!(world.look_ups(), [1200 * 50, 0, 0]);
}
