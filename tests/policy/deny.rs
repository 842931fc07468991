//! Rules with `deny`.

use super::World;
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
