//! Mistakes in `rules`: what they cover, and whom they let in.

use super::{Row, check, good, put, set, without};
use serde_json::{Value, json};

#[test]
fn a_rule_that_lets_nobody_in_is_a_mistake() {
    let allow = "rules[1].allow";
    check(vec![
        (set("/rules", json!([])), vec![("rules", "an empty list lets nobody in")]),
        (without("/rules/1/allow"), vec![(allow, "must say who may pass (or `deny` who may not)")]),
        (set("/rules/1/allow", json!([])), vec![(allow, "an empty list means nobody")]),
        (
            set("/rules/1/allow", json!("everyone")),
            vec![(allow, "invalid value: string \"everyone\"")],
        ),
        (
            set("/rules/1/allow", json!("Anyone")),
            vec![(allow, "\"anyone\", \"authenticated\" or a list")],
        ),
        (set("/rules/1/allow", json!("api/api")), vec![(allow, "or a list such as")]),
        (set("/rules/1/allow", json!(true)), vec![(allow, "invalid type: boolean")]),
        (
            set("/rules/1/allow", json!({ "serviceAccount": "a/b" })),
            vec![(allow, "invalid type: map")],
        ),
    ]);
}

#[test]
fn an_account_must_be_one_that_kubernetes_can_have() {
    let rows = [
        ("", "not of the form namespace/name"),
        ("api", "not of the form namespace/name"),
        ("system:serviceaccount:api:api", "not of the form namespace/name"),
        ("*", "not of the form namespace/name"),
        ("/", "the namespace is not a DNS label"),
        ("/api", "the namespace is not a DNS label"),
        ("api/", "the name is not a DNS subdomain"),
        ("api/a/b", "the name is not a DNS subdomain"),
        ("API/api", "the namespace is not a DNS label"),
        ("api/API", "the name is not a DNS subdomain"),
        ("a.b/api", "the namespace is not a DNS label"),
        ("api/a_b", "the name is not a DNS subdomain"),
        ("api/ api", "the name is not a DNS subdomain"),
        ("a*/api", "`*` must stand for a whole part"),
        ("api/*-reader", "`*` must stand for a whole part"),
        ("**/api", "`*` must stand for a whole part"),
    ];
    check(rows.into_iter().map(|(account, piece)| entry(json!(account), piece)).collect());
    let rows = rows.into_iter();
    check(
        rows.map(|(account, piece)| entry(json!({ "serviceAccount": account }), piece)).collect(),
    );
}

#[test]
fn an_entry_of_an_allow_list_must_say_something_that_can_hold() {
    check(vec![
        entry(json!({}), "asks for nothing: write \"authenticated\""),
        (
            set("/rules/1/allow", json!(["a/b", { "issuerName": "other" }])),
            vec![("rules[1].allow[1].issuerName", "\"other\" is none of local")],
        ),
        (
            set("/rules/1/allow", json!([{ "serviceAccount": "a/b", "account": "a" }])),
            vec![("rules[1].allow[0].account", "unknown field `account`")],
        ),
    ]);
}

#[test]
fn a_condition_of_an_entry_must_be_one_that_can_hold() {
    let at = |entry: Value, field: &'static str, piece: &'static str| -> Row {
        (set("/rules/1/allow", json!([entry])), vec![(field, piece)])
    };
    check(vec![
        at(
            json!({ "audience": "x" }),
            "rules[1].allow[0].audience",
            "\"x\" is none of secret-store",
        ),
        at(json!({ "node": "" }), "rules[1].allow[0].node", "must not be empty"),
        at(json!({ "uid": "" }), "rules[1].allow[0].uid", "must not be empty"),
        at(
            json!({ "serviceAccount": "a/b", "podBound": false }),
            "rules[1].allow[0].podBound",
            "only true asks for something",
        ),
        at(
            json!({ "serviceAccount": "a/b", "namespace": "a" }),
            "rules[1].allow[0].namespace",
            "serviceAccount names the namespace already",
        ),
        at(json!({ "namespace": "A" }), "rules[1].allow[0]", "the namespace is not a DNS label"),
    ]);
}

#[test]
fn a_rule_that_cannot_do_what_it_says_is_a_mistake() {
    let ports = "must be ports from 1 to 65535";
    let set = |member: &str, value: Value| set(&format!("/rules/1/{member}"), value);
    check(vec![
        (set("deny", json!([])), vec![("rules[1].deny", "an empty list means nobody")]),
        (set("deny", json!("anyone")), vec![("rules[1].allow", "nobody is left")]),
        (set("deny", json!(["x"])), vec![("rules[1].deny[0]", "not of the form namespace/name")]),
        (set("mode", json!("audit")), vec![("rules[1].mode", "unknown variant `audit`")]),
        (set("direction", json!("in")), vec![("rules[1].direction", "unknown variant `in`")]),
        (set("ports", json!([])), vec![("rules[1].ports", ports)]),
        (set("ports", json!([80, 0])), vec![("rules[1].ports", ports)]),
        (set("ports", json!([65536])), vec![("rules[1].ports[0]", "expected u16")]),
        (set("corsPreflight", json!("yes")), vec![("rules[1].corsPreflight", "a boolean")]),
        (set("hosts", json!([])), vec![("rules[1].hosts", "an empty list covers no request")]),
        (set("hosts", json!(["a", "*"])), vec![("rules[1].hosts[1]", "must be a host such as")]),
        (
            set("hosts", json!(["API.example"])),
            vec![("rules[1].hosts[0]", "write \"api.example\"")],
        ),
        (set("hosts", json!(["a.example."])), vec![("rules[1].hosts[0]", "write \"a.example\"")]),
        (set("hosts", json!(["*.A:*"])), vec![("rules[1].hosts[0]", "write \"*.a:*\"")]),
        (set("hosts", json!(["a:080"])), vec![("rules[1].hosts[0]", "write \"a:80\"")]),
        (set("hosts", json!(["a.*.b"])), vec![("rules[1].hosts[0]", "must be a host such as")]),
    ]);
}

