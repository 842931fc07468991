//! The API server cannot be reached: what is kept, for how long, and how often it is asked.

use super::{HELD, UNAVAILABLE, before, core, is_about, key, millis, seconds, set, status};
use crate::support::{Core, discovery_document, ok};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::callout::Reply;
use sa_authn::verdict::Reason;
use serde_json::json;

#[test]
fn without_any_keys_tries_come_after_1_2_4_8_and_10_seconds() {
    check_backoff(&mut core(json!({})), &[1, 2, 4, 8, 10, 10, 10]);
    let rarely = json!({ "minRefetchInterval": "2m" });
    check_backoff(&mut core(rarely), &[1, 2, 4, 8, 16, 32, 60, 60, 60]);
}

#[test]
fn with_old_keys_tries_come_after_1_2_4_and_up_to_60_seconds() {
    let (mut core, key) = (core(json!({})), key());
    core.publish(&set(&[&key]));
    core.wait_for_next();
    check_backoff(&mut core, &[1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert!(core.by(&key).passes());
}

#[test]
fn one_good_answer_ends_an_outage() {
    let (mut core, key) = (core(json!({})), key());
    for _ in 0..10 {
        core.fails(Reply::Reset);
        core.wait_for_next();
    }
    let mut waits = core.held_by(&key);
    core.publish(&set(&[&key]));
    assert!(waits.wakes(&mut core).passes());
    assert!(is_about(core.until_next(), seconds(600)));
    // What was before is forgotten: the next outage begins with short waits.
    core.wait_for_next();
    core.fails(Reply::Reset);
    assert!(is_about(core.until_next(), seconds(1)));
}

#[test]
fn without_keys_a_request_waits_for_a_try_that_is_near_and_is_refused_before_one_that_is_far() {
    let (mut core, key) = (core(json!({})), key());
    for _ in 0..2 {
        core.fails(Reply::Reset);
        assert!(core.holds(&key));
        core.wait_for_next();
    }
    core.fails(Reply::Reset);
    let denial = core.denial_of(&key);
    assert_eq!(denial.reason(), Reason::KeysUnavailable);
    assert_eq!(denial.retry_after(), Some(core.until_next()));
    assert!(is_about(core.until_next(), seconds(4)));
    core.wait(seconds(2));
    assert!(core.holds(&key));
}

#[test]
fn while_a_call_is_under_way_a_request_without_keys_waits_however_long_the_outage() {
    let (mut core, key) = (core(json!({})), key());
    for _ in 0..10 {
        core.fails(Reply::Reset);
        core.wait_for_next();
    }
    let call = core.call();
    let mut waits = core.held_by(&key);
    core.reply(&call, Reply::Reset);
    assert_eq!(waits.wakes(&mut core), UNAVAILABLE);
}

#[test]
fn old_keys_count_until_max_stale_and_not_a_millisecond_longer() {
    for (config, hours) in [(json!({}), 24), (json!({ "maxStale": "2h" }), 2)] {
        let (mut core, key) = (core(config), key());
        core.publish(&set(&[&key]));
        let end = core.now.plus(seconds(hours * 3600));
        fail_until(&mut core, before(end, millis(1)));
        core.now = before(end, millis(1));
        assert!(core.by(&key).passes(), "{hours} h");
        core.now = end;
        if core.holds(&key) {
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
fn keys_that_lapsed_are_back_with_the_next_good_answer() {
    let (mut core, key) = (core(json!({ "maxStale": "1h" })), key());
    core.publish(&set(&[&key]));
    let later = core.now.plus(seconds(2 * 3600));
    fail_until(&mut core, later);
    core.wait_for_next();
    assert_eq!(core.by(&key), HELD);
    core.publish(&set(&[&key]));
    assert!(core.by(&key).passes());
}

#[test]
fn an_unknown_cluster_is_asked_for_again_within_100_milliseconds() {
    let (mut core, key) = (core(json!({})), key());
    for _ in 0..100 {
        core.fails(Reply::UnknownCluster);
        assert!(core.until_next() <= millis(100), "{:?}", core.until_next());
        assert!(core.holds(&key));
        core.wait_for_next();
    }
    core.publish(&set(&[&key]));
    assert!(core.by(&key).passes());
}

/// Nothing was sent while the cluster was unknown, so no server has failed yet.
#[test]
fn a_cluster_that_was_unknown_at_first_is_asked_again_a_second_after_it_fails() {
    let mut core = core(json!({}));
    for _ in 0..20 {
        core.fails(Reply::UnknownCluster);
        core.wait_for_next();
    }
    core.fails(status(503));
    assert!(is_about(core.until_next(), seconds(1)), "{:?}", core.until_next());
}

#[test]
fn a_call_that_is_never_answered_is_given_up_five_seconds_after_its_timeout() {
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
fn the_keys_of_a_lost_call_are_asked_for_again() {
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
fn an_answer_counts_once() {
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
fn a_clock_that_is_set_back_neither_loses_keys_nor_floods_the_server() {
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

/// A clock that ran ahead at boot is common: what was fetched then was not fetched later than now.
#[test]
fn a_clock_that_is_set_back_keeps_nobody_from_a_key_that_is_rotated_in() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    core.wait(seconds(3600));
    core.publish(&set(&[&old]));
    core.now = before(core.now, seconds(1800));
    // The next tick notices it.
    core.publish(&set(&[&old]));
    core.wait(seconds(2));
    let mut request = core.held_by(&new);
    core.publish(&set(&[&old, &new]));
    assert!(request.wakes(&mut core).passes());
}

#[test]
fn a_clock_that_is_set_back_does_not_put_the_next_refresh_off() {
    let (mut core, key) = (core(json!({})), key());
    core.wait(seconds(30 * 24 * 3600));
    core.publish(&set(&[&key]));
    core.now = before(core.now, seconds(29 * 24 * 3600));
    core.publish(&set(&[&key]));
    assert!(core.until_next() <= seconds(600), "{:?}", core.until_next());
}

/// Checks the waits between failures, ending with a call that is due.
fn check_backoff(core: &mut Core, seconds_between: &[u64]) {
    for (at, expected) in seconds_between.iter().enumerate() {
        core.fails(if at % 2 == 0 { Reply::Reset } else { status(500) });
        let wait = core.until_next();
        assert!(is_about(wait, seconds(*expected)), "after failure {}: {wait:?}", at + 1);
        core.wait(wait - millis(1));
        assert!(core.is_quiet());
        core.wait(millis(1));
    }
}

/// Lets every fetch fail until then.
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
