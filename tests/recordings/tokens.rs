//! Every recorded token, at the time it was minted and at the limits of its lifetime.

use super::{API, FILTER, JWKS, MINTED, config, parse, read};
use crate::support::{Core, get};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::collections::BTreeSet;

const RECORDED: &str = include_str!("../testdata/tokens_raw.json");

/// Each token, and its verdict with the filter's audience and with the API server's.
const TOKENS: [(&str, &str, &str); 16] = [
    ("default", "wrong_audience", "demo/app"),
    ("aud_one_600s", "demo/app", "wrong_audience"),
    ("aud_two", "demo/app", "wrong_audience"),
    ("aud_api_and_filter", "demo/app", "demo/app"),
    ("pod_node1", "demo/app in app-1 on node1", "wrong_audience"),
    ("pod_node1_api_aud_3607s_extended", "wrong_audience", "demo/app in app-1 on node1"),
    ("pod_node1_api_aud_3600s", "wrong_audience", "demo/app in app-1 on node1"),
    ("pod_node1_filter_aud_3607s", "demo/app in app-1 on node1", "wrong_audience"),
    ("pod_missing_node", "demo/app in app-ghost on ghost-node", "wrong_audience"),
    ("pod_no_node", "demo/app in app-nonode", "wrong_audience"),
    ("secret_bound", "demo/app", "wrong_audience"),
    ("node_bound", "demo/app on node1", "wrong_audience"),
    ("ten_years", "demo/app", "wrong_audience"),
    ("reviewer", "wrong_audience", "demo/reviewer"),
    ("other", "demo/other", "wrong_audience"),
    ("legacy_secret", "legacy_token", "legacy_token"),
];

#[test]
fn every_recorded_token_has_the_expected_verdict() {
    for (audience, column) in [(FILTER, 1), (API, 2)] {
        let mut core = core(MINTED, &[audience]);
        for row in TOKENS {
            let expected = [row.0, row.1, row.2][column];
            assert_eq!(judge(&mut core, row.0), expected, "{} for {audience}", row.0);
        }
    }
}

#[test]
fn table_covers_every_token_of_the_recording() {
    let recorded = parse(RECORDED);
    let named: BTreeSet<_> = TOKENS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(named, recorded.keys().map(String::as_str).collect());
}

#[test]
fn recorded_token_expires_one_minute_after_exp() {
    for (name, token) in parse(RECORDED) {
        let Some(expires) = claims(&token)["exp"].as_u64() else { continue };
        let at = |seconds| judge(&mut core(seconds, &[FILTER, API]), &name);
        assert!(at(expires + 59).starts_with("demo/"), "{name}");
        assert_eq!(at(expires + 60), "expired", "{name}");
        assert_eq!(at(expires + 61), "expired", "{name}");
    }
}

#[test]
fn recorded_token_is_valid_one_minute_before_iat() {
    for (name, token) in parse(RECORDED) {
        let Some(issued) = claims(&token)["iat"].as_u64() else { continue };
        let at = |seconds| judge(&mut core(seconds, &[FILTER, API]), &name);
        assert!(at(issued - 60).starts_with("demo/"), "{name}");
        assert_eq!(at(issued - 61), "not_yet_valid", "{name}");
    }
}

#[test]
fn recorded_tokens_are_rejected_without_the_recorded_key() {
    let mut other: Value = serde_json::from_str(JWKS).unwrap();
    other["keys"][0]["kid"] = "another".into();
    let mut core = Core::at(MINTED, &config(&[FILTER, API], &other));
    for (name, ..) in TOKENS {
        let expected = if name == "legacy_secret" { "legacy_token" } else { "unknown_key" };
        assert_eq!(judge(&mut core, name), expected, "{name}");
    }
}

fn core(seconds: u64, audiences: &[&str]) -> Core {
    Core::at(seconds, &config(audiences, &serde_json::from_str(JWKS).unwrap()))
}

fn judge(core: &mut Core, name: &str) -> String {
    let token = parse(RECORDED)[name].as_str().unwrap().to_owned();
    read(core.judge(&get("/", &token)))
}

fn claims(token: &Value) -> Value {
    let part = token.as_str().and_then(|token| token.split('.').nth(1)).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
