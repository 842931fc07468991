//! The rule that decides a request, and its verdict.

use super::World;
use serde_json::{Value, json};

/// Method, path, caller, and the rule that allows the request or the reason of the denial.
type Row = (&'static str, &'static str, &'static str, &'static str);

fn rules() -> Value {
    json!({ "rules": [
        { "name": "health", "paths": ["/healthz", "/readyz"], "allow": "anyone" },
        { "name": "public", "methods": ["GET", "HEAD"], "paths": ["/public/*"], "allow": "anyone" },
        { "name": "admin", "paths": ["/secrets/admin/*"], "allow": ["ops/admin"] },
        { "name": "read", "methods": ["GET"], "paths": ["/secrets/*"], "allow": ["api/api", "batch/*"] },
        { "name": "own", "paths": ["/of/*/state"], "allow": ["*/api"] },
        { "name": "any", "methods": ["POST"], "paths": ["/in"], "allow": "authenticated" },
        { "name": "late", "paths": ["/secrets/*", "/healthz"], "allow": "anyone" },
    ] })
}

#[test]
fn first_matching_rule_decides() {
    let mut world = World::new(rules());
    let rows = [OPEN, LISTED, FIRST, UNCOVERED, METHODS, PATHS];
    for (method, path, caller, expected) in rows.concat() {
        assert_eq!(world.judge(method, path, caller), expected, "{method} {path} by {caller:?}");
    }
}

/// Open to anyone, with any token.
const OPEN: &[Row] = &[
    ("GET", "/healthz", "", "health"),
    ("GET", "/healthz", "expired", "health"),
    ("GET", "/healthz", "api/api", "health"),
    ("DELETE", "/readyz", "", "health"),
    ("GET", "/public/a/b", "", "public"),
    ("HEAD", "/public/a", "expired", "public"),
];

const LISTED: &[Row] = &[
    ("GET", "/secrets/1", "api/api", "read"),
    ("GET", "/secrets/1", "batch/nightly", "read"),
    ("GET", "/secrets/1", "api/other", "forbidden"),
    ("GET", "/secrets/1", "other/api", "forbidden"),
    ("GET", "/secrets/1", "batch-2/nightly", "forbidden"),
    ("GET", "/secrets/1", "", "missing_token"),
    ("GET", "/secrets/1", "expired", "expired"),
    ("GET", "/of/x/state", "any/api", "own"),
    ("GET", "/of/x/state", "api/any", "forbidden"),
    ("POST", "/in", "any/body", "any"),
    ("POST", "/in", "", "missing_token"),
];

/// A later rule does not change the verdict of an earlier one.
const FIRST: &[Row] = &[
    ("GET", "/secrets/admin/1", "ops/admin", "admin"),
    ("GET", "/secrets/admin/1", "api/api", "forbidden"),
    ("GET", "/secrets/admin/1", "", "missing_token"),
    ("GET", "/secrets/1", "", "missing_token"),
    ("POST", "/secrets/1", "", "late"),
    ("POST", "/secrets/1", "api/api", "late"),
    ("POST", "/secrets/admin/1", "", "missing_token"),
];

/// No rule matches: authenticated callers are forbidden, others get the reason of their token.
const UNCOVERED: &[Row] = &[
    ("GET", "/", "api/api", "forbidden"),
    ("GET", "/", "", "missing_token"),
    ("GET", "/", "expired", "expired"),
    ("POST", "/public/a", "api/api", "forbidden"),
    ("GET", "/in", "api/api", "forbidden"),
];

const METHODS: &[Row] = &[
    ("HEAD", "/in", "api/api", "forbidden"),
    ("PUT", "/in", "api/api", "forbidden"),
    ("post", "/in", "api/api", "unknown_method"),
    ("post", "/in", "", "unknown_method"),
    ("POSTX", "/in", "api/api", "unknown_method"),
    ("POS", "/in", "api/api", "unknown_method"),
    ("get", "/healthz", "", "health"),
    ("get", "/secrets/admin/1", "ops/admin", "admin"),
    ("get", "/secrets/1", "", "unknown_method"),
    ("get", "/of/x/state", "any/api", "own"),
    ("get", "/elsewhere", "api/api", "unknown_method"),
    ("OPTIONS", "/public/a", "", "missing_token"),
    ("", "/in", "api/api", "ambiguous_path"),
];

