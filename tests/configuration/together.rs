//! All problems of a configuration are reported together.

use super::{check_text, good, problems, set};
use sa_authn::config::Config;
use serde_json::json;

#[test]
fn problems_in_all_parts_are_reported_together() {
    let config = json!({
        "issuers": [
            { "name": "a", "issuer": "", "audiences": [], "keys": { "discovery": {} },
              "leeway": "1d" },
            { "name": "a", "issuer": "https://b", "audience": "x", "keys": {} },
        ],
        "tokenFrom": [{ "header": "x_y" }, { "prefix": "Bearer" }],
        "rules": [{ "methods": ["get"], "paths": ["a"], "allow": "everyone" }, { "allow": ["x"] }],
        "identityHeaders": { "host": "name", "x-a": "what" },
        "forwardToken": 1,
        "mode": "off",
        "limits": { "maxTokenBytes": 1, "maxWaiting": 0, "waitTimeout": "0s", "x": 1 },
        "more": 1,
    });
    check_text(
        &config.to_string(),
        &[
            ("issuers[0].issuer", "must not be empty; set the `iss`"),
            ("issuers[0].audiences", "list the audience"),
            ("issuers[0].keys.discovery.cluster", "must be the name of an Envoy cluster"),
            ("issuers[0].keys.discovery.authority", "must be the server's host name"),
            ("issuers[0].leeway", "a duration such as"),
            ("issuers[1].name", "is also the name of issuers[0]"),
            ("issuers[1].audience", "unknown field"),
            ("issuers[1].audiences", "list the audience"),
            ("issuers[1].keys", "exactly one of"),
            ("tokenFrom[0].header", "must contain only letters, digits and `-`"),
            ("tokenFrom[1].header", "must be a header name of 1 to 64 characters"),
            ("tokenFrom[1].prefix", "must be a scheme followed by one space"),
            ("rules[0].methods[0]", "must be an upper-case method"),
            ("rules[0].paths[0]", "does not begin with /"),
            ("rules[0].allow", "invalid value"),
            ("rules[1].allow[0]", "expected namespace/name"),
            ("identityHeaders.host", "reserved by HTTP or Envoy"),
            ("identityHeaders.x-a", "expected one of"),
            ("forwardToken", "expected a boolean"),
            ("mode", "unknown variant"),
            ("limits.maxTokenBytes", "must be from 256"),
            ("limits.maxWaiting", "must be from 1"),
            ("limits.waitTimeout", "must be from 1ms"),
            ("limits.x", "unknown field"),
            ("more", "unknown field"),
        ],
    );
}

#[test]
fn nulls_wrong_types_and_wrong_values_are_reported_together() {
    let mut config = good();
    config["mode"] = json!(null);
    config["forwardToken"] = json!("no");
    config["issuers"][0]["audiences"] = json!([]);
    check_text(
        &config.to_string(),
        &[
            ("mode", "must not be null"),
            ("forwardToken", "expected a boolean"),
            ("issuers[0].audiences", "list the audience"),
        ],
    );
}

#[test]
fn duplicate_member_does_not_hide_other_problems() {
    let text = r#"{"mode":"off","mode":"shadow","issuers":[],"rules":[]}"#;
    check_text(
        text,
        &[
            ("", "duplicate member `mode`"),
            ("issuers", "must not be empty; add the issuer"),
            ("rules", "must not be empty, because no request would be allowed"),
        ],
    );
}

#[test]
fn a_thousand_problems_are_all_reported() {
    let rule = |at| json!({ "methods": ["get"], "paths": [format!("/{at}")], "allow": "anyone" });
    let rules: Vec<_> = (0..1000).map(rule).collect();
    let mut config = good();
    config["rules"] = json!(rules);
    let found = problems(&config.to_string());
    assert_eq!(found.len(), 1000);
    assert_eq!(found[999].path, "rules[999].methods[0]");
}

#[test]
fn problem_is_displayed_as_path_and_message() {
    let mut config = good();
    config["limits"]["maxWaiting"] = json!(0);
    let found = problems(&config.to_string());
    assert_eq!(found[0].to_string(), "limits.maxWaiting: must be from 1 to 100000, found 0");
    assert_eq!(problems("[]")[0].to_string(), "must be a JSON object");
}

#[test]
fn allow_whose_callers_the_rule_denies_is_rejected() {
    let said = "`allow` has no effect";
    for (deny, allow, is_void) in [
        (json!("anyone"), json!("authenticated"), true),
        (json!("authenticated"), json!(["a/b"]), true),
        (json!("authenticated"), json!("anyone"), false),
        (json!(["a/*"]), json!(["a/b", "a/c"]), true),
        (json!(["*/b"]), json!(["a/b"]), true),
        (json!(["a/b"]), json!([{ "serviceAccount": "a/b", "podBound": true }]), true),
        (json!([{ "serviceAccount": "a/b", "node": "n" }]), json!(["a/b"]), false),
        (json!(["a/*"]), json!(["a/b", "b/b"]), false),
        (json!(["a/b"]), json!(["a/*"]), false),
        (json!(["a/b"]), json!(["*/b"]), false),
    ] {
        let rule = json!([{ "name": "x", "deny": deny, "allow": allow }]);
        let expected = if is_void { vec![("rules[0].allow", said)] } else { Vec::new() };
        check_text(&set("/rules", rule).to_string(), &expected);
    }
}

#[test]
fn placeholders_are_rejected_everywhere() {
    for (pointer, path) in [
        ("/issuers/0/issuer", "issuers[0].issuer"),
        ("/issuers/0/audiences/0", "issuers[0].audiences[0]"),
        ("/issuers/0/keys/discovery/cluster", "issuers[0].keys.discovery.cluster"),
    ] {
        for text in ["${X}", "a-{{.Values.x}}"] {
            let config = set(pointer, json!(text)).to_string();
            check_text(&config, &[(path, "a placeholder was not replaced")]);
        }
    }
}

#[test]
fn comments_in_json_are_named() {
    for comment in ["// x", "/* x */", "# x"] {
        let json = format!("{{\n  {comment}\n  \"issuers\": []\n}}");
        check_text(&json, &[("", "JSON has no comments: ")]);
    }
    check_text("{\n  x\n}", &[("", "key must be a string")]);
}

/// Envoy's log contains the hint after the message.
#[test]
fn hint_follows_the_message() {
    for (config, expected) in [
        (
            set("/mode", json!("dry-run")),
            "mode: unknown variant `dry-run`, expected `enforce` or `shadow`; did you mean `shadow`?",
        ),
        (
            set("/forwardToken", json!("no")),
            "forwardToken: invalid type: string \"no\", expected a boolean; write true or false, without quotes",
        ),
        (
            set("/issuers/0/keys/discovery/authority", json!("https://k.svc/x")),
            "issuers[0].keys.discovery.authority: must be the server's host name without a scheme and a path; write \"k.svc\"",
        ),
        (
            set("/rules/1/allow", json!(["system:serviceaccount:a:b"])),
            "rules[1].allow[0]: \"system:serviceaccount:a:b\": expected namespace/name; write \"a/b\"",
        ),
        (
            set("/identityHeaders", json!({ "name": "x-name" })),
            "identityHeaders.name: the header comes first; write \"x-name\": \"name\"",
        ),
    ] {
        let problems = Config::parse(config.to_string().as_bytes()).unwrap_err();
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}
