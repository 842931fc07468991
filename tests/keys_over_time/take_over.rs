//! A new configuration takes over the keys of the replaced one if their source is the same.

use super::{START, discovered, key, seconds, set};
use crate::support::{Core, with};
use sa_authn::callout::Reply;
use serde_json::{Value, json};

/// The core with a new configuration, at the current time of the old one.
fn replaced(old: &mut Core, config: &Value) -> Core {
    let mut new = Core::at(START, config);
    new.now = old.now;
    new.takes_over(old);
    new
}

fn with_rules(config: Value) -> Value {
    with(config, json!({ "rules": [{ "allow": "authenticated" }] }))
}

#[test]
fn new_configuration_takes_over_keys_without_a_fetch() {
    let key = key();
    let mut old = Core::at(START, &discovered(json!({})));
    old.publish(&set(&[&key]));
    old.wait(seconds(60));
    let mut new = replaced(&mut old, &with_rules(discovered(json!({}))));
    assert!(new.is_quiet());
    assert!(new.by(&key).passes());
    // The refresh keeps the time that the old configuration had scheduled.
    assert_eq!(new.until_next(), old.until_next());
    new.wait_for_next();
    assert_eq!(new.call().path, "/openid/v1/jwks", "the path is cached");
}

#[test]
fn keys_taken_over_remain_valid_until_max_stale_of_their_fetch() {
    let key = key();
    let keys = json!({ "maxStale": "1h", "refreshInterval": "10m" });
    let mut old = Core::at(START, &discovered(keys.clone()));
    old.publish(&set(&[&key]));
    old.wait(seconds(1800));
    old.fails(Reply::Reset);
    let mut new = replaced(&mut old, &discovered(keys));
    new.wait(seconds(1799));
    new.fails(Reply::Reset);
    assert!(new.by(&key).passes());
    new.wait(seconds(1));
    // The retry is near, so the request is paused.
    assert!(new.holds(&key));
}

#[test]
fn shorter_refresh_interval_applies_to_keys_taken_over() {
    let key = key();
    let mut old = Core::at(START, &discovered(json!({ "refreshInterval": "24h" })));
    old.publish(&set(&[&key]));
    let mut new = replaced(&mut old, &discovered(json!({ "refreshInterval": "1m" })));
    assert!(new.until_next() <= seconds(60));
}

#[test]
fn keys_of_another_source_are_not_taken_over() {
    let key = key();
    let mut old = Core::at(START, &discovered(json!({})));
    old.publish(&set(&[&key]));
    let discovery = |cluster: &str, authority: &str| json!({ "discovery": { "cluster": cluster, "authority": authority } });
    let mut another_issuer = discovered(json!({}));
    another_issuer["issuers"][0]["issuer"] = json!("https://another.example");
    for config in [
        discovered(discovery("another", "kubernetes.default.svc")),
        discovered(discovery("kube-apiserver", "another.example")),
        another_issuer,
    ] {
        let mut new = replaced(&mut old, &config);
        assert_eq!(new.calls().len(), 1, "{config}");
    }
}