const PATHS: &[Row] = &[
    ("GET", "/healthz?x=/secrets/1", "", "health"),
    ("GET", "/%68ealthz", "", "health"),
    ("GET", "//healthz", "", "ambiguous_path"),
    ("GET", "/.//healthz", "", "ambiguous_path"),
    ("GET", "/healthz//", "", "ambiguous_path"),
    ("GET", "//public/secrets/1", "", "ambiguous_path"),
    ("GET", "/x/..//public/secrets/1", "api/api", "ambiguous_path"),
    ("GET", "/x/../healthz", "", "ambiguous_path"),
    ("GET", "/./healthz", "", "ambiguous_path"),
    ("GET", "/healthz/", "", "missing_token"),
    ("GET", "/healthz/x", "", "missing_token"),
    ("GET", "/HEALTHZ", "", "missing_token"),
    ("GET", "/public", "", "missing_token"),
    ("GET", "/public/", "", "public"),
    ("GET", "/publicity", "", "missing_token"),
    ("GET", "/public/../secrets/1", "", "ambiguous_path"),
    ("GET", "/public/%2e%2e/secrets/1", "", "ambiguous_path"),
    ("GET", "/secrets/../public/1", "", "ambiguous_path"),
    ("GET", "/public/..%2fsecrets/1", "", "ambiguous_path"),
    ("GET", "/public/..\\secrets\\1", "", "ambiguous_path"),
    ("GET", "/public/;/../../secrets/1", "", "ambiguous_path"),
    ("GET", "/public/%252e%252e/secrets/1", "", "ambiguous_path"),
    ("GET", "/of/x/y/state", "a/api", "forbidden"),
    ("GET", "/of//state", "a/api", "ambiguous_path"),
    ("GET", "/of/x/state/", "a/api", "forbidden"),
    ("GET", "/of/*/state", "a/api", "own"),
];

#[test]
fn without_rules_only_authenticated_callers_pass() {
    let mut world = World::new(json!({}));
    for (caller, expected) in
        [("api/api", "-"), ("other/x", "-"), ("", "missing_token"), ("expired", "expired")]
    {
        assert_eq!(world.judge("GET", "/any/thing", caller), expected, "{caller:?}");
    }
    assert_eq!(world.judge("GET", "/a%2fb;c\\d", "api/api"), "-", "no rule has paths");
}

#[test]
fn ambiguous_path_is_rejected_only_by_rules_with_paths() {
    let blind = json!({ "rules": [
        { "name": "read", "methods": ["GET"], "allow": "authenticated" },
        { "name": "open", "methods": ["HEAD"], "allow": "anyone" },
    ] });
    let mut world = World::new(blind);
    assert_eq!(world.judge("GET", "/a%2fb", "api/api"), "read");
    assert_eq!(world.judge("HEAD", "/a%2fb", ""), "open");
    let looking = json!({ "rules": [
        { "name": "read", "methods": ["GET"], "allow": "authenticated" },
        { "name": "open", "methods": ["HEAD"], "paths": ["/x"], "allow": "anyone" },
    ] });
    let mut world = World::new(looking);
    for caller in ["api/api", "expired", ""] {
        assert_eq!(world.judge("HEAD", "/a%2fb", caller), "ambiguous_path", "{caller:?}");
        assert_eq!(world.judge("POST", "/a%2fb", caller), "ambiguous_path", "{caller:?}");
    }
    // The first rule decides.
    for (caller, expected) in [("api/api", "read"), ("expired", "expired"), ("", "missing_token")] {
        assert_eq!(world.judge("GET", "/a%2fb", caller), expected, "{caller:?}");
    }
}

