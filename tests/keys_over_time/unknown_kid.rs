//! Unknown kids: new keys, invented kids, and the limit of refetches.

use super::{HELD, UNKNOWN_KEY, before, core, key, millis, seconds, set};
use crate::support::{Core, Request, get, ok};
use envoy_test::SigningKey;
use sa_authn::callout::Reply;
use sa_authn::denial::Reason;
use serde_json::json;

#[test]
fn new_key_is_accepted_on_its_first_request() {
    let (mut core, old, new) = at_rest(json!({}));
    let mut first = core.held_by(&new);
    let call = core.call();
    core.reply(&call, ok(set(&[&old, &new])));
    assert!(first.wakes(&mut core).passes());
    assert!(core.by(&new).passes());
    assert!(core.by(&old).passes());
}

#[test]
fn unknown_kid_causes_one_immediate_fetch() {
    let (mut core, _, new) = at_rest(json!({}));
    assert!(core.is_quiet());
    core.held_by(&new);
    assert_eq!(core.call().path, "/openid/v1/jwks");
}

#[test]
fn thousand_requests_with_invented_kids_cause_one_fetch() {
    let (mut core, old, _) = at_rest(json!({}));
    let mut waiting: Vec<_> = (0..500).map(|at| invented(&mut core, &old, at)).collect();
    let call = core.call();
    waiting.extend((500..1000).map(|at| invented(&mut core, &old, at)));
    assert!(core.is_quiet());
    assert!(core.by(&old).passes(), "a valid token is not paused");
    core.reply(&call, ok(set(&[&old])));
    for request in &mut waiting {
        assert_eq!(request.wakes(&mut core), UNKNOWN_KEY);
    }
    assert!(core.is_quiet());
    // One of the burst of three was used.
    for _ in 0..2 {
        core.wait(millis(1001));
        invented(&mut core, &old, 0);
        core.publish(&set(&[&old]));
    }
    core.wait(millis(1001));
    assert_eq!(core.denial_of(&key()).reason(), Reason::KeysUnavailable);
}

#[test]
fn new_key_right_after_a_fetch_is_accepted_on_its_first_request() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    core.publish(&set(&[&old]));
    core.wait(millis(1));
    let mut request = core.held_by(&new);
    core.publish(&set(&[&old, &new]));
    assert!(request.wakes(&mut core).passes());
}

#[test]
fn fetch_in_the_last_second_decides_if_the_refetch_limit_is_reached() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    core.publish(&set(&[&old]));
    for _ in 0..3 {
        core.wait(millis(1));
        let mut request = core.held_by(&new);
        core.wait_for_next();
        core.publish(&set(&[&old]));
        assert_eq!(request.wakes(&mut core), UNKNOWN_KEY);
    }
    for wait in [0, 500, 500] {
        core.wait(millis(wait));
        assert_eq!(core.by(&new), UNKNOWN_KEY);
        assert!(core.is_quiet());
    }
    core.wait(millis(1));
    assert_eq!(core.denial_of(&new).reason(), Reason::KeysUnavailable);
}

#[test]
fn fetch_in_flight_decides_for_requests_that_arrive_during_it() {
    let (mut core, old, new) = at_rest(json!({}));
    let mut one = core.held_by(&new);
    let call = core.call();
    core.wait(seconds(3));
    let mut two = core.held_by(&new);
    core.reply(&call, ok(set(&[&old])));
    assert_eq!(one.wakes(&mut core), UNKNOWN_KEY);
    assert_eq!(two.wakes(&mut core), UNKNOWN_KEY);
}

#[test]
fn unknown_kids_cause_three_fetches_and_then_one_per_interval() {
    for (config, interval) in [(json!({}), 10), (json!({ "minRefetchInterval": "30s" }), 30)] {
        let (mut core, old, new) = at_rest(config);
        let first = core.now;
        for _ in 0..3 {
            let mut request = core.held_by(&new);
            core.publish(&set(&[&old]));
            assert_eq!(request.wakes(&mut core), UNKNOWN_KEY);
            core.wait(seconds(2));
        }
        let denial = core.denial_of(&new);
        assert_eq!(denial.reason(), Reason::KeysUnavailable);
        assert_eq!(denial.retry_after(), Some(seconds(interval - 6)));
        assert!(core.is_quiet());
        core.now = before(first.plus(seconds(interval)), millis(1));
        assert_eq!(core.denial_of(&new).retry_after(), Some(millis(1)));
        core.wait(millis(1));
        core.held_by(&new);
        core.publish(&set(&[&old, &new]));
        assert!(core.by(&new).passes());
    }
}

