//! Errors in `rules`.

use super::{Row, check, good, put, set, without};
use serde_json::{Value, json};

#[test]
fn rule_that_allows_no_caller_is_rejected() {
    let allow = "rules[1].allow";
    check(vec![
        (
            set("/rules", json!([])),
            vec![("rules", "must not be empty, because no request would be allowed")],
        ),
        (without("/rules/1/allow"), vec![(allow, "required unless `deny` is set")]),
        (
            set("/rules/1/allow", json!([])),
            vec![(allow, "must not be empty; list service accounts")],
        ),
        (
            set("/rules/1/allow", json!("everyone")),
            vec![(allow, "invalid value: string \"everyone\"")],
        ),
        (
            set("/rules/1/allow", json!("Anyone")),
            vec![(allow, "\"anyone\", \"authenticated\", a list")],
        ),
        (set("/rules/1/allow", json!("api/api")), vec![(allow, "a list such as")]),
        (set("/rules/1/allow", json!(true)), vec![(allow, "invalid type: boolean")]),
        (
            set("/rules/1/allow", json!({ "serviceAccount": "a/b" })),
            vec![
                ("rules[1].allow.kubernetesRBAC", "found none"),
                ("rules[1].allow.serviceAccount", "unknown field"),
            ],
        ),
    ]);
}

#[test]
fn account_names_must_be_valid_in_kubernetes() {
    let rows = [
        ("", "expected namespace/name"),
        ("api", "expected namespace/name"),
        ("system:serviceaccount:api:api", "expected namespace/name"),
        ("*", "expected namespace/name"),
        ("/", "the namespace must be a DNS label"),
        ("/api", "the namespace must be a DNS label"),
        ("api/", "the name must be a DNS subdomain"),
        ("api/a/b", "the name must be a DNS subdomain"),
        ("API/api", "the namespace must be a DNS label"),
        ("api/API", "the name must be a DNS subdomain"),
        ("a.b/api", "the namespace must be a DNS label"),
        ("api/a_b", "the name must be a DNS subdomain"),
        ("api/ api", "the name must be a DNS subdomain"),
        ("a*/api", "`*` must replace a whole part"),
        ("api/*-reader", "`*` must replace a whole part"),
        ("**/api", "`*` must replace a whole part"),
    ];
    check(rows.into_iter().map(|(account, piece)| entry(json!(account), piece)).collect());
    let rows = rows.into_iter();
    check(
        rows.map(|(account, piece)| entry(json!({ "serviceAccount": account }), piece)).collect(),
    );
}

#[test]
fn allow_entries_must_have_conditions_that_can_match() {
    check(vec![
        entry(json!({}), "empty condition; use \"authenticated\""),
        (
            set("/rules/1/allow", json!(["a/b", { "issuerName": "other" }])),
            vec![("rules[1].allow[1].issuerName", "\"other\": expected one of local")],
        ),
        (
            set("/rules/1/allow", json!([{ "serviceAccount": "a/b", "account": "a" }])),
            vec![("rules[1].allow[0].account", "unknown field `account`")],
        ),
    ]);
}

#[test]
fn conditions_that_cannot_match_are_rejected() {
    let at = |entry: Value, field: &'static str, piece: &'static str| -> Row {
        (set("/rules/1/allow", json!([entry])), vec![(field, piece)])
    };
    check(vec![
        at(
            json!({ "audience": "x" }),
            "rules[1].allow[0].audience",
            "\"x\": expected one of secret-store",
        ),
        at(json!({ "node": "" }), "rules[1].allow[0].node", "must not be empty"),
        at(json!({ "uid": "" }), "rules[1].allow[0].uid", "must not be empty"),
        at(
            json!({ "serviceAccount": "a/b", "podBound": false }),
            "rules[1].allow[0].podBound",
            "must be true; to match all tokens",
        ),
        at(
            json!({ "serviceAccount": "a/b", "namespace": "a" }),
            "rules[1].allow[0].namespace",
            "not allowed with serviceAccount",
        ),
        at(json!({ "namespace": "A" }), "rules[1].allow[0]", "the namespace must be a DNS label"),
    ]);
}

