//! The requests of the demo, in the order of the table.

use envoy_test::{ApiServer, vectors};

use super::case::{Case, Expected};
use super::tokens;

use Expected::{Passes, Refused};

/// All requests except those that need a new key.
pub fn cases(api_server: &ApiServer) -> Vec<Case> {
    [
        allowed(api_server),
        not_valid(api_server),
        not_genuine(api_server),
        gone(api_server),
        not_allowed(api_server),
        tricks(api_server),
    ]
    .concat()
}

/// Requests after the API server has a new key.
pub fn after_rotation(api_server: &ApiServer) -> Vec<Case> {
    let fresh = tokens::good(api_server, "api", "api");
    vec![with_token("first token of a new key", &fresh, Passes(Some("api/api")))]
}

fn allowed(api_server: &ApiServer) -> Vec<Case> {
    let token = tokens::good(api_server, "api", "api");
    let job = tokens::good(api_server, "batch", "job");
    vec![
        Case::get(SECRET, "no token", Refused(401, "missing_token"), |request| request),
        Case::get(HEALTH, "no token", Passes(None), |request| request),
        with_token("token of api/api", &token, Passes(Some("api/api"))),
        with_token("token of batch/job", &job, Passes(Some("batch/job"))),
        Case::get(SECRET, "token of api/api in X-Client-Id", Passes(Some("api/api")), |request| {
            request.header("x-client-id", &token)
        }),
    ]
}

/// Genuine tokens that must be denied.
fn not_valid(api_server: &ApiServer) -> Vec<Case> {
    let expired = tokens::forged(api_server, vectors::named("expired an hour ago"));
    vec![
        forged("expired token", "expired an hour ago", api_server),
        Case::get(HEALTH, "expired token", Passes(None), |request| request.bearer(&expired)),
        forged("token for another audience", "another audience", api_server),
        forged("user's JWT, same issuer", "a user's token of the same issuer", api_server),
        forged("legacy token from a Secret", "a legacy token from a Secret", api_server),
    ]
}

fn not_genuine(api_server: &ApiServer) -> Vec<Case> {
    [
        ("token of another issuer", "another issuer's key"),
        ("tampered: claims exchanged", "claims exchanged"),
        ("signed by an unknown key", "an unknown key"),
        ("HS256 with the public key", "HS256 with the public key"),
        ("alg: none, another's signature", "alg none, with another token's signature"),
        ("alg: none, no signature", "alg \"none\", no signature"),
    ]
    .map(|(sent, vector)| forged(sent, vector, api_server))
    .into()
}

/// Tokens of deleted objects, which only the API server knows.
fn gone(api_server: &ApiServer) -> Vec<Case> {
    let (pod, account) =
        (tokens::of_a_deleted_pod(api_server), tokens::of_a_deleted_account(api_server));
    let other = tokens::of_a_pod(api_server, "api-alive");
    vec![
        with_token("token of a deleted pod", &pod, Refused(401, "revoked")),
        with_token("token of a deleted account", &account, Refused(401, "revoked")),
        with_token("token of another pod", &other, Passes(Some("api/api"))),
    ]
}

fn not_allowed(api_server: &ApiServer) -> Vec<Case> {
    let token = tokens::good(api_server, "api", "api");
    vec![
        with_token(
            "token of shop/web",
            &tokens::good(api_server, "shop", "web"),
            Refused(403, "forbidden"),
        ),
        Case::post(SECRET, "token of api/api", Refused(403, "forbidden"), |request| {
            request.bearer(&token)
        }),
    ]
}

fn tricks(api_server: &ApiServer) -> Vec<Case> {
    let token = tokens::good(api_server, "api", "api");
    let job = tokens::good(api_server, "batch", "job");
    vec![
        Case::get(SECRET, "token, and x-sa-name: admin", Passes(Some("api/api")), |request| {
            request.bearer(&token).header("x-sa-name", SPOOFED)
        }),
        Case::get(HEALTH, "x-sa-name and x_sa_name: admin", Passes(None), |request| {
            request.header("x-sa-name", SPOOFED).header("x_sa_name", SPOOFED)
        }),
        Case::get(
            SECRET,
            "two tokens that differ",
            Refused(400, "conflicting_tokens"),
            |request| request.bearer(&token).header("x-client-id", &job),
        ),
        Case::get(
            "/healthz/..%2fsecrets/1",
            "no token",
            Refused(400, "ambiguous_path"),
            |request| request,
        ),
        Case::get("/healthz/../secrets/1", "no token", Refused(401, "missing_token"), |request| {
            request
        }),
    ]
}

/// A row of the table of vectors.
fn forged(sent: &'static str, vector: &str, api_server: &ApiServer) -> Case {
    let vector = vectors::named(vector);
    with_token(sent, &tokens::forged(api_server, vector), Refused(401, vector.reason))
}

fn with_token(sent: &'static str, token: &str, expected: Expected) -> Case {
    Case::get(SECRET, sent, expected, |request| request.bearer(token))
}

/// The value of forged headers, which must never reach the upstream.
pub const SPOOFED: &str = "admin";

/// A path of the rule `secrets`.
pub const SECRET: &str = "/secrets/1";

/// The path that is open to anyone.
pub const HEALTH: &str = "/healthz";
