//! Shadow mode: every request passes with the verdict of enforce mode, and keeps its token.

use super::{World, values};
use crate::support::{Outcome, pairs, with};
use sa_authn::denial::Reason;
use serde_json::json;

fn shadow(rules: serde_json::Value) -> World {
    World::new(with(json!({ "mode": "shadow" }), rules))
}

#[test]
fn shadow_mode_has_the_verdict_of_enforce_mode_and_passes_the_request() {
    let rules = json!({ "rules": [
        { "name": "open", "paths": ["/open"], "allow": "anyone" },
        { "name": "closed", "paths": ["/*"], "allow": ["ops/admin"] },
    ] });
    let (mut shadow, mut enforce) = (shadow(rules.clone()), World::new(rules));
    for path in ["/open", "/closed", "/a%2fb"] {
        for caller in ["", "expired", "api/api", "ops/admin"] {
            let enforced = enforce.judge("GET", path, caller);
            let shadowed = shadow.judge("GET", path, caller);
            let expected = match enforced.as_str() {
                "open" | "closed" => enforced,
                reason => format!("shadow: {reason}"),
            };
            assert_eq!(shadowed, expected, "{path} by {caller:?}");
        }
    }
}

#[test]
fn shadow_mode_sends_identity_headers_for_authenticated_callers_it_would_deny() {
    let mut world = shadow(json!({ "rules": [{ "allow": ["ops/admin"] }] }));
    let mut sent = world.request("GET", "/", "api/api");
    sent.extend(pairs(&[("x-sa-name", "forged"), ("x_sa_namespace", "forged")]));
    let seen = world.upstream(&sent);
    assert_eq!(values(&seen, "x-sa-name"), ["api"]);
    assert_eq!(values(&seen, "x-sa-namespace"), ["api"]);
    assert_eq!(values(&seen, "x_sa_namespace"), Vec::<&str>::new());
}

#[test]
fn shadow_mode_removes_identity_headers_of_unauthenticated_callers() {
    let mut world = shadow(json!({}));
    for caller in ["", "expired"] {
        let mut sent = world.request("GET", "/", caller);
        sent.extend(pairs(&[("x-sa-name", "forged"), ("X-SA-Namespace", "forged")]));
        let seen = world.upstream(&sent);
        let identity =
            seen.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-sa-"));
        assert_eq!(identity.count(), 0, "{caller:?}");
    }
}

#[test]
fn shadow_mode_removes_no_token() {
    let mut world = shadow(json!({}));
    for caller in ["api/api", "expired"] {
        let sent = world.request("GET", "/", caller);
        let seen = world.upstream(&sent);
        assert_eq!(values(&seen, "authorization"), values(&sent, "authorization"), "{caller}");
    }
}

#[test]
fn conflicting_tokens_pass_in_shadow_mode_without_identity() {
    let mut world = shadow(json!({}));
    let mut sent = world.request("GET", "/", "api/api");
    sent.extend(world.request("GET", "/", "other/x").split_off(2));
    match world.core.outcome(&sent) {
        Outcome::Shadowed(reason, edits) => {
            assert_eq!(reason, Reason::ConflictingTokens);
            assert!(edits.set().next().is_none(), "{edits:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// Forged identity headers cannot be removed from headers that cannot be read.
#[test]
fn unreadable_request_is_rejected_in_shadow_mode() {
    let mut world = shadow(json!({}));
    let mut request = world.core.request_of(vec![1, 0, 0, 0]);
    assert_eq!(request.arrives(&mut world.core), Outcome::Refused(Reason::Internal));
}