#[test]
fn rule_without_effect_is_rejected() {
    let ports = "must be a list of ports from 1 to 65535";
    let set = |member: &str, value: Value| set(&format!("/rules/1/{member}"), value);
    check(vec![
        (
            set("deny", json!([])),
            vec![("rules[1].deny", "must not be empty; list service accounts")],
        ),
        (set("deny", json!("anyone")), vec![("rules[1].allow", "`allow` has no effect")]),
        (set("deny", json!(["x"])), vec![("rules[1].deny[0]", "expected namespace/name")]),
        (set("mode", json!("audit")), vec![("rules[1].mode", "unknown variant `audit`")]),
        (set("direction", json!("in")), vec![("rules[1].direction", "unknown variant `in`")]),
        (set("ports", json!([])), vec![("rules[1].ports", ports)]),
        (set("ports", json!([80, 0])), vec![("rules[1].ports", ports)]),
        (
            set("ports", json!([65536])),
            vec![("rules[1].ports[0]", "expected a whole number up to 65535")],
        ),
        (set("corsPreflight", json!("yes")), vec![("rules[1].corsPreflight", "a boolean")]),
        (
            set("hosts", json!([])),
            vec![("rules[1].hosts", "must not be empty, because the rule would match no request")],
        ),
        (set("hosts", json!(["a", "*"])), vec![("rules[1].hosts[1]", "expected a host")]),
        (set("hosts", json!(["API.example"])), vec![("rules[1].hosts[0]", "use \"api.example\"")]),
        (set("hosts", json!(["a.example."])), vec![("rules[1].hosts[0]", "use \"a.example\"")]),
        (set("hosts", json!(["*.A:*"])), vec![("rules[1].hosts[0]", "use \"*.a:*\"")]),
        (set("hosts", json!(["a:080"])), vec![("rules[1].hosts[0]", "use \"a:80\"")]),
        (set("hosts", json!(["a.*.b"])), vec![("rules[1].hosts[0]", "expected a host")]),
    ]);
}

/// Otherwise `a.example:443`, which many upstreams treat as `a.example`, would match the next rule.
#[test]
fn deny_by_host_must_specify_ports() {
    let rule = |hosts: Value| {
        put(good(), "/rules/1", json!({ "name": "no", "hosts": hosts, "deny": ["a/b"] }))
    };
    let skipped = |written: &'static str| vec![("rules[1].hosts[1]", written)];
    check(vec![
        (rule(json!(["x:*", "a.example"])), skipped("use \"a.example:*\"")),
        (rule(json!(["A", "*.a.example"])), {
            vec![("rules[1].hosts[0]", "use \"a\""), ("rules[1].hosts[1]", "use \"*.a.example:*\"")]
        }),
        (rule(json!(["a.example:*", "*.example:8080"])), vec![]),
    ]);
}

#[test]
fn rule_with_host_is_unreachable_only_after_a_rule_that_covers_its_ports() {
    let rules = |first: &str, second: &str| {
        let rule = |host: &str| json!({ "hosts": [host], "allow": "authenticated" });
        put(good(), "/rules", json!([rule(first), rule(second)]))
    };
    for (first, second, reachable) in [
        ("a.example", "a.example", false),
        ("a.example", "a.example:80", true),
        ("a.example", "a.example:*", true),
        ("a.example:*", "a.example", false),
        ("a.example:*", "a.example:80", false),
        ("a.example:*", "a.example:*", false),
        ("a.example:80", "a.example:80", false),
        ("a.example:80", "a.example:81", true),
        ("a.example:80", "a.example:*", true),
        ("*.example:*", "a.example:80", false),
        ("*.example:*", "*.a.example:*", false),
        ("*.example:80", "a.example:80", false),
        ("*.example", "a.example:80", true),
        ("*.example", "*.example:*", true),
        ("*.a.example:*", "*.example", true),
    ] {
        let problem = vec![("rules[1]", "unreachable: rule")];
        let expected = if reachable { vec![] } else { problem };
        check(vec![(rules(first, second), expected)]);
    }
}

#[test]
fn unreachable_rule_is_rejected() {
    let never = vec![("rules[2]", "unreachable: rule \"health\" above matches every request")];
    let third = |rule: Value| put(good(), "/rules/2", rule);
    check(vec![
        (third(json!({ "paths": ["/healthz"], "allow": ["a/b"] })), never.clone()),
        (
            third(json!({ "methods": ["GET"], "paths": ["/healthz"], "allow": "anyone" })),
            never.clone(),
        ),
        (third(json!({ "hosts": ["a.b:*"], "paths": ["/healthz"], "deny": ["a/b"] })), never),
        (third(json!({ "paths": ["/healthz", "/x"], "allow": "anyone" })), vec![]),
        (third(json!({ "paths": ["/secrets/*"], "allow": "anyone" })), vec![]),
        (
            third(json!({ "methods": ["GET"], "paths": ["/secrets/a/*"], "allow": "anyone" })),
            vec![("rules[2]", "unreachable: rule \"secrets\" above")],
        ),
    ]);
}

