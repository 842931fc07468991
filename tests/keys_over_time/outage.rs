//! Outages of the API server: cached keys, backoff, and lost calls.

use super::{HELD, UNAVAILABLE, before, core, is_about, key, millis, seconds, set, status};
use crate::support::{Core, discovery_document, ok};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::callout::Reply;
use sa_authn::denial::Reason;
use serde_json::json;

#[test]
fn valid_response_ends_an_outage_and_resets_the_backoff() {
    let (mut core, key) = (core(json!({})), key());
    for _ in 0..10 {
        core.fails(Reply::Reset);
        core.wait_for_next();
    }
    let mut waits = core.held_by(&key);
    core.publish(&set(&[&key]));
    assert!(waits.wakes(&mut core).passes());
    assert!(is_about(core.until_next(), seconds(600)));
    // The backoff is reset: the next outage starts with short waits.
    core.wait_for_next();
    core.fails(Reply::Reset);
    assert!(is_about(core.until_next(), seconds(2)));
}

#[test]
fn request_without_keys_is_paused_only_if_the_next_attempt_is_near() {
    let (mut core, key) = (core(json!({})), key());
    for _ in 0..2 {
        core.fails(status(500));
        assert!(core.holds(&key));
        core.wait_for_next();
    }
    core.fails(status(500));
    let denial = core.denial_of(&key);
    assert_eq!(denial.reason(), Reason::KeysUnavailable);
    assert_eq!(denial.retry_after(), Some(core.until_next()));
    assert!(is_about(core.until_next(), seconds(4)));
    core.wait(seconds(2));
    assert!(core.holds(&key));
}

#[test]
fn request_without_keys_is_paused_while_a_fetch_is_in_flight() {
    let (mut core, key) = (core(json!({})), key());
    for _ in 0..10 {
        core.fails(status(500));
        core.wait_for_next();
    }
    let call = core.call();
    let mut waits = core.held_by(&key);
    core.reply(&call, status(500));
    assert_eq!(waits.wakes(&mut core), UNAVAILABLE);
}

#[test]
fn cached_keys_remain_valid_exactly_until_max_stale() {
    for (config, hours) in [(json!({}), 24), (json!({ "maxStale": "2h" }), 2)] {
        let (mut core, key) = (core(config), key());
        core.publish(&set(&[&key]));
        let end = core.now.plus(seconds(hours * 3600));
        fail_until(&mut core, before(end, millis(1)));
        core.now = before(end, millis(1));
        assert!(core.by(&key).passes(), "{hours} h");
        core.now = end;
        while core.holds(&key) {
            core.wait_for_next();
            core.fails(Reply::Reset);
        }
        let denial = core.denial_of(&key);
        assert_eq!(denial.reason(), Reason::KeysUnavailable, "{hours} h");
        let retry = denial.retry_after().expect("a Retry-After");
        assert!(retry > seconds(2) && retry <= seconds(60), "{retry:?}");
    }
}

#[test]
fn keys_are_valid_again_after_a_fetch_past_max_stale() {
    let (mut core, key) = (core(json!({ "maxStale": "1h" })), key());
    core.publish(&set(&[&key]));
    let later = core.now.plus(seconds(2 * 3600));
    fail_until(&mut core, later);
    core.wait_for_next();
    assert_eq!(core.by(&key), HELD);
    core.publish(&set(&[&key]));
    assert!(core.by(&key).passes());
}

/// Envoy may be receiving the cluster. Later, a wrong name must not cost ten attempts a second.
#[test]
fn unknown_cluster_is_retried_every_100_milliseconds_for_2_seconds() {
    let (mut core, key) = (core(json!({})), key());
    for _ in 0..20 {
        core.fails(Reply::UnknownCluster);
        assert!(core.until_next() <= millis(100), "{:?}", core.until_next());
        assert!(core.holds(&key));
        core.wait_for_next();
    }
    core.wait(seconds(1));
    core.fails(Reply::UnknownCluster);
    assert!(is_about(core.until_next(), seconds(2)), "{:?}", core.until_next());
    core.wait_for_next();
    core.publish(&set(&[&key]));
    assert!(core.by(&key).passes());
}

