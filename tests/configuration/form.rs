//! Errors of syntax and type: invalid JSON, unknown fields, wrong types, nulls, and lists in place of objects.

use super::{check, check_form, check_text, good, set};
use sa_authn::config::{Config, Problem, schema};
use serde_json::{Value, json};

#[test]
fn text_other_than_a_json_object_is_one_problem() {
    for (text, piece) in [
        ("", "the configuration is empty"),
        (" \n\t", "the configuration is empty"),
        ("null", "must be a JSON object"),
        ("[]", "must be a JSON object"),
        ("\"text\"", "must be a JSON object"),
        ("5", "must be a JSON object"),
        ("{", "EOF while parsing"),
        ("{} {}", "trailing characters"),
        ("{'a':1}", "key must be a string"),
        ("{\"issuers\":[],}", "trailing comma"),
        ("issuers: []", "expected value"),
        ("\u{feff}{}", "begins with a byte order mark, remove it: expected value"),
    ] {
        check_text(text, &[("", piece)]);
    }
    check_text(&"[".repeat(100_000), &[("", "nested more than")]);
}

#[test]
fn duplicate_members_are_rejected_at_any_depth() {
    let text = good().to_string();
    for (from, to) in [
        ("\"mode\":", "\"mode\":\"shadow\",\"mode\":"),
        ("\"cluster\":", "\"cluster\":\"x\",\"cluster\":"),
        ("\"allow\":[", "\"allow\":\"anyone\",\"allow\":["),
        ("\"mode\":", "\"\\u006dode\":\"shadow\",\"mode\":"),
    ] {
        let twice = text.replace(from, to);
        assert_ne!(twice, text, "{from}");
        check_text(&twice, &[("", "duplicate member")]);
    }
}

#[test]
fn unknown_field_is_reported_with_its_path() {
    check_form(vec![
        (set("/issuer", json!("x")), vec![("issuer", "unknown field `issuer`")]),
        (set("/Mode", json!("shadow")), vec![("Mode", "unknown field `Mode`")]),
        (set("/identity_headers", json!({})), vec![("identity_headers", "unknown field")]),
        (set("/issuers/0/audience", json!("x")), vec![("issuers[0].audience", "unknown field")]),
        (set("/issuers/0/keys/url", json!("x")), vec![("issuers[0].keys.url", "unknown field")]),
        (
            set("/issuers/0/keys/discovery/path", json!("/x")),
            vec![(
                "issuers[0].keys.discovery.path",
                "expected one of `cluster`, `authority`, `pathPrefix`",
            )],
        ),
        (set("/tokenFrom/1/scheme", json!("x")), vec![("tokenFrom[1].scheme", "unknown field")]),
        (set("/rules/0/path", json!("/x")), vec![("rules[0].path", "unknown field `path`")]),
        (set("/limits/maxTokens", json!(5)), vec![("limits.maxTokens", "unknown field")]),
    ]);
}

/// Adds each field in the schema with its path.
fn collect(path: &str, schema: &Value, fields: &mut Vec<(String, String)>) {
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        // `deny` has the fields of `allow`, the members of `inline` are not the filter's, and each attribute of
        // `kubernetesRBAC` has the same fields.
        let attribute = path.strip_prefix("rules[].allow.kubernetesRBAC.");
        let is_in_attribute = attribute.is_some_and(|path| path.contains('.'));
        if name != "deny" && path != "issuers[].keys.inline" && !is_in_attribute {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            collect(&path, inner, fields);
            fields.push((name.clone(), path));
        }
    }
    if schema["items"].is_object() {
        collect(&format!("{path}[]"), &schema["items"], fields);
    }
    for alternative in ["anyOf", "oneOf"].iter().filter_map(|of| schema[of].as_array()).flatten() {
        collect(path, alternative, fields);
    }
}

#[test]
fn misplaced_field_is_reported_with_its_place() {
    let mut fields = Vec::new();
    collect("", &schema(), &mut fields);
    fields.sort_unstable();
    fields.dedup();
    assert!(fields.len() > 50, "{fields:?}");
    let mut hints = 0;
    for (name, path) in &fields {
        let other = if path == name { "limits" } else { "" };
        let config =
            if other.is_empty() { json!({ name: 1 }) } else { json!({ other: { name: 1 } }) };
        let problems = Config::parse(config.to_string().as_bytes()).unwrap_err();
        let is_it =
            |problem: &&Problem| problem.message.starts_with(&format!("unknown field `{name}`"));
        // A name of several objects can be right in the first one.
        let Some(problem) = problems.iter().find(is_it) else { continue };
        let hint = problem.hint().unwrap_or_default();
        if !hint.starts_with("did you mean") {
            let place = hint.strip_prefix("this field belongs in ").unwrap_or_default();
            assert!(
                place.split(" or ").any(|place| place == format!("`{path}`")),
                "{path}: {hint}"
            );
            hints += 1;
        }
    }
    assert!(hints > 40, "{hints}");
}

