//! The recorded key sets and the recorded discovery document.

use super::{FILTER, ISSUER, JWKS, MINTED, parse, read};
use crate::support::{Core, get, ok};
use sa_authn::authn::keys::discovery::{self, DiscoveryError};
use sa_authn::authn::keys::{KeySet, from_pem};
use sa_authn::authn::signature::Algorithm;
use sa_authn::callout::Reply;
use serde_json::json;

const DISCOVERY: &str = include_str!("../testdata/openid-configuration.json");
const MIXED: &str = include_str!("../testdata/jwks_mixed_5_keys.json");
const KIDS: &str = include_str!("../testdata/kid_check.json");
const SPKI: &str = include_str!("../../envoy-test/testdata/recorded_spki.b64");

#[test]
fn kid_of_the_public_key_matches_kubernetes() {
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", wrapped(SPKI));
    let key = from_pem(&pem).unwrap();
    let recorded = parse(KIDS);
    for member in ["kid_in_token_header", "base64url_sha256_of_SPKI_DER"] {
        assert_eq!(key.kid(), recorded[member], "{member}");
    }
    assert_eq!(key.algorithm(), Algorithm::Rs256);
}

#[test]
fn key_from_pem_equals_key_from_the_recorded_jwks() {
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", wrapped(SPKI));
    let set = KeySet::parse(JWKS.as_bytes()).unwrap();
    assert_eq!(set.keys()[0].kid(), parse(KIDS)["kid_in_jwks"][0]);
    assert_eq!(set.keys()[0].fingerprint(), from_pem(&pem).unwrap().fingerprint());
}

#[test]
fn jwks_with_every_key_type_has_five_supported_keys() {
    let set = KeySet::parse(MIXED.as_bytes()).unwrap();
    let algorithms: Vec<_> = set.keys().iter().map(|key| key.algorithm().name()).collect();
    assert_eq!(algorithms, ["ES256", "RS256", "ES384", "ES512", "RS256"]);
    assert_eq!(set.skipped().len(), 0);
}

#[test]
fn derived_kids_match_the_recorded_kids() {
    for key in KeySet::parse(MIXED.as_bytes()).unwrap().keys() {
        let mut without_kid = serde_json::from_str::<serde_json::Value>(MIXED).unwrap()["keys"]
            .as_array_mut()
            .unwrap()
            .iter()
            .find(|jwk| jwk["kid"] == key.kid())
            .cloned()
            .unwrap();
        without_kid.as_object_mut().unwrap().remove("kid");
        let set = KeySet::from_value(&json!({ "keys": [without_kid] })).unwrap();
        assert_eq!(set.keys()[0].kid(), key.kid());
    }
}

#[test]
fn only_the_path_of_jwks_uri_is_used() {
    let uri = discovery::jwks_uri(DISCOVERY.as_bytes(), &[ISSUER.to_owned()]);
    let path = uri.map(|uri| uri.path);
    assert_eq!(path, Ok("/openid/v1/jwks".to_owned()));
}

#[test]
fn discovery_document_of_another_issuer_is_rejected() {
    for issuer in ["https://kubernetes.default.svc", &format!("{ISSUER}/")] {
        let path = discovery::jwks_uri(DISCOVERY.as_bytes(), &[issuer.to_owned()]);
        assert_eq!(path, Err(DiscoveryError::OtherIssuer(ISSUER.to_owned())), "{issuer}");
    }
}

#[test]
fn recorded_responses_provide_the_keys_for_a_recorded_token() {
    let mut core = Core::at(
        MINTED,
        &json!({ "issuers": [{
            "issuer": ISSUER,
            "audiences": [FILTER],
            "keys": { "discovery": { "cluster": "api", "authority": "kubernetes.default.svc" } },
        }] }),
    );
    for (path, body) in [(discovery::PATH, DISCOVERY), ("/openid/v1/jwks", JWKS)] {
        let calls = core.calls();
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].path.as_str(), calls[0].cluster.as_str()), (path, "api"));
        core.reply(&calls[0], as_recorded(body));
    }
    let token = parse(include_str!("../testdata/tokens_raw.json"))["pod_node1"].clone();
    let finished = core.judge(&get("/", token.as_str().unwrap()));
    assert_eq!(read(finished), "demo/app in app-1 on node1");
}

fn as_recorded(body: &str) -> Reply {
    match ok(body) {
        Reply::Response { status, body, .. } => {
            let cache_control = Some("public, max-age=3600".to_owned());
            Reply::Response { status, cache_control, retry_after: None, body }
        }
        other => other,
    }
}

/// RFC 7468 section 2: lines of 64 characters.
fn wrapped(base64: &str) -> String {
    let lines: Vec<_> = base64.trim().as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    lines.join("\n")
}