#[test]
fn methods_must_be_upper_case() {
    let mut rows = vec![(
        set("/rules/1/methods", json!([])),
        vec![("rules[1].methods", "must not be empty, because the rule would match no request")],
    )];
    for method in ["get", "Get", "", "GET ", "GET,POST", "*", "G\u{c9}T"] {
        let config = set("/rules/1/methods", json!(["POST", method]));
        rows.push((config, vec![("rules[1].methods[1]", "must be an upper-case method")]));
    }
    check(rows);
}

#[test]
fn paths_must_be_in_normal_form() {
    let mut rows = vec![(
        set("/rules/1/paths", json!([])),
        vec![("rules[1].paths", "must not be empty, because the rule would match no request")],
    )];
    for (path, piece) in [
        ("", "matches no request: path does not begin with /"),
        ("healthz", "path does not begin with /"),
        ("*", "path does not begin with /"),
        ("https://h/a", "path does not begin with /"),
        ("/a b", "not visible ASCII"),
        ("/\u{fc}", "not visible ASCII"),
        ("/a;b", "backslash, semicolon or #"),
        ("/a#b", "backslash, semicolon or #"),
        ("/a\\b", "backslash, semicolon or #"),
        ("/a%2fb", "escaped slash"),
        ("/a%", "truncated escape"),
        ("/a%zz", "other characters than hexadecimal digits"),
        ("/a//b", "matches no request: empty segment (two slashes)"),
        ("//", "empty segment (two slashes)"),
        ("/a//", "empty segment (two slashes)"),
        ("/a/../b", "matches no request: dot segment (. or ..)"),
        ("/a/./b", "matches no request: dot segment (. or ..)"),
        ("/a?b=c", "use \"/a\""),
        ("/%61", "use \"/a\""),
        ("/%c3%a9", "use \"/%C3%A9\""),
        ("/a/%2A", "a literal `*` is not supported"),
        ("/%2a", "a literal `*` is not supported"),
        ("/a*", "must replace a whole segment"),
        ("/*a/b", "must replace a whole segment"),
        ("/a/**", "must replace a whole segment"),
        ("/a/b*/c", "must replace a whole segment"),
        ("/a.*", "must replace a whole segment"),
        ("/a/{id}", "`{` is not supported: use an exact path"),
        ("/a/%7Bid%7D", "`{` is not supported: use an exact path"),
        ("/a/<id>", "`<` is not supported: use an exact path"),
        ("/a/[a-z]", "`[` is not supported: use an exact path"),
        ("/a/%5Bb%5d", "`[` is not supported: use an exact path"),
        ("/a/b]", "`]` is not supported: use an exact path"),
        ("/a/(b|c)", "`|` is not supported: use an exact path"),
        ("/^a", "`^` is not supported: use an exact path"),
        ("/a/:id", "parameters such as \":id\" are not supported: use an exact path"),
        ("/a/%3aid/b", "parameters such as \":id\" are not supported: use an exact path"),
        ("/a/.+", "`+` is not supported: use an exact path"),
        ("/a/.+", "for the literal character use \"/a/.%2B\""),
        ("/Users(1)", "for the literal character use \"/Users%281%29\""),
        ("/Users(1%29", "for the literal character use \"/Users%281%29\""),
        ("/a$", "for the literal character use \"/a%24\""),
        ("/a%2bb", "use \"/a%2Bb\""),
        ("/%61%28b%29", "use \"/a%28b%29\""),
    ] {
        let config = set("/rules/1/paths", json!(["/", path]));
        rows.push((config, vec![("rules[1].paths[1]", piece)]));
    }
    check(rows);
}

#[test]
fn rule_names_must_be_unique() {
    let own = "rule names must be unique and not empty";
    let nameless = put(without("/rules/1/name"), "/rules/0/name", json!("rules[1]"));
    check(vec![
        (set("/rules/1/name", json!("health")), vec![("rules[1].name", own)]),
        (set("/rules/1/name", json!("")), vec![("rules[1].name", own)]),
        (nameless, vec![("rules[1].name", own)]),
    ]);
}

fn entry(entry: Value, piece: &'static str) -> Row {
    (set("/rules/1/allow", json!(["a/b", entry])), vec![("rules[1].allow[1]", piece)])
}
