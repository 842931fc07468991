//! A genuine caller is not refused for longer than the clocks or the replicas of the API server disagree.

use super::{HELD, START, UNKNOWN_KEY, core, key, millis, seconds, set, status};
use crate::support::{Core, Outcome, good};
use envoy_test::SigningKey;
use sa_authn::time::UnixTime;
use serde_json::json;
use std::time::Duration;

fn at(offset: Duration) -> UnixTime {
    UnixTime::from_secs(START).plus(offset)
}

/// The outcomes of a request every 100 ms with a token of a new key, as offsets of those that do not pass.
fn refusals(
    core: &mut Core,
    new: &SigningKey,
    until: Duration,
    answer: impl Fn(Duration) -> Option<String>,
) -> Vec<Duration> {
    let (mut waiting, mut refused) = (Vec::new(), Vec::new());
    let token = super::token(new);
    while core.now < at(until) {
        let offset = core.now.since(UnixTime::from_secs(START));
        let mut request = core.request(&crate::support::get("/", &token));
        match request.arrives(core) {
            HELD => waiting.push((offset, request)),
            Outcome::Passed(_) => {}
            _ => refused.push(offset),
        }
        for call in core.calls() {
            match answer(offset) {
                Some(jwks) => core.reply_with_keys(&call, &jwks),
                None => drop(core.reply(&call, status(403))),
            }
        }
        waiting.retain_mut(|(arrived, request)| match request.wakes(core) {
            HELD if core.now.since(at(*arrived)) < seconds(5) => true,
            HELD => {
                refused.push(*arrived);
                core.hangs_up(request.id);
                false
            }
            Outcome::Passed(_) => false,
            _ => {
                refused.push(*arrived);
                false
            }
        });
        core.wait(millis(100));
    }
    refused
}

#[test]
fn token_issued_a_second_ahead_of_the_proxy_is_accepted() {
    let (mut core, key) = (core(json!({})), key());
    core.publish(&set(&[&key]));
    for ahead in [1, 59, 60] {
        let token = good().issued_at(START + ahead).lifetime(3600).sign(&key);
        assert!(core.bearer(&token).passes(), "{ahead} s");
    }
}

/// One replica publishes the new key, the other does not yet.
#[test]
fn new_key_is_refused_only_while_replicas_disagree() {
    for disagree in [0, 300, 700, 1000, 1900] {
        let (mut core, old, new) = (core(json!({})), key(), key());
        core.publish(&set(&[&old]));
        core.wait(millis(10));
        let (lagging, current) = (set(&[&old]), set(&[&old, &new]));
        let refused = refusals(&mut core, &new, seconds(30), |offset| {
            Some(if offset < millis(disagree) { lagging.clone() } else { current.clone() })
        });
        let last = refused.last().copied().unwrap_or_default();
        assert!(last <= millis(disagree), "{disagree} ms: {refused:?}");
    }
}

/// A key that a lagging replica does not publish any more is back with the next fetch.
#[test]
fn key_that_a_lagging_replica_withdraws_is_refused_only_while_it_lags() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    core.publish(&set(&[&old, &new]));
    core.wait_for_next();
    core.publish(&set(&[&old]));
    assert_eq!(core.by(&new), UNKNOWN_KEY);
    core.wait(millis(1001));
    let mut request = core.held_by(&new);
    core.publish(&set(&[&old, &new]));
    assert!(request.wakes(&mut core).passes());
}

#[test]
fn api_server_without_rbac_in_its_first_seconds_refuses_no_caller_for_longer() {
    for ready in [0, 400, 1500, 3000, 6000, 12_000] {
        let (mut core, new) = (core(json!({})), key());
        let keys = set(&[&new]);
        let refused = refusals(&mut core, &new, seconds(40), |offset| {
            (offset >= millis(ready)).then(|| keys.clone())
        });
        let last = refused.last().copied().unwrap_or_default();
        // After that, an attempt is at most 2 s away.
        let patience = if ready > 6000 { seconds(2) } else { Duration::ZERO };
        assert!(last <= millis(ready) + patience, "ready after {ready} ms: {refused:?}");
    }
}
