//! Tokens have the claims of a real API server.

use super::*;
use crate::keys::KeyKind;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What an hour's token of a real API server (v1.36.2) holds, one per kind.
const RECORDED: &str = include_str!("../../testdata/recorded_tokens.json");

fn members(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(k, v)| (k.clone(), members(v))).collect(),
        Value::Array(_) => json!("list"),
        Value::String(_) => json!("text"),
        _ => json!("number"),
    }
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn claims_have_the_shape_of_real_ones() {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let plain = Token::for_service_account("demo", "app");
    let bound = plain.clone().pod("app-1").node("node1");
    for (kind, token) in [
        ("default", plain.clone()),
        ("pod_node1", bound.clone()),
        ("pod_node1_api_aud_3607s_extended", bound.warn_after(1)),
        ("pod_no_node", plain.clone().pod("app-nonode")),
        ("secret_bound", plain.clone().secret("opaque")),
        ("node_bound", plain.node("node1")),
        ("legacy_secret", Token::legacy_secret("demo", "app", "legacy")),
    ] {
        assert_eq!(members(token.claims()), members(&recorded[kind]["payload"]), "{kind}");
    }
}

#[test]
fn header_is_alg_and_kid_and_the_signature_is_genuine() {
    let key = SigningKey::generate(KeyKind::P256);
    let token = Token::for_service_account("demo", "app").sign(&key);
    let (input, signature) = token.rsplit_once('.').unwrap();
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let expected = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, key.kid());
    assert_eq!(String::from_utf8(header).unwrap(), expected);
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(key.verify("ES256", input.as_bytes(), &signature));
}

#[test]
fn claims_can_be_changed_and_removed_at_any_depth() {
    let token = Token::for_service_account("demo", "app")
        .pod("app-1")
        .without("/kubernetes.io/pod/uid")
        .claim("/kubernetes.io/serviceaccount/uid", json!("other"))
        .without("jti")
        .issued_at(1000)
        .lifetime(600)
        .sign(&SigningKey::generate(KeyKind::P256));
    let claims = claims_of(&token);
    assert_eq!(claims["kubernetes.io"]["pod"], json!({ "name": "app-1" }));
    assert_eq!(claims["kubernetes.io"]["serviceaccount"]["uid"], "other");
    assert_eq!((&claims["nbf"], &claims["exp"]), (&json!(1000), &json!(1600)));
    assert_eq!(claims.get("jti"), None);
}

#[test]
fn uids_are_derived_from_names_and_have_uuid_form() {
    let uid = derived_uid("pod", "demo", "app-1");
    assert_eq!(uid, derived_uid("pod", "demo", "app-1"));
    assert_ne!(uid, derived_uid("pod", "demo", "app-2"));
    let lengths: Vec<usize> = uid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
}
