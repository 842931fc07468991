//! Request metrics, and the request ID of denied requests.

use super::World;
use crate::support::pairs;
use serde_json::{Value, json};

/// The counters that one request increments, in alphabetical order.
fn counted(config: Value, path: &str, caller: &str) -> Vec<String> {
    let mut world = World::new(config);
    let request = world.request("GET", path, caller);
    world.core.judge(&request).expect("a verdict");
    let counts = world.core.counts().into_iter();
    let of_requests = |name: &str| !name.contains("_cache.");
    let counts = counts.filter(|(name, _)| of_requests(name));
    counts.inspect(|(name, count)| assert_eq!(*count, 1, "{name}")).map(|(name, _)| name).collect()
}

#[test]
fn request_counter_has_verdict_reason_rule_and_issuer() {
    let rules = json!([
        { "name": "draft", "deny": ["api/*"], "mode": "shadow" },
        { "name": "open", "paths": ["/open"], "allow": "anyone" },
        { "name": "ops", "allow": ["ops/*"] },
    ]);
    for (path, caller, expected) in [
        ("/", "ops/admin", vec!["requests.allowed.none.ops.local"]),
        ("/", "web/web", vec!["requests.denied.forbidden.ops.local"]),
        ("/open", "api/api", vec!["requests.allowed.none.open.local", "shadow_denied.draft"]),
        // Unauthenticated: a deny rule would reject the request.
        ("/open", "expired", vec!["requests.allowed.expired.open.none", "shadow_denied.draft"]),
    ] {
        let expected: Vec<_> = expected.iter().map(|name| format!("sa_authn.{name}")).collect();
        assert_eq!(counted(json!({ "rules": rules }), path, caller), expected, "{path} {caller}");
    }
    let shadow = json!({ "rules": [{ "name": "ops", "allow": ["ops/*"] }], "mode": "shadow" });
    let expected = "sa_authn.requests.shadow_denied.forbidden.ops.local";
    assert_eq!(counted(shadow, "/", "api/api"), [expected]);
}

#[test]
fn request_id_is_kept_for_denied_and_shadow_denied_requests() {
    for (mode, caller, expected) in [
        ("enforce", "api/api", None),
        ("enforce", "", Some("77a1".to_owned())),
        ("shadow", "", Some("77a1".to_owned())),
    ] {
        let mut world = World::new(json!({ "mode": mode }));
        let mut request = world.request("GET", "/", caller);
        request.extend(pairs(&[("x-request-id", "77a1")]));
        let finished = world.core.judge(&request).expect("a verdict");
        assert_eq!(finished.request_id, expected, "{mode} {caller:?}");
    }
}