#[test]
fn place_of_a_misplaced_field_is_its_path_in_each_object_that_has_it() {
    for (pointer, path, hint) in [
        (
            "/issuers/0/keys/discovery/refreshInterval",
            "issuers[0].keys.discovery.refreshInterval",
            Some("this field belongs in `issuers[].keys.refreshInterval`"),
        ),
        (
            "/issuers/0/keys/audiences",
            "issuers[0].keys.audiences",
            Some("this field belongs in `issuers[].audiences`"),
        ),
        (
            "/issuers/0/timeout",
            "issuers[0].timeout",
            Some(
                "this field belongs in `issuers[].keys.timeout` or `issuers[].tokenReview.timeout` or `issuers[].subjectAccessReview.timeout`",
            ),
        ),
        (
            "/rules/0/namespace",
            "rules[0].namespace",
            Some(
                "this field belongs in `rules[].allow[].namespace` or `rules[].allow.kubernetesRBAC.resource.namespace`",
            ),
        ),
        ("/mode\u{1}\"}", "mode\u{1}\"}", None),
        ("/limits/a`b", "limits.a`b", None),
    ] {
        let problems = Config::parse(set(pointer, json!("1m")).to_string().as_bytes()).unwrap_err();
        let problem = problems.iter().find(|problem| problem.path == path).expect("a problem");
        assert_eq!(problem.hint().as_deref(), hint, "{problem}");
    }
}

#[test]
fn value_of_the_wrong_type_is_reported_once_with_its_path() {
    check_form(vec![
        (set("/issuers", json!({})), vec![("issuers", "invalid type: object, expected a list")]),
        (set("/issuers/0/issuer", json!(5)), vec![("issuers[0].issuer", "expected a string")]),
        (set("/issuers/0/audiences", json!("a")), vec![("issuers[0].audiences", "a list")]),
        (set("/issuers/0/leeway", json!(60)), vec![("issuers[0].leeway", "a duration such as")]),
        (set("/issuers/0/keys", json!("x")), vec![("issuers[0].keys", "invalid type: string")]),
        (set("/issuers/0/keys/pem", json!("x")), vec![("issuers[0].keys.pem", "a list")]),
        (set("/rules", json!("anyone")), vec![("rules", "expected a list")]),
        (set("/rules/0/methods", json!("GET")), vec![("rules[0].methods", "a list")]),
        (set("/identityHeaders", json!(["x"])), vec![("identityHeaders", "expected an object")]),
        (set("/identityHeaders/x-a", json!(5)), vec![("identityHeaders.x-a", "expected a string")]),
        (set("/forwardToken", json!("yes")), vec![("forwardToken", "expected a boolean")]),
        (set("/mode", json!("off")), vec![("mode", "unknown variant `off`")]),
        (
            set("/mode", json!(true)),
            vec![("mode", "invalid type: boolean `true`, expected a string")],
        ),
        (set("/limits", json!(5)), vec![("limits", "invalid type: integer")]),
        (
            set("/limits/maxWaiting", json!("5")),
            vec![("limits.maxWaiting", "expected a whole number")],
        ),
        (
            set("/limits/maxWaiting", json!(-5)),
            vec![("limits.maxWaiting", "invalid value: integer `-5`, expected a whole number")],
        ),
    ]);
    // In JSON Schema 5.0 is an integer.
    check(vec![(
        set("/limits/maxWaiting", json!(5.0)),
        vec![("limits.maxWaiting", "invalid type: floating point `5.0`, expected a whole number")],
    )]);
}

#[test]
fn limits_out_of_range_are_rejected() {
    let (bytes, waiting) =
        ("must be from 256 to 1048576, found", "must be from 1 to 100000, found");
    let wait = "must be from 1ms to 60s, found";
    check_form(vec![
        (set("/limits/maxTokenBytes", json!(255)), vec![("limits.maxTokenBytes", bytes)]),
        (set("/limits/maxTokenBytes", json!(1_048_577)), vec![("limits.maxTokenBytes", bytes)]),
        (set("/limits/maxWaiting", json!(0)), vec![("limits.maxWaiting", waiting)]),
        (set("/limits/maxWaiting", json!(100_001)), vec![("limits.maxWaiting", waiting)]),
        (
            set("/limits/tokenCacheEntries", json!(1_000_001)),
            vec![("limits.tokenCacheEntries", "must be at most 1000000")],
        ),
        (
            set("/limits/maxReviews", json!(0)),
            vec![("limits.maxReviews", "must be from 1 to 1000")],
        ),
    ]);
    // JSON Schema cannot compare durations.
    check(vec![
        (set("/limits/waitTimeout", json!("0s")), vec![("limits.waitTimeout", wait)]),
        (set("/limits/waitTimeout", json!("61s")), vec![("limits.waitTimeout", wait)]),
    ]);
}

