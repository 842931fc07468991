//! How long approvals and rejections are cached, and for which token.

use super::{
    HELD, REVOKED, START, UNAVAILABLE, answered, configured, gone, millis, reviewing, seconds,
    verifying,
};
use crate::support::{Outcome, good};
use sa_authn::callout::Reply;
use sa_authn::denial::Reason;
use serde_json::json;

#[test]
fn approval_is_cached_exactly_for_cache_ttl() {
    for (ttl, lasts) in [(json!({}), 30), (json!({ "cacheTtl": "2m" }), 120)] {
        for mut world in [verifying(ttl.clone()), reviewing(ttl.clone(), json!({}))] {
            let caller = world.caller("api");
            world.admit(&caller);
            world.wait(seconds(lasts) - millis(1));
            assert!(world.passes(&caller), "{ttl}");
            world.wait(millis(1));
            assert_eq!(world.by(&caller), HELD, "{ttl}");
        }
    }
}

#[test]
fn rejection_is_cached_for_at_most_5_seconds() {
    for (ttl, lasts) in [("30s", 5), ("5s", 5), ("2s", 2)] {
        let review = json!({ "cacheTtl": ttl });
        for mut world in [verifying(review.clone()), reviewing(review.clone(), json!({}))] {
            let caller = world.caller("api");
            assert_eq!(world.answered(&caller, gone()), REVOKED, "{ttl}");
            world.wait(seconds(lasts) - millis(1));
            let denial = world.denial(&caller);
            assert_eq!(denial.reason(), Reason::Revoked, "{ttl}");
            assert!(denial.detail().contains("has been invalidated"), "{}", denial.detail());
            assert!(world.is_quiet(), "{ttl}");
            world.wait(millis(1));
            assert_eq!(world.by(&caller), HELD, "{ttl}");
            world.call();
        }
    }
}

#[test]
fn mismatch_is_cached_as_a_rejection() {
    let mut world = verifying(json!({}));
    let (caller, other) = (world.caller("api"), world.caller("web"));
    let mismatch = Outcome::Refused(Reason::ReviewMismatch);
    assert_eq!(world.answered(&caller, other.approved()), mismatch);
    assert_eq!(world.by(&caller), mismatch);
    assert!(world.is_quiet());
    assert_eq!(world.look_ups(), [0, 1, 1]);
}

#[test]
fn failed_review_is_not_cached() {
    let mut world = verifying(json!({}));
    let caller = world.caller("api");
    for reply in [answered(500, &json!({})), Reply::Reset, answered(201, &json!([]))] {
        assert_eq!(world.answered(&caller, reply), UNAVAILABLE);
    }
    world.admit(&caller);
}

#[test]
fn each_request_is_reviewed_without_a_cache() {
    for mut world in [
        verifying(json!({ "cacheTtl": "0s" })),
        reviewing(json!({ "cacheTtl": "0s" }), json!({})),
        configured(json!({}), json!({ "limits": { "tokenCacheEntries": 0 } })),
        reviewing(json!({}), json!({ "limits": { "tokenCacheEntries": 0 } })),
    ] {
        let caller = world.caller("api");
        for _ in 0..3 {
            world.admit(&caller);
        }
        for _ in 0..2 {
            assert_eq!(world.answered(&caller, gone()), REVOKED);
        }
        assert_eq!(world.look_ups(), [0, 0, 5]);
    }
}

#[test]
fn token_expires_at_exp_despite_a_cached_approval() {
    for mut world in
        [verifying(json!({ "cacheTtl": "1h" })), reviewing(json!({ "cacheTtl": "1h" }), json!({}))]
    {
        let caller = world.holder(good().issued_at(START).lifetime(600));
        world.admit(&caller);
        // The API server has the same leeway of one minute.
        world.wait(seconds(660) - millis(1));
        assert!(world.passes(&caller));
        world.wait(millis(1));
        assert_eq!(world.by(&caller), Outcome::Refused(Reason::Expired));
        assert!(world.is_quiet());
    }
}

#[test]
fn token_that_expires_during_its_review_is_rejected() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.holder(good().issued_at(START).lifetime(600));
        world.wait(seconds(660) - millis(1));
        let mut request = world.held(&caller);
        let call = world.call();
        world.wait(millis(1));
        let settled = world.core.answer_review(&call, caller.approved());
        let outcome = request.reviewed(&mut world.core, &settled);
        assert_eq!(outcome, Outcome::Refused(Reason::Expired));
    }
}

#[test]
fn clock_step_back_does_not_extend_cached_reviews() {
    let mut world = verifying(json!({}));
    let (good, bad) = (world.caller("api"), world.caller("web"));
    world.wait(seconds(100));
    world.admit(&good);
    assert_eq!(world.answered(&bad, gone()), REVOKED);
    world.core.now = sa_authn::time::UnixTime::from_secs(START + 99);
    assert_eq!(world.by(&good), HELD);
    assert_eq!(world.by(&bad), HELD);
}

#[test]
fn rejected_tokens_do_not_evict_approved_tokens() {
    let limits = json!({ "limits": { "tokenCacheEntries": 60 } });
    for mut world in [configured(json!({}), limits.clone()), reviewing(json!({}), limits.clone())] {
        let steady: Vec<_> =
            (0..20).map(|number| world.caller(&format!("steady-{number}"))).collect();
        for caller in &steady {
            world.admit(caller);
            assert!(world.passes(caller));
        }
        world.look_ups();
        for number in 0..1000 {
            let stray = world.caller(&format!("stray-{number}"));
            assert_eq!(world.answered(&stray, gone()), REVOKED);
        }
        for caller in &steady {
            assert!(world.passes(caller));
        }
        assert_eq!(world.look_ups(), [20, 0, 1000]);
    }
}

#[test]
fn review_of_one_token_does_not_affect_another() {
    let mut world = verifying(json!({}));
    let (api, web) = (world.caller("api"), world.caller("web"));
    world.admit(&api);
    assert_eq!(world.answered(&web, gone()), REVOKED);
    assert!(world.passes(&api));
}

#[test]
fn review_cache_lookups_are_counted_by_result() {
    let mut world = verifying(json!({}));
    let (good, bad) = (world.caller("api"), world.caller("web"));
    world.admit(&good);
    assert_eq!(world.answered(&bad, gone()), REVOKED);
    for _ in 0..3 {
        assert!(world.passes(&good));
    }
    assert_eq!(world.by(&bad), REVOKED);
    assert_eq!(world.look_ups(), [3, 1, 2]);
}