/// Else `a.example:443`, which many upstreams take for `a.example`, would meet the next rule.
#[test]
fn a_deny_by_host_covers_every_port_or_names_one() {
    let rule = |hosts: Value| {
        put(good(), "/rules/1", json!({ "name": "no", "hosts": hosts, "deny": ["a/b"] }))
    };
    let skipped = |written: &'static str| vec![("rules[1].hosts[1]", written)];
    check(vec![
        (rule(json!(["x:*", "a.example"])), skipped("write \"a.example:*\"")),
        (rule(json!(["A", "*.a.example"])), {
            vec![
                ("rules[1].hosts[0]", "write \"a\""),
                ("rules[1].hosts[1]", "write \"*.a.example:*\""),
            ]
        }),
        (rule(json!(["a.example:*", "*.example:8080"])), vec![]),
    ]);
}

#[test]
fn a_rule_by_host_is_unreachable_only_behind_one_that_covers_its_ports() {
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
        let problem = vec![("rules[1]", "can never be reached")];
        let expected = if reachable { vec![] } else { problem };
        check(vec![(rules(first, second), expected)]);
    }
}

#[test]
fn a_rule_that_no_request_can_reach_is_a_mistake() {
    let never = vec![("rules[2]", "can never be reached: \"health\" before it decides")];
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
            vec![("rules[2]", "can never be reached: \"secrets\"")],
        ),
    ]);
}

#[test]
fn a_method_is_written_in_capitals() {
    let mut rows = vec![(
        set("/rules/1/methods", json!([])),
        vec![("rules[1].methods", "an empty list covers no request")],
    )];
    for method in ["get", "Get", "", "GET ", "GET,POST", "*", "G\u{c9}T"] {
        let config = set("/rules/1/methods", json!(["POST", method]));
        rows.push((config, vec![("rules[1].methods[1]", "must be a method in capitals")]));
    }
    check(rows);
}

#[test]
fn a_path_is_written_in_the_form_that_requests_are_compared_in() {
    let mut rows = vec![(
        set("/rules/1/paths", json!([])),
        vec![("rules[1].paths", "an empty list covers no request")],
    )];
    for (path, piece) in [
        ("", "no request's path can match it: it does not begin with /"),
        ("healthz", "it does not begin with /"),
        ("*", "it does not begin with /"),
        ("https://h/a", "it does not begin with /"),
        ("/a b", "not visible ASCII"),
        ("/\u{fc}", "not visible ASCII"),
        ("/a;b", "a backslash, semicolon or #"),
        ("/a#b", "a backslash, semicolon or #"),
        ("/a\\b", "a backslash, semicolon or #"),
        ("/a%2fb", "an escaped slash"),
        ("/a%", "cut off"),
        ("/a%zz", "not hexadecimal"),
        ("/a//b", "no request's path can match it: an empty segment (two slashes)"),
        ("//", "an empty segment (two slashes)"),
        ("/a//", "an empty segment (two slashes)"),
        ("/a/../b", "write \"/b\""),
        ("/a/./b", "write \"/a/b\""),
        ("/a?b=c", "write \"/a\""),
        ("/%61", "write \"/a\""),
        ("/%c3%a9", "write \"/%C3%A9\""),
        ("/a/%2A", "a `*` that stands for itself cannot be written"),
        ("/%2a", "a `*` that stands for itself cannot be written"),
        ("/a*", "must stand for a whole segment"),
        ("/*a/b", "must stand for a whole segment"),
        ("/a/**", "must stand for a whole segment"),
        ("/a/b*/c", "must stand for a whole segment"),
        ("/a.*", "must stand for a whole segment"),
        ("/a/{id}", "`{` is not supported: a pattern is an exact path"),
        ("/a/%7Bid%7D", "`{` is not supported: a pattern is an exact path"),
        ("/a/<id>", "`<` is not supported: a pattern is an exact path"),
        ("/a/[a-z]", "`[` is not supported: a pattern is an exact path"),
        ("/a/%5Bb%5d", "`[` is not supported: a pattern is an exact path"),
        ("/a/b]", "`]` is not supported: a pattern is an exact path"),
        ("/a/(b|c)", "`|` is not supported: a pattern is an exact path"),
        ("/^a", "`^` is not supported: a pattern is an exact path"),
        ("/a/:id", "\":id\" is not a parameter: a pattern is an exact path"),
        ("/a/%3aid/b", "\":id\" is not a parameter: a pattern is an exact path"),
        ("/a/.+", "`+` is not supported: a pattern is an exact path"),
        ("/a/.+", "for the character itself write \"/a/.%2B\""),
        ("/Users(1)", "for the character itself write \"/Users%281%29\""),
        ("/Users(1%29", "for the character itself write \"/Users%281%29\""),
        ("/a$", "for the character itself write \"/a%24\""),
        ("/a%2bb", "write \"/a%2Bb\""),
        ("/%61%28b%29", "write \"/a%28b%29\""),
    ] {
        let config = set("/rules/1/paths", json!(["/", path]));
        rows.push((config, vec![("rules[1].paths[1]", piece)]));
    }
    check(rows);
}

#[test]
fn each_rule_has_a_name_of_its_own() {
    let own = "must be a name of its own";
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
