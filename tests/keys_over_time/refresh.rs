//! Discovery, the first key fetch, refreshes and rotation.

use super::{HELD, START, UNKNOWN_KEY, cached, core, is_about, key, millis, seconds, set};
use crate::support::{Core, discovery_document, ok};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::core::Environment;
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;

#[test]
fn first_fetch_is_sent_at_once_with_the_expected_requests() {
    let mut core = core(json!({}));
    let discovery = core.call();
    assert_eq!(discovery.path, "/.well-known/openid-configuration");
    assert_eq!(discovery.cluster, "kube-apiserver");
    assert_eq!(discovery.authority, "kubernetes.default.svc");
    assert_eq!(discovery.timeout, seconds(5));
    core.reply(&discovery, ok(discovery_document(DEFAULT_ISSUER)));
    let keys = core.call();
    assert_eq!((keys.path.as_str(), keys.cluster.as_str()), ("/openid/v1/jwks", "kube-apiserver"));
    assert_eq!(keys.accept, "application/jwk-set+json, application/json");
    assert_ne!(keys.id, discovery.id);
}

#[test]
fn requests_before_the_first_keys_are_paused_and_then_pass() {
    let (mut core, key) = (core(json!({})), key());
    let mut early = core.held_by(&key);
    core.wait(millis(300));
    let mut later = core.held_by(&key);
    core.publish(&set(&[&key]));
    assert!(early.wakes(&mut core).passes());
    assert!(later.wakes(&mut core).passes());
    assert!(core.by(&key).passes());
}

#[test]
fn only_one_fetch_is_in_flight() {
    let (mut core, key) = (core(json!({})), key());
    core.call();
    for _ in 0..99 {
        core.wait(millis(100));
        assert_eq!(core.by(&key), HELD);
        assert!(core.is_quiet());
    }
}

#[test]
fn keys_are_refreshed_in_the_last_tenth_of_the_interval() {
    let (mut core, key) = (core(json!({ "refreshInterval": "20m" })), key());
    core.publish(&set(&[&key]));
    let wait = core.until_next();
    assert!(is_about(wait, seconds(1200)), "{wait:?}");
    core.wait(wait - millis(1));
    assert!(core.is_quiet());
    core.wait(millis(1));
    assert_eq!(core.calls().len(), 1);
}

#[test]
fn proxies_started_together_refresh_at_different_times() {
    let (config, key) = (super::discovered(json!({})), key());
    let waits: HashSet<_> = (0..200)
        .map(|seed| {
            let environment = Environment { seed: seed * 0x9e37_79b9, ..Environment::default() };
            let mut proxy = Core::in_environment(environment, START, &config);
            proxy.publish(&set(&[&key]));
            let wait = proxy.until_next();
            assert!(is_about(wait, seconds(600)), "seed {seed}: {wait:?}");
            wait
        })
        .collect();
    assert!(waits.len() > 50, "{} different waits", waits.len());
}

#[test]
fn max_age_shortens_but_never_extends_the_refresh_interval() {
    let key = key();
    for (cache_control, expected) in [
        ("public, max-age=3600", 600),
        ("max-age=60", 60),
        ("public,Max-Age = 60", 600),
        ("MAX-AGE=\"60\"", 60),
        ("s-maxage=1, max-age=120", 120),
        ("max-age=0", 10),
        ("no-cache, no-store", 600),
        ("max-age=x", 600),
        ("max-age=-1", 600),
        ("max-age=99999999999999999999", 600),
        ("max-age=18446744073709551615", 600),
        ("", 600),
    ] {
        let mut core = core(json!({}));
        let discovery = core.call();
        core.reply(&discovery, ok(discovery_document(DEFAULT_ISSUER)));
        let call = core.call();
        core.reply(&call, cached(&set(&[&key]), cache_control));
        let wait = core.until_next();
        assert!(is_about(wait, seconds(expected)), "{cache_control:?}: {wait:?}");
    }
}

#[test]
fn refresh_skips_discovery_because_the_path_is_cached() {
    let (mut core, key) = (core(json!({})), key());
    core.publish(&set(&[&key]));
    for _ in 0..3 {
        core.wait_for_next();
        let call = core.call();
        assert_eq!(call.path, "/openid/v1/jwks");
        core.reply(&call, ok(set(&[&key])));
    }
}

#[test]
fn failed_jwks_path_is_discovered_again() {
    let (mut core, key) = (core(json!({})), key());
    core.publish(&set(&[&key]));
    core.wait_for_next();
    core.fails(super::status(404));
    core.wait_for_next();
    let discovery = core.call();
    assert_eq!(discovery.path, "/.well-known/openid-configuration");
    let moved = json!({ "issuer": DEFAULT_ISSUER, "jwks_uri": "https://10.0.0.1/moved?v=2" });
    core.reply(&discovery, ok(moved.to_string()));
    assert_eq!(core.call().path, "/moved?v=2");
}

#[test]
fn configured_jwks_path_is_fetched_without_discovery() {
    let jwks = json!({ "cluster": "jwks", "authority": "keys.example", "path": "/keys?v=1" });
    let mut config = super::discovered(json!({}));
    config["issuers"][0]["keys"] = json!({ "jwks": jwks, "timeout": "3s" });
    let (mut core, key) = (Core::at(START, &config), key());
    core.fails(super::status(404));
    core.wait_for_next();
    let call = core.call();
    assert_eq!((call.path.as_str(), call.timeout), ("/keys?v=1", seconds(3)));
    core.reply(&call, ok(set(&[&key])));
    assert!(core.by(&key).passes());
}

#[test]
fn removed_key_is_rejected_after_the_refresh() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    core.publish(&set(&[&old]));
    core.wait_for_next();
    core.publish(&set(&[&old, &new]));
    assert!(core.by(&old).passes());
    assert!(core.by(&new).passes());
    core.wait_for_next();
    core.publish(&set(&[&new]));
    assert_eq!(core.by(&old), UNKNOWN_KEY);
    assert!(core.by(&new).passes());
    core.wait(seconds(5));
    let mut late = core.held_by(&old);
    core.publish(&set(&[&new]));
    assert_eq!(late.wakes(&mut core), UNKNOWN_KEY);
}

#[test]
fn cached_keys_remain_valid_during_a_refresh() {
    let (mut core, old) = (core(json!({})), key());
    core.publish(&set(&[&old]));
    core.wait_for_next();
    let call = core.call();
    core.wait(seconds(4));
    assert!(core.by(&old).passes());
    core.reply(&call, ok(set(&[&old])));
    assert!(core.by(&old).passes());
}

#[test]
fn inline_keys_cause_no_fetch() {
    let key = key();
    let mut core = Core::at(START, &crate::support::inline(&[&key]));
    assert!(core.is_quiet());
    assert_eq!(core.next_deadline(), None);
    assert!(core.by(&key).passes());
    assert_eq!(core.by(&super::key()), UNKNOWN_KEY);
    core.wait(Duration::from_secs(24 * 3600));
    assert_eq!(core.by(&super::key()), UNKNOWN_KEY);
    assert!(core.is_quiet());
}
