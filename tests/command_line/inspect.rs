//! `sa-authn inspect` with tokens of a real kube-apiserver, and with malformed tokens.

use super::{Ran, run};
use base64::Engine;
use envoy_test::token::assemble;
use serde_json::{Value, json};

const RECORDED: &str = include_str!("../testdata/tokens_raw.json");

/// When the tokens were recorded.
const THEN: &str = "2026-11-21T23:02:08Z";

fn inspect(token: &str) -> Ran {
    run("", &["inspect", "--at", THEN], token)
}

fn recorded() -> serde_json::Map<String, Value> {
    serde_json::from_str(RECORDED).unwrap()
}

#[test]
fn inspect_recognizes_the_kind_of_each_recorded_token() {
    let nothing = "service account demo/app: not bound to an object, such as a token of `kubectl create token`";
    let pod = "service account demo/app: bound to pod app-1 (uid e083b032-0f2f-45dd-b86d-dc80cc36065e) on node node1; with TokenReview";
    for (name, kinds) in [
        ("default", [nothing, ""]),
        ("ten_years", [nothing, ""]),
        ("pod_node1", [pod, "A projected token, or a token that was requested for the pod."]),
        (
            "pod_node1_api_aud_3607s_extended",
            [pod, "The default token of the pod. The API server extended its lifetime to a year"],
        ),
        ("pod_node1_api_aud_3600s", [pod, "A projected token"]),
        ("pod_no_node", ["bound to pod app-nonode (uid ", "A projected token"]),
        ("secret_bound", ["bound to secret opaque (uid ", ""]),
        ("node_bound", ["bound to node node1 (uid ", ""]),
        ("other", ["service account demo/other: not bound to an object", ""]),
        (
            "legacy_secret",
            ["token from a Secret (before Kubernetes 1.24)", "The filter rejects it: legacy_token"],
        ),
    ] {
        let ran = inspect(recorded()[name].as_str().unwrap());
        let (_, kind) = ran.stdout.split_once("\nKind\n").unwrap_or_else(|| panic!("{name}"));
        kinds.iter().for_each(|piece| assert!(kind.contains(piece), "{name}: {kind}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{name}");
    }
}

#[test]
fn output_begins_with_a_warning_and_contains_no_signature() {
    for (name, token) in recorded() {
        let token = token.as_str().unwrap();
        let ran = inspect(&format!("{token}\n"));
        assert!(ran.stdout.starts_with("NOT VERIFIED."), "{name}: {}", ran.stdout);
        for part in token.split('.') {
            assert!(!ran.stdout.contains(part), "{name}: a part of the token is printed");
        }
    }
}

#[test]
fn times_are_printed_as_dates_with_the_time_left() {
    let ran = inspect(recorded()["pod_node1_api_aud_3607s_extended"].as_str().unwrap());
    for line in [
        "Times, at 2026-11-21T23:02:08Z",
        "  issued at (iat)             2026-11-21T23:01:08Z (1m ago)",
        "  replace by (warnafter)      2026-11-22T00:01:15Z (in 59m 7s)",
        "  expires at (exp)            2027-11-21T23:01:08Z (in 364d 23h)",
        "  lifetime                    365d, 364d 23h left",
    ] {
        assert!(ran.stdout.lines().any(|found| found == line), "{line:?} in\n{}", ran.stdout);
    }
}

#[test]
fn malformed_token_is_decoded_as_far_as_possible() {
    let token =
        |claims: Value| assemble(r#"{"alg":"RS256"}"#, &claims.to_string(), |_| vec![1, 2, 3]);
    let good = token(json!({ "iss": "a" }));
    let (signed, _) = good.rsplit_once('.').unwrap();
    for (token, said) in [
        ("abc".to_owned(), "3 bytes in 1 parts, expected 3"),
        (signed.to_owned(), "rejected by the filter: malformed_token: not three non-empty parts"),
        (format!("{signed}.AQJ"), "rejected by the filter: malformed_token: signature: stray bits"),
        (
            good.replacen('e', "e!", 1),
            "cannot be decoded: character 2 is '!', which is not base64url",
        ),
        (
            token(json!({ "exp": "tomorrow" })),
            "invalid type: string \"tomorrow\", expected an integer from 0 to 2^53",
        ),
        (token(json!({ "sub": "\u{1b}[2J" })), "\\u001b[2J"),
        (token(json!({ "sub": "\u{9b}2J" })), "\\u{9b}2J"),
        (token(json!({ "sub": "alice" })), "not a service account token, for example a user's JWT"),
    ] {
        let ran = inspect(&token);
        assert!(ran.stdout.contains(said), "{said} in\n{}", ran.stdout);
        let (code, error) = match token.as_str() {
            "abc" => (2, "error: <stdin>: not a token\n"),
            _ => (0, ""),
        };
        assert_eq!((ran.code, ran.stderr.as_str()), (code, error));
    }
    let ran = inspect("\n");
    assert_eq!((ran.code, ran.stderr.as_str()), (2, "error: <stdin>: contains no token\n"));
}

#[test]
fn text_around_a_token_is_removed_with_a_note() {
    let token = recorded()["pod_node1"].as_str().unwrap().to_owned();
    let plain = inspect(&token).stdout;
    let encoded = base64::engine::general_purpose::STANDARD.encode(&token);
    for (text, note) in [
        (format!("Bearer {token}\n"), "note: <stdin>: removed `Bearer `\n"),
        (format!("{encoded}\n"), "note: <stdin>: removed the base64 around the token\n"),
    ] {
        let ran = inspect(&text);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, note));
        assert_eq!(ran.stdout, plain);
    }
}

#[test]
fn inspect_prints_json_for_programs() {
    let token = recorded()["pod_node1"].as_str().unwrap().to_owned();
    let ran = run("", &["inspect", "--format", "json"], &token);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (ran.code, &found["verified"], &found["rejected"]),
        (0, &json!(false), &Value::Null)
    );
    assert_eq!(found["claims"]["sub"], "system:serviceaccount:demo:app");
    assert_eq!(found["header"]["alg"], "RS256");
    let (signed, _) = token.rsplit_once('.').unwrap();
    let ran = run("", &["inspect", "--format", "json"], signed);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &found["rejected"]["reason"]), (0, &json!("malformed_token")));
}
