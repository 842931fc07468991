//! The tokens of the demo.

use envoy_test::vectors::{Attacker, Vector};
use envoy_test::{ApiServer, SigningKey, Token};

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

/// The rejected token of this row of the table of vectors, by an attacker who would like to be `api/api`.
pub fn forged(api_server: &ApiServer, vector: &Vector) -> String {
    let key = api_server.signing_key();
    let own = SigningKey::generate(key.kind());
    vector.token(&Attacker { key: &key, own: &own, account: ("api", "api") })
}

// === private ===

fn api() -> Token {
    Token::for_service_account("api", "api")
}