#[test]
fn unanswered_fetch_is_abandoned_5_seconds_after_its_timeout() {
    for timeout in [1, 5, 30] {
        let (mut core, key) = (core(json!({ "timeout": format!("{timeout}s") })), key());
        let lost = core.call();
        core.wait(seconds(timeout + 5) - millis(1));
        assert!(core.is_quiet(), "{timeout} s");
        core.wait(millis(1));
        let again = core.call();
        assert_ne!(again.id, lost.id);
        assert!(core.reply(&lost, ok(discovery_document(DEFAULT_ISSUER))).is_none());
        core.reply(&again, ok(discovery_document(DEFAULT_ISSUER)));
        core.publish(&set(&[&key]));
        assert!(core.by(&key).passes());
    }
}

#[test]
fn key_fetch_is_sent_again_after_a_lost_call() {
    let (mut core, key) = (core(json!({})), key());
    let discovery = core.call();
    core.reply(&discovery, ok(discovery_document(DEFAULT_ISSUER)));
    let lost = core.call();
    core.wait(seconds(10));
    let again = core.call();
    assert!(core.reply(&lost, ok(set(&[&key]))).is_none());
    assert_eq!(core.by(&key), HELD);
    core.reply(&again, ok(set(&[&key])));
    assert!(core.by(&key).passes());
}

#[test]
fn second_response_to_a_call_is_ignored() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    core.publish(&set(&[&old]));
    core.wait_for_next();
    let call = core.call();
    assert!(core.reply(&call, ok(set(&[&new]))).is_some());
    assert!(core.reply(&call, ok(set(&[&old]))).is_none());
    assert!(core.by(&new).passes());
    assert_eq!(core.by(&old), super::UNKNOWN_KEY);
}

#[test]
fn clock_step_back_keeps_keys_and_causes_no_flood_of_fetches() {
    let (mut core, key) = (core(json!({})), key());
    core.wait(seconds(3600));
    core.publish(&set(&[&key]));
    core.now = before(core.now, seconds(1800));
    for _ in 0..60 {
        assert!(core.by(&key).passes());
        assert!(core.calls().len() <= 1);
        core.wait(seconds(10));
    }
}

/// Clocks that are ahead at boot are common; keys fetched then must not count as fetched in the future.
#[test]
fn clock_step_back_does_not_delay_a_new_key() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    core.wait(seconds(3600));
    core.publish(&set(&[&old]));
    core.now = before(core.now, seconds(1800));
    // The next tick handles the step back.
    core.publish(&set(&[&old]));
    core.wait(seconds(2));
    let mut request = core.held_by(&new);
    core.publish(&set(&[&old, &new]));
    assert!(request.wakes(&mut core).passes());
}

#[test]
fn clock_step_back_does_not_delay_the_next_refresh() {
    let (mut core, key) = (core(json!({})), key());
    core.wait(seconds(30 * 24 * 3600));
    core.publish(&set(&[&key]));
    core.now = before(core.now, seconds(29 * 24 * 3600));
    core.publish(&set(&[&key]));
    assert!(core.until_next() <= seconds(600), "{:?}", core.until_next());
}

/// Fails every fetch until `end`.
fn fail_until(core: &mut Core, end: sa_authn::time::UnixTime) {
    loop {
        let wait = core.until_next();
        if core.now.plus(wait) > end {
            return;
        }
        core.wait(wait);
        core.fails(Reply::Reset);
    }
}

#[test]
fn cluster_that_is_not_ready_is_logged_as_a_failure_after_five_seconds() {
    for (reply, failure) in [
        (Reply::UnknownCluster, "Envoy has no such cluster"),
        (Reply::NotSent, "Envoy did not send the call"),
    ] {
        let mut core = core(json!({}));
        let mut lines = Vec::new();
        for half_seconds in 0..16 {
            for call in core.calls() {
                core.reply(&call, reply.clone());
            }
            lines.extend(core.log().into_iter().map(|line| (half_seconds, line)));
            core.wait(millis(500));
        }
        let [(0, (log::Level::Info, waits)), (late, (log::Level::Warn, fails))] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(waits, "issuer \"local\": waiting for the cluster");
        assert!(*late >= 10, "{lines:?}");
        let call = "GET /.well-known/openid-configuration";
        let expected = format!("issuer \"local\": cannot fetch keys: {call}: {failure}");
        assert!(fails.starts_with(&expected), "{fails}");
    }
}

/// A call that was sent shows that the cluster is there.
#[test]
fn failure_of_a_call_that_was_sent_is_logged_at_once() {
    let mut core = core(json!({}));
    for call in core.calls() {
        core.reply(&call, Reply::Reset);
    }
    let lines = core.log();
    assert!(matches!(&lines[..], [(log::Level::Warn, _)]), "{lines:?}");
}
