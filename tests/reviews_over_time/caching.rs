//! How long the API server's yes and no count, and for whom.

use super::{
    HELD, REVOKED, START, UNAVAILABLE, answered, configured, gone, millis, reviewing, seconds,
    verifying,
};
use crate::support::{Outcome, good};
use sa_authn::callout::Reply;
use sa_authn::verdict::Reason;
use serde_json::json;

#[test]
fn a_yes_counts_for_its_time_and_not_a_moment_longer() {
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
fn a_no_counts_for_five_seconds_at_most() {
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
fn a_mismatch_counts_as_a_no() {
    let mut world = verifying(json!({}));
    let (caller, other) = (world.caller("api"), world.caller("web"));
    let mismatch = Outcome::Refused(Reason::ReviewMismatch);
    assert_eq!(world.answered(&caller, other.vouched()), mismatch);
    assert_eq!(world.by(&caller), mismatch);
    assert!(world.is_quiet());
    assert_eq!(world.look_ups(), [0, 1, 1]);
}

#[test]
fn an_error_is_no_verdict_and_is_not_remembered() {
    let mut world = verifying(json!({}));
    let caller = world.caller("api");
    for reply in [answered(500, &json!({})), Reply::Reset, answered(201, &json!([]))] {
        assert_eq!(world.answered(&caller, reply), UNAVAILABLE);
    }
    world.admit(&caller);
}

#[test]
fn without_a_time_to_live_each_request_is_reviewed() {
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
fn a_token_ends_at_its_exp_however_fresh_its_review_is() {
    for mut world in
        [verifying(json!({ "cacheTtl": "1h" })), reviewing(json!({ "cacheTtl": "1h" }), json!({}))]
    {
        let caller = world.holder(good().issued_at(START).lifetime(600));
        world.admit(&caller);
        // The leeway of a minute is the API server's own.
        world.wait(seconds(660) - millis(1));
        assert!(world.passes(&caller));
        world.wait(millis(1));
        assert_eq!(world.by(&caller), Outcome::Refused(Reason::Expired));
        assert!(world.is_quiet());
    }
}

#[test]
fn a_token_that_ends_while_it_is_reviewed_is_refused() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let caller = world.holder(good().issued_at(START).lifetime(600));
        world.wait(seconds(660) - millis(1));
        let mut request = world.held(&caller);
        let call = world.call();
        world.wait(millis(1));
        let settled = world.core.answer_review(&call, caller.vouched());
        let outcome = request.reviewed(&mut world.core, &settled);
        assert_eq!(outcome, Outcome::Refused(Reason::Expired));
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_yes_and_no_no_count_longer() {
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
fn a_flood_of_tokens_that_are_refused_pushes_no_accepted_one_out() {
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
fn one_tokens_answer_is_never_anothers() {
    let mut world = verifying(json!({}));
    let (api, web) = (world.caller("api"), world.caller("web"));
    world.admit(&api);
    assert_eq!(world.answered(&web, gone()), REVOKED);
    assert!(world.passes(&api));
}

#[test]
fn look_ups_are_counted_by_what_they_found() {
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
