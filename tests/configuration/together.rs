//! Every problem of a configuration is told at once, and problems of the text beside those of the sense.

use super::{check_text, good, problems};
use serde_json::json;

#[test]
fn problems_of_all_parts_are_told_together() {
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
            ("issuers[0].issuer", "must be the tokens' iss"),
            ("issuers[0].audiences", "must name what"),
            ("issuers[0].keys.discovery.cluster", "must be the name of an Envoy cluster"),
            ("issuers[0].keys.discovery.authority", "must be what the server is called"),
            ("issuers[0].leeway", "a duration such as"),
            ("issuers[1].name", "is an earlier issuer's name too"),
            ("issuers[1].audience", "unknown field"),
            ("issuers[1].audiences", "must name what"),
            ("issuers[1].keys", "exactly one of"),
            ("tokenFrom[0].header", "must be letters, digits and dashes"),
            ("tokenFrom[1].header", "must be a header's name"),
            ("tokenFrom[1].prefix", "must be a scheme and one space"),
            ("rules[0].methods[0]", "must be a method in capitals"),
            ("rules[0].paths[0]", "does not begin with /"),
            ("rules[0].allow", "invalid value"),
            ("rules[1].allow[0]", "not of the form namespace/name"),
            ("identityHeaders.host", "another meaning"),
            ("identityHeaders.x-a", "is none of"),
            ("forwardToken", "expected a boolean"),
            ("mode", "unknown variant"),
            ("limits.maxTokenBytes", "must be from 256"),
            ("limits.maxWaiting", "must be from 1"),
            ("limits.waitTimeout", "must be more than 0s"),
            ("limits.x", "unknown field"),
            ("more", "unknown field"),
        ],
    );
}

#[test]
fn nulls_and_wrong_types_and_wrong_values_are_told_together() {
    let mut config = good();
    config["mode"] = json!(null);
    config["forwardToken"] = json!("no");
    config["issuers"][0]["audiences"] = json!([]);
    check_text(
        &config.to_string(),
        &[
            ("mode", "has no value"),
            ("forwardToken", "expected a boolean"),
            ("issuers[0].audiences", "must name what"),
        ],
    );
}

#[test]
fn a_member_that_stands_twice_does_not_hide_the_other_problems() {
    let text = r#"{"mode":"off","mode":"shadow","issuers":[],"rules":[]}"#;
    check_text(
        text,
        &[
            ("", "duplicate member"),
            ("issuers", "must name at least one issuer"),
            ("rules", "an empty list lets nobody in"),
        ],
    );
}

#[test]
fn many_problems_are_all_told() {
    let rule = |at| json!({ "methods": ["get"], "paths": [format!("/{at}")], "allow": "anyone" });
    let rules: Vec<_> = (0..1000).map(rule).collect();
    let mut config = good();
    config["rules"] = json!(rules);
    let found = problems(&config.to_string());
    assert_eq!(found.len(), 1000);
    assert_eq!(found[999].path, "rules[999].methods[0]");
}

#[test]
fn a_problem_reads_as_its_place_and_what_would_be_right() {
    let mut config = good();
    config["limits"]["maxWaiting"] = json!(0);
    let found = problems(&config.to_string());
    assert_eq!(found[0].to_string(), "limits.maxWaiting: must be from 1 to 100000");
    assert_eq!(problems("[]")[0].to_string(), "must be an object");
}
