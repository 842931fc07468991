//! The tokens of the demo.

use envoy_test::token::{assemble, hs256};
use envoy_test::{ApiServer, KeyKind, SigningKey, Token, unix_now};

/// A token of this service account for `secret-store`, valid for an hour.
pub fn good(api_server: &ApiServer, namespace: &str, name: &str) -> String {
    api_server.mint(Token::for_service_account(namespace, name))
}

/// A token of this pod of `api/api`.
pub fn of_a_pod(api_server: &ApiServer, pod: &str) -> String {
    api_server.mint(api().pod(pod))
}

/// A genuine token of a deleted pod.
pub fn of_a_deleted_pod(api_server: &ApiServer) -> String {
    let token = of_a_pod(api_server, "api-gone");
    api_server.delete_pod("api", "api-gone");
    token
}

/// A genuine token of a deleted service account.
pub fn of_a_deleted_account(api_server: &ApiServer) -> String {
    let token = good(api_server, "batch", "gone");
    api_server.delete_service_account("batch", "gone");
    token
}

/// A token that expired an hour ago.
pub fn expired(api_server: &ApiServer) -> String {
    let now = unix_now();
    api_server.mint(api().issued_at(now - 7200).expires_at(now - 3600))
}

/// A genuine token for another service.
pub fn for_another_audience(api_server: &ApiServer) -> String {
    api_server.mint(api().audience("other-service"))
}

/// A token with the issuer's signature and the right audience, but of a user.
pub fn of_a_user(api_server: &ApiServer) -> String {
    let token = api().claim("sub", "alice@example.com".into()).without("kubernetes.io");
    token.sign(&api_server.signing_key())
}

/// A token from a Secret, as before Kubernetes 1.24: the same key, no audience, no expiry.
pub fn legacy(api_server: &ApiServer) -> String {
    api_server.mint(Token::legacy_secret("api", "api", "api-token-x7k2p"))
}

/// A token of another cluster.
pub fn of_another_issuer() -> String {
    api().issuer("https://other-cluster.example").sign(&SigningKey::generate(KeyKind::P256))
}

/// A valid token with the claims of another account.
pub fn tampered(api_server: &ApiServer) -> String {
    let (genuine, wanted) = (good(api_server, "shop", "web"), good(api_server, "api", "api"));
    let (genuine, wanted) = (parts(&genuine), parts(&wanted));
    [genuine[0], wanted[1], genuine[2]].join(".")
}

/// A valid token except for its key, which an attacker generated.
pub fn of_an_unknown_key(api_server: &ApiServer) -> String {
    api().sign(&SigningKey::generate(api_server.signing_key().kind()))
}

/// HMAC with the public key, for verifiers that let the token select its algorithm.
pub fn hs256_with_public_key(api_server: &ApiServer) -> String {
    let key = api_server.signing_key();
    hs256(&header("HS256", &key), &api().claims().to_string(), key.pem().as_bytes())
}

/// A token without a signature, for verifiers that accept `alg: none`.
pub fn alg_none(api_server: &ApiServer) -> String {
    assemble(&header("none", &api_server.signing_key()), &api().claims().to_string(), |_| vec![])
}

/// The same with the signature of a valid token.
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