#[test]
fn hour_of_invented_kids_causes_one_fetch_per_interval() {
    let (mut core, old, _) = at_rest(json!({ "refreshInterval": "24h" }));
    let (mut fetches, unknown) = (0, key());
    for _ in 0..3600 * 4 {
        core.wait(millis(250));
        core.by(&unknown);
        for call in core.calls() {
            fetches += 1;
            core.reply(&call, ok(set(&[&old])));
        }
    }
    assert!((360..=363).contains(&fetches), "{fetches} fetches");
    assert!(core.by(&old).passes());
}

#[test]
fn requests_before_the_call_is_sent_share_one_fetch() {
    let (mut core, old, new) = at_rest(json!({}));
    let mut requests: Vec<_> = (0..10).map(|_| core.held_by(&new)).collect();
    core.publish(&set(&[&old, &new]));
    for request in &mut requests {
        assert!(request.wakes(&mut core).passes());
    }
    assert!(core.is_quiet());
}

#[test]
fn failed_fetch_does_not_reject_an_unknown_key() {
    let (mut core, old, new) = at_rest(json!({}));
    let mut request = core.held_by(&new);
    core.fails(Reply::Reset);
    assert_eq!(request.wakes(&mut core), HELD);
    core.wait_for_next();
    core.publish(&set(&[&old, &new]));
    assert!(request.wakes(&mut core).passes());
}

#[test]
fn unknown_kid_at_a_server_that_refuses_is_503_with_retry_after() {
    let (mut core, old, new) = at_rest(json!({}));
    let mut refused = 0;
    for _ in 0..100 {
        for call in core.calls() {
            core.reply(&call, super::status(500));
        }
        if !core.holds(&new) {
            let denial = core.denial_of(&new);
            assert_eq!(denial.reason(), Reason::KeysUnavailable);
            let retry = denial.retry_after().expect("a Retry-After");
            assert!(retry <= seconds(60), "{retry:?}");
            refused += 1;
        }
        core.wait(millis(500));
    }
    assert!(refused > 40, "{refused}");
    assert!(core.by(&old).passes());
}

#[test]
fn token_without_kid_is_rejected_as_unknown_key() {
    let (mut core, old, _) = at_rest(json!({}));
    let claims = crate::support::good().issued_at(super::START).lifetime(1 << 30);
    let mut request = core.request(&get("/", &claims.without_header("kid").sign(&old)));
    if request.arrives(&mut core) == HELD {
        core.publish(&set(&[&old]));
        assert_eq!(request.wakes(&mut core), UNKNOWN_KEY);
    }
}

#[test]
fn unknown_kid_does_not_delay_the_next_refresh() {
    let (mut core, old, new) = at_rest(json!({}));
    core.held_by(&new);
    core.publish(&set(&[&old]));
    assert!(core.until_next() <= seconds(600));
}

#[test]
fn kid_refers_to_the_key_of_the_newest_set() {
    let (mut core, old, new) = at_rest(json!({}));
    let mut renamed = new.jwk();
    renamed["kid"] = json!(old.kid());
    core.wait_for_next();
    core.publish(&json!({ "keys": [renamed] }).to_string());
    assert_eq!(core.denial_of(&old).reason(), Reason::BadSignature);
}

/// Five seconds after the old key was fetched: the fetch is too old to reject an unknown kid.
fn at_rest(config: serde_json::Value) -> (Core, SigningKey, SigningKey) {
    let (mut core, old, new) = (core(config), key(), key());
    core.publish(&set(&[&old]));
    core.wait(seconds(5));
    (core, old, new)
}

/// A request with an invented kid, which must be paused.
fn invented(core: &mut Core, key: &SigningKey, at: u32) -> Request {
    let claims = crate::support::good().issued_at(super::START).lifetime(1 << 30);
    let token = claims.header("kid", json!(format!("invented-{at}"))).sign(key);
    let mut request = core.request(&get("/", &token));
    assert_eq!(request.arrives(core), HELD);
    request
}
