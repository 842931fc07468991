//! Rules that keep callers out, and rules that are only on trial.

use super::{World, values};
use crate::support::{Core, Outcome, discovered, good, with};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::verdict::Verdict;
use serde_json::json;

#[test]
fn who_is_denied_is_refused_and_the_others_go_on_to_the_next_rule() {
    let mut world = World::new(json!({ "rules": [
        { "name": "out", "paths": ["/secrets/*"], "deny": ["batch/*", "api/old"] },
        { "name": "in", "paths": ["/*"], "allow": ["batch/*", "api/*"] },
    ] }));
    for (path, caller, expected) in [
        ("/secrets/1", "batch/x", "forbidden"),
        ("/secrets/1", "api/old", "forbidden"),
        ("/secrets/1", "api/api", "in"),
        ("/secrets/1", "other/x", "forbidden"),
        ("/x", "batch/x", "in"),
        ("/x", "api/old", "in"),
        // Of a caller that is not proven nobody knows whether it is on the list.
        ("/secrets/1", "", "missing_token"),
        ("/secrets/1", "expired", "expired"),
    ] {
        assert_eq!(world.judge("GET", path, caller), expected, "{path} by {caller:?}");
    }
}

#[test]
fn a_denied_path_is_not_opened_by_a_later_rule_for_anyone() {
    let mut world = World::new(json!({ "rules": [
        { "name": "out", "paths": ["/open/*"], "deny": ["batch/*"] },
        { "name": "in", "paths": ["/open/*"], "allow": "anyone" },
    ] }));
    for (caller, expected) in
        [("batch/x", "forbidden"), ("api/api", "in"), ("", "missing_token"), ("expired", "expired")]
    {
        assert_eq!(world.judge("GET", "/open/x", caller), expected, "{caller:?}");
    }
}

#[test]
fn one_rule_may_deny_some_and_allow_others() {
    let mut world = World::new(json!({ "rules": [
        { "name": "r", "deny": ["api/old"], "allow": ["api/*"] },
    ] }));
    for (caller, expected) in
        [("api/api", "r"), ("api/old", "forbidden"), ("b/c", "forbidden"), ("", "missing_token")]
    {
        assert_eq!(world.judge("GET", "/", caller), expected, "{caller:?}");
    }
}

#[test]
fn everybody_or_every_service_account_may_be_denied() {
    let mut world = World::new(json!({ "rules": [
        { "name": "nobody", "paths": ["/admin/*"], "deny": "anyone" },
        { "name": "humans", "paths": ["/ui/*"], "deny": "authenticated" },
        { "name": "rest", "allow": "anyone" },
    ] }));
    for caller in ["", "expired", "api/api"] {
        assert_eq!(world.judge("GET", "/admin/x", caller), "forbidden", "{caller:?}");
        assert_eq!(world.judge("GET", "/x", caller), "rest", "{caller:?}");
    }
    assert_eq!(world.judge("GET", "/ui/x", "api/api"), "forbidden");
}

#[test]
fn a_denying_rule_on_trial_refuses_nobody_and_is_noted() {
    let mut world = World::new(json!({ "rules": [
        { "name": "trial", "deny": ["batch/*"], "mode": "shadow" },
        { "name": "in", "allow": ["batch/*", "api/*"] },
    ] }));
    for (caller, noted) in [("batch/x", &["trial"][..]), ("api/api", &[])] {
        let sent = world.request("GET", "/", caller);
        let finished = world.core.judge(&sent).unwrap();
        assert!(matches!(finished.verdict, Verdict::Allow(..)), "{caller}");
        let shadowed: Vec<_> = finished.shadowed.iter().map(AsRef::as_ref).collect();
        assert_eq!(shadowed, noted, "{caller}");
        assert_eq!(finished.rule.as_deref(), Some("in"));
    }
    assert_eq!(world.judge("GET", "/", "other/x"), "forbidden");
}

#[test]
fn an_allowing_rule_on_trial_decides_and_lets_pass_whom_it_would_refuse() {
    let mut world = World::new(json!({ "rules": [
        { "name": "trial", "paths": ["/new/*"], "allow": ["api/api"], "mode": "shadow" },
        { "name": "old", "allow": "authenticated" },
    ] }));
    for (path, caller, expected) in [
        ("/new/x", "api/api", "trial"),
        ("/new/x", "b/c", "shadow: forbidden"),
        ("/new/x", "", "shadow: missing_token"),
        ("/new/x", "expired", "shadow: expired"),
        ("/x", "b/c", "old"),
        ("/x", "", "missing_token"),
    ] {
        assert_eq!(world.judge("GET", path, caller), expected, "{path} by {caller:?}");
    }
    let sent = world.request("GET", "/new/x", "b/c");
    let seen = world.upstream(&sent);
    assert_eq!(values(&seen, "authorization").len(), 1, "a trial takes no token off");
    assert_eq!(values(&seen, "x-sa-namespace"), ["b"]);
}

/// Without the rule on trial nobody would have to be known here.
#[test]
fn a_denying_rule_on_trial_makes_nobody_wait_for_keys() {
    let rules = json!({ "rules": [
        { "name": "trial", "deny": ["batch/*"], "mode": "shadow" },
        { "name": "in", "allow": "anyone" },
    ] });
    let mut core = Core::new(&with(discovered(), rules));
    let token = good().sign(&SigningKey::generate(KeyKind::P256));
    let outcome = core.bearer(&token);
    assert!(outcome.passes(), "{outcome:?}");
}

#[test]
fn a_denying_rule_that_is_enforced_is_worth_waiting_for_keys_though_the_next_is_on_trial() {
    let rules = json!({ "rules": [
        { "name": "out", "deny": ["batch/*"] },
        { "name": "trial", "allow": ["api/api"], "mode": "shadow" },
    ] });
    let mut core = Core::new(&with(discovered(), rules));
    let token = good().sign(&SigningKey::generate(KeyKind::P256));
    assert_eq!(core.bearer(&token), Outcome::Held);
}
