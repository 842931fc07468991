//! An API server comes in; tokens go out, a good one and all that must be refused.

use envoy_test::token::{assemble, hs256};
use envoy_test::{ApiServer, KeyKind, SigningKey, Token, unix_now};

/// As a pod of this service account has it: for `secret-store`, valid an hour.
pub fn good(api_server: &ApiServer, namespace: &str, name: &str) -> String {
    api_server.mint(Token::for_service_account(namespace, name))
}

/// As this pod of `api/api` has it.
pub fn of_a_pod(api_server: &ApiServer, pod: &str) -> String {
    api_server.mint(api().pod(pod))
}

/// Genuine in all, but the pod is gone.
pub fn of_a_deleted_pod(api_server: &ApiServer) -> String {
    let token = of_a_pod(api_server, "api-gone");
    api_server.delete_pod("api", "api-gone");
    token
}

/// Genuine in all, but the service account is gone.
pub fn of_a_deleted_account(api_server: &ApiServer) -> String {
    let token = good(api_server, "batch", "gone");
    api_server.delete_service_account("batch", "gone");
    token
}

/// It ended an hour ago.
pub fn expired(api_server: &ApiServer) -> String {
    let now = unix_now();
    api_server.mint(api().issued_at(now - 7200).expires_at(now - 3600))
}

/// What another service was sent, and now sends on.
pub fn for_another_audience(api_server: &ApiServer) -> String {
    api_server.mint(api().audience("other-service"))
}

/// The issuer's own signature and our audience, but no service account.
pub fn of_a_user(api_server: &ApiServer) -> String {
    let token = api().claim("sub", "alice@example.com".into()).without("kubernetes.io");
    token.sign(&api_server.signing_key())
}

/// The kind that Kubernetes kept in Secrets before 1.24: signed by the same key, without an audience and without an end.
pub fn legacy(api_server: &ApiServer) -> String {
    api_server.mint(Token::legacy_secret("api", "api", "api-token-x7k2p"))
}

/// Of a cluster that is not ours.
pub fn of_another_issuer() -> String {
    api().issuer("https://other-cluster.example").sign(&SigningKey::generate(KeyKind::P256))
}

/// A good token whose claims were exchanged for those of another account.
pub fn tampered(api_server: &ApiServer) -> String {
    let (genuine, wanted) = (good(api_server, "shop", "web"), good(api_server, "api", "api"));
    let (genuine, wanted) = (parts(&genuine), parts(&wanted));
    [genuine[0], wanted[1], genuine[2]].join(".")
}

/// Right in all but the key, which an attacker made.
pub fn of_an_unknown_key(api_server: &ApiServer) -> String {
    api().sign(&SigningKey::generate(api_server.signing_key().kind()))
}

/// HMAC with what everybody knows, for verifiers that let the token choose its algorithm.
pub fn hs256_with_public_key(api_server: &ApiServer) -> String {
    let key = api_server.signing_key();
    hs256(&header("HS256", &key), &api().claims().to_string(), key.pem().as_bytes())
}

/// No signature at all, for verifiers that take the token's word for it.
pub fn alg_none(api_server: &ApiServer) -> String {
    assemble(&header("none", &api_server.signing_key()), &api().claims().to_string(), |_| vec![])
}

/// The same with a signature, taken from a good token.
pub fn alg_none_with_signature(api_server: &ApiServer) -> String {
    let genuine = good(api_server, "shop", "web");
    alg_none(api_server) + parts(&genuine)[2]
}

// === private ===

fn api() -> Token {
    Token::for_service_account("api", "api")
}

fn header(alg: &str, key: &SigningKey) -> String {
    format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, key.kid())
}

fn parts(token: &str) -> Vec<&str> {
    token.split('.').collect()
}
