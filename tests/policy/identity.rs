//! Identity headers: their values, and removal of forged ones.

use super::{World, edited, values};
use crate::support::{Outcome, get, pairs};
use envoy_test::{Pairs, Token};
use sa_authn::identity::IdentityField;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn every_identity_field_can_be_sent_in_a_header() {
    let name = |field: &str| format!("x-{field}").replace('.', "-").to_lowercase();
    let fields = EVERY.map(|(field, _)| (name(field), json!(field)));
    let mut world = World::new(json!({ "identityHeaders": Value::from_iter(fields) }));
    let token = full().sign(&world.key);
    let seen = world.upstream(&get("/", &token));
    let claims = full().claims().clone();
    for (field, expected) in EVERY {
        let expected = match expected.strip_prefix('/') {
            Some(_) => claims.pointer(expected).and_then(Value::as_str).unwrap().to_owned(),
            None => expected.to_owned(),
        };
        assert_eq!(values(&seen, &name(field)), [expected.as_str()], "{field}");
    }
}

#[test]
fn payload_header_contains_the_payload_as_received() {
    let mut world = World::new(json!({ "identityHeaders": { "x-claims": "payload" } }));
    let token = full().sign(&world.key);
    let seen = world.upstream(&get("/", &token));
    assert_eq!(values(&seen, "x-claims"), [token.split('.').nth(1).unwrap()]);
}

#[test]
fn identity_tests_cover_every_field() {
    let covered: BTreeSet<_> = EVERY.iter().map(|(field, _)| *field).chain(["payload"]).collect();
    assert_eq!(covered, IdentityField::NAMES.iter().map(|(field, _)| *field).collect());
}

/// Each field with its value, or with the JSON pointer of its claim.
const EVERY: [(&str, &str); 12] = [
    ("subject", "system:serviceaccount:api:api"),
    ("namespace", "api"),
    ("name", "api"),
    ("uid", "/kubernetes.io/serviceaccount/uid"),
    ("pod.name", "api-1"),
    ("pod.uid", "/kubernetes.io/pod/uid"),
    ("node.name", "node-1"),
    ("node.uid", "/kubernetes.io/node/uid"),
    ("jti", "token-1"),
    ("audience", "secret-store"),
    ("issuer.name", "local"),
    ("provenBy", "signature"),
];

#[test]
fn header_of_a_missing_claim_is_removed_even_if_the_caller_sends_it() {
    let headers = json!({ "x-pod": "pod.name", "x-node-uid": "node.uid", "x-jti": "jti" });
    let mut world = World::new(json!({ "identityHeaders": headers }));
    let token = Token::for_service_account("api", "api").without("jti").sign(&world.key);
    let mut sent = get("/", &token);
    sent.extend(pairs(&[("x-pod", "forged"), ("x-node-uid", "forged"), ("x-jti", "forged")]));
    let seen = world.upstream(&sent);
    assert_eq!(seen, pairs(&[(":method", "GET"), (":path", "/")]));
}

#[test]
fn value_that_is_invalid_in_a_header_is_not_sent() {
    let mut world =
        World::new(json!({ "identityHeaders": { "x-pod": "pod.name", "x-jti": "jti" } }));
    for odd in ["", "a b", "a\r\nx-admin: 1", "a\0", "z\u{fc}rich", "\u{7f}", "\t"] {
        let token = Token::for_service_account("api", "api").pod("p");
        let token = token.claim("/kubernetes.io/pod/name", json!(odd)).claim("jti", json!(odd));
        let seen = world.upstream(&get("/", &token.sign(&world.key)));
        assert_eq!(values(&seen, "x-pod"), Vec::<&str>::new(), "{odd:?}");
        assert_eq!(values(&seen, "x-jti"), Vec::<&str>::new(), "{odd:?}");
    }
}

#[test]
fn identity_headers_of_the_caller_are_removed_in_every_spelling() {
    let mut world = World::new(json!({}));
    let mut sent = world.request("GET", "/", "api/api");
    sent.extend(spoofed());
    let seen = world.upstream(&sent);
    let identity: Vec<_> =
        seen.iter().filter(|(name, _)| fold(name).starts_with("x-sa-")).collect();
    assert_eq!(identity.len(), 3, "{identity:?}");
    assert_eq!(values(&seen, "x-sa-namespace"), ["api"]);
    assert_eq!(values(&seen, "x-sa-name"), ["api"]);
    assert_eq!(values(&seen, "x-sa-names"), ["another header"]);
}

#[test]
fn forged_identity_headers_are_removed_on_open_paths_with_any_token() {
    let rules = json!({ "rules": [{ "allow": "anyone" }] });
    for mode in ["enforce", "shadow"] {
        let mut world = World::new(crate::support::with(rules.clone(), json!({ "mode": mode })));
        for caller in ["", "expired"] {
            let mut sent = world.request("GET", "/", caller);
            sent.extend(spoofed());
            let seen = world.upstream(&sent);
            let identity = seen.iter().filter(|(name, _)| fold(name).starts_with("x-sa-"));
            assert_eq!(identity.count(), 1, "{mode} {caller:?}");
        }
        let mut sent = world.request("GET", "/", "api/api");
        sent.extend(spoofed());
        let seen = world.upstream(&sent);
        assert_eq!(values(&seen, "x-sa-name"), ["api"], "{mode}");
    }
}

#[test]
fn empty_identity_headers_set_and_remove_no_header() {
    let mut world = World::new(json!({ "identityHeaders": {} }));
    let mut sent = world.request("GET", "/", "api/api");
    sent.extend(pairs(&[("x-sa-name", "mine")]));
    let seen = world.upstream(&sent);
    assert_eq!(seen, pairs(&[(":method", "GET"), (":path", "/"), ("x-sa-name", "mine")]));
}

#[test]
fn denied_request_has_no_header_edits() {
    let mut world = World::new(json!({}));
    let mut sent = world.request("GET", "/", "expired");
    sent.extend(spoofed());
    assert_eq!(world.core.outcome(&sent), Outcome::Refused(sa_authn::denial::Reason::Expired));
}

#[test]
fn identity_header_replaces_any_number_of_existing_values() {
    let mut world = World::new(json!({ "identityHeaders": { "x-caller": "name" } }));
    let mut sent = world.request("GET", "/", "api/api");
    sent.extend(vec![("x-caller".to_owned(), b"forged".to_vec()); 1000]);
    let finished = world.core.judge(&sent).unwrap();
    let sa_authn::verdict::Verdict::Allow(_, edits) = finished.verdict else { panic!("passes") };
    assert_eq!(edits.set().collect::<Vec<_>>(), [("x-caller", b"api".as_slice())]);
    assert_eq!(values(&edited(&sent, &edits), "x-caller"), ["api"]);
}

fn full() -> Token {
    let token = Token::for_service_account("api", "api").pod("api-1").node("node-1");
    token.claim("jti", json!("token-1")).audiences(["other", "secret-store"])
}

/// Spellings that some servers treat as an identity header, and one that no server does.
fn spoofed() -> Pairs {
    let mut spoofed: Pairs = [
        "x-sa-name",
        "x_sa_name",
        "x-sa_name",
        "X-SA-Name",
        "X_Sa_Name",
        "x-sa-name",
        "x-sa-namespace",
        "x_sa_namespace",
        "X-SA-NAMESPACE",
    ]
    .map(|name| (name.to_owned(), b"kube-system".to_vec()))
    .into();
    spoofed.extend(pairs(&[("x-sa-names", "another header")]));
    spoofed
}

fn fold(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}
