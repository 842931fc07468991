//! Rules with `deny`.

use super::World;
use serde_json::json;

#[test]
fn deny_rejects_listed_callers_and_passes_others_to_the_next_rule() {
    let mut world = World::new(json!({ "rules": [
        { "name": "deny", "paths": ["/secrets/*"], "deny": ["batch/*", "api/old"] },
        { "name": "allow", "paths": ["/*"], "allow": ["batch/*", "api/*"] },
    ] }));
    for (path, caller, expected) in [
        ("/secrets/1", "batch/x", "forbidden"),
        ("/secrets/1", "api/old", "forbidden"),
        ("/secrets/1", "api/api", "allow"),
        ("/secrets/1", "other/x", "forbidden"),
        ("/x", "batch/x", "allow"),
        ("/x", "api/old", "allow"),
        // An unauthenticated caller cannot be compared with the list.
        ("/secrets/1", "", "missing_token"),
        ("/secrets/1", "expired", "expired"),
    ] {
        assert_eq!(world.judge("GET", path, caller), expected, "{path} by {caller:?}");
    }
}

#[test]
fn later_rule_for_anyone_does_not_override_deny() {
    let mut world = World::new(json!({ "rules": [
        { "name": "deny", "paths": ["/open/*"], "deny": ["batch/*"] },
        { "name": "allow", "paths": ["/open/*"], "allow": "anyone" },
    ] }));
    for (caller, expected) in [
        ("batch/x", "forbidden"),
        ("api/api", "allow"),
        ("", "missing_token"),
        ("expired", "expired"),
    ] {
        assert_eq!(world.judge("GET", "/open/x", caller), expected, "{caller:?}");
    }
}

#[test]
fn deny_and_allow_work_in_one_rule() {
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
fn deny_accepts_anyone_and_authenticated() {
    let mut world = World::new(json!({ "rules": [
        { "name": "admin", "paths": ["/admin/*"], "deny": "anyone" },
        { "name": "humans", "paths": ["/ui/*"], "deny": "authenticated" },
        { "name": "rest", "allow": "anyone" },
    ] }));
    for caller in ["", "expired", "api/api"] {
        assert_eq!(world.judge("GET", "/admin/x", caller), "forbidden", "{caller:?}");
        assert_eq!(world.judge("GET", "/x", caller), "rest", "{caller:?}");
    }
    assert_eq!(world.judge("GET", "/ui/x", "api/api"), "forbidden");
}