#[test]
fn first_rule_with_methods_rejects_an_unknown_method() {
    let mut world = World::new(json!({ "rules": [
        { "name": "open", "paths": ["/open"], "allow": "anyone" },
        { "name": "shadow", "paths": ["/x"], "methods": ["PUT"], "deny": "anyone", "mode": "shadow" },
        { "name": "delete", "paths": ["/x"], "methods": ["DELETE"], "allow": ["ops/admin"] },
        { "name": "purge", "paths": ["/y"], "methods": ["PURGE"], "allow": ["ops/admin"] },
        { "name": "ports", "ports": [1], "methods": ["GET"], "allow": ["ops/admin"] },
        { "name": "rest", "paths": ["/*"], "allow": "authenticated" },
    ] }));
    for (method, path, caller, expected) in [
        ("delete", "/open", "", "open"),
        ("DELETE", "/x", "api/api", "forbidden"),
        ("delete", "/x", "api/api", "unknown_method"),
        ("delete", "/x", "", "unknown_method"),
        ("delete", "/x", "expired", "unknown_method"),
        ("delete", "/z", "api/api", "rest"),
        ("PURGE", "/x", "api/api", "rest"),
        ("purge", "/x", "api/api", "unknown_method"),
        ("FROB", "/x", "api/api", "unknown_method"),
        ("TRACE", "/x", "api/api", "rest"),
        ("PATCH", "/x", "api/api", "rest"),
    ] {
        assert_eq!(world.judge(method, path, caller), expected, "{method} {path} by {caller:?}");
    }
    let mut world = World::new(json!({ "rules": [{ "name": "all", "allow": "authenticated" }] }));
    assert_eq!(world.judge("delete", "/", "api/api"), "all", "no rule has methods");
}

#[test]
fn first_rule_that_uses_an_ambiguous_part_sets_the_reason() {
    let mut world = World::new(json!({ "rules": [
        { "name": "method", "methods": ["GET"], "allow": ["ops/admin"] },
        { "name": "path", "paths": ["/x"], "allow": "anyone" },
    ] }));
    for (method, path, expected) in [
        ("get", "//x", "unknown_method"),
        ("get", "/x", "unknown_method"),
        ("POST", "//x", "ambiguous_path"),
        ("GET", "//x", "missing_token"),
    ] {
        assert_eq!(world.judge(method, path, ""), expected, "{method} {path}");
    }
}

#[test]
fn rules_with_and_without_paths_are_evaluated_in_configured_order() {
    let mut world = World::new(json!({ "rules": [
        { "name": "post", "methods": ["POST"], "allow": "authenticated" },
        { "name": "x", "paths": ["/x/*"], "allow": "anyone" },
        { "name": "rest", "methods": ["GET"], "allow": ["ops/admin"] },
        { "name": "late", "paths": ["/y"], "allow": "anyone" },
    ] }));
    for (method, path, caller, expected) in [
        ("POST", "/x/1", "", "missing_token"),
        ("POST", "/x/1", "a/b", "post"),
        ("GET", "/x/1", "", "x"),
        ("GET", "/y", "", "missing_token"),
        ("GET", "/y", "a/b", "forbidden"),
        ("GET", "/y", "ops/admin", "rest"),
        ("PUT", "/y", "", "late"),
        ("POST", "/y", "", "missing_token"),
    ] {
        assert_eq!(world.judge(method, path, caller), expected, "{method} {path} by {caller:?}");
    }
}

#[test]
fn conflicting_tokens_are_rejected_on_open_paths() {
    let mut world = World::new(rules());
    let mut headers = world.request("GET", "/healthz", "api/api");
    headers.extend(world.request("GET", "/healthz", "other/x").split_off(2));
    let denial = world.core.denial(&headers);
    assert_eq!(denial.reason().code(), "conflicting_tokens");
}

#[test]
fn denial_detail_names_the_caller_and_the_rule() {
    let mut world = World::new(rules());
    let listed = world.request("GET", "/secrets/1", "other/x");
    let detail = world.core.denial(&listed).detail().to_owned();
    assert!(detail.contains("other/x") && detail.contains("\"read\""), "{detail}");
    let uncovered = world.request("GET", "/", "other/x");
    let detail = world.core.denial(&uncovered).detail().to_owned();
    assert!(detail.contains("other/x") && detail.contains("no rule covers"), "{detail}");
}