#[test]
fn durations_must_be_a_number_and_a_unit() {
    for text in ["", "60", "1.5s", "-1s", "+1s", "1 s", "1d", "1w", "1S", "1h30m", "s", "1e3s"] {
        let expected = vec![("issuers[0].leeway", "a duration such as \"30s\"")];
        check_form(vec![(set("/issuers/0/leeway", json!(text)), expected)]);
    }
    // More than a year.
    let expected = vec![("issuers[0].leeway", "a duration such as \"30s\"")];
    check(vec![(set("/issuers/0/leeway", json!("9999h")), expected)]);
}

/// In YAML, a member without a value is null. If `rules:` were treated as absent, every caller would be allowed.
#[test]
fn null_is_rejected_in_place_of_any_value() {
    for (pointer, path) in [
        ("/issuers", "issuers"),
        ("/tokenFrom", "tokenFrom"),
        ("/rules", "rules"),
        ("/identityHeaders", "identityHeaders"),
        ("/forwardToken", "forwardToken"),
        ("/mode", "mode"),
        ("/limits", "limits"),
        ("/limits/maxWaiting", "limits.maxWaiting"),
        ("/issuers/0/name", "issuers[0].name"),
        ("/issuers/0/issuer", "issuers[0].issuer"),
        ("/issuers/0/aliases", "issuers[0].aliases"),
        ("/issuers/0/audiences", "issuers[0].audiences"),
        ("/issuers/0/keys", "issuers[0].keys"),
        ("/issuers/0/keys/discovery", "issuers[0].keys.discovery"),
        ("/issuers/0/keys/discovery/cluster", "issuers[0].keys.discovery.cluster"),
        ("/issuers/0/leeway", "issuers[0].leeway"),
        ("/tokenFrom/0/prefix", "tokenFrom[0].prefix"),
        ("/tokenFrom/1/header", "tokenFrom[1].header"),
        ("/rules/1/name", "rules[1].name"),
        ("/rules/1/methods", "rules[1].methods"),
        ("/rules/1/paths", "rules[1].paths"),
        ("/rules/1/allow", "rules[1].allow"),
        ("/identityHeaders/x-sa-name", "identityHeaders.x-sa-name"),
    ] {
        let found = super::problems(&set(pointer, Value::Null).to_string());
        let said = found.iter().find(|problem| problem.path == path);
        assert_eq!(said.map(|p| p.message.as_str()), Some(NO_VALUE), "{pointer}: {found:#?}");
        // The removed value must not cause further problems.
        let beside: Vec<_> = found.iter().filter(|problem| problem.path != path).collect();
        let allowed = ["/issuers/0/keys/discovery"].contains(&pointer);
        assert!(allowed || beside.is_empty(), "{pointer}: {beside:#?}");
    }
}

#[test]
fn null_in_a_list_is_rejected() {
    check_form(vec![
        (set("/issuers/0/aliases", json!([null])), vec![("issuers[0].aliases[0]", "null")]),
        (set("/tokenFrom/1", json!(null)), vec![("tokenFrom[1]", "invalid type: null")]),
        (set("/rules/1", json!(null)), vec![("rules[1]", "invalid type: null")]),
        (set("/rules/1/paths", json!([null])), vec![("rules[1].paths[0]", "null")]),
    ]);
}

#[test]
fn value_of_the_wrong_type_causes_no_second_problem() {
    check_form(vec![
        (set("/issuers/0", json!(null)), vec![("issuers[0]", "invalid type: null")]),
        (set("/issuers/0", json!("https://a")), vec![("issuers[0]", "invalid type: string")]),
        (set("/issuers/0/audiences", json!([5])), vec![("issuers[0].audiences[0]", "a string")]),
        (set("/issuers/0/audiences", json!([null])), vec![("issuers[0].audiences[0]", "null")]),
        (set("/rules/1/allow", json!([null])), vec![("rules[1].allow[0]", "null")]),
        (set("/rules/0/paths", json!("/x")), vec![("rules[0].paths", "a list")]),
        (set("/rules/1/allow", json!([["a/b"]])), vec![("rules[1].allow[0]", "invalid type")]),
        (
            set("/rules/1/allow", json!([5])),
            vec![("rules[1].allow[0]", "invalid type: integer `5`")],
        ),
    ]);
}

/// serde also deserializes a struct from a list, which would bypass the checks of names and nulls.
#[test]
fn list_in_place_of_an_object_is_rejected() {
    for (pointer, path) in [
        ("/limits", "limits"),
        ("/issuers/0", "issuers[0]"),
        ("/issuers/0/keys", "issuers[0].keys"),
        ("/issuers/0/keys/discovery", "issuers[0].keys.discovery"),
        ("/tokenFrom/1", "tokenFrom[1]"),
        ("/rules/1", "rules[1]"),
    ] {
        for members in 0..32 {
            let list = json!(vec![Value::Null; members]);
            let found = super::problems(&set(pointer, list).to_string());
            let said = found.iter().any(|problem| problem.path == path);
            assert!(said, "{pointer} as a list of {members}: {found:#?}");
        }
    }
    check_form(vec![(set("/limits", json!([300])), vec![("limits", "invalid type: list")])]);
}

const NO_VALUE: &str = "must not be null; set a value, or remove the field";
