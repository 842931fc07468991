//! The table of signatures and keys: almost valid tokens with their expected verdicts.
//!
//! It tries what Wycheproof tries on RSA PKCS#1 v1.5 and ECDSA, with keys of its own, and the examples of
//! RFC 7515 and RFC 7517. Two runners use it: `tests/conformance` verifies natively with jwt-simple, and
//! `envoy-test/tests/conformance.rs` in real Envoys with the host. If either differs from the
//! table, `conformance/exceptions.json` has the reason, or the run fails.

mod curve;
mod documents;
mod ecdsa;
mod exceptions;
mod key_sets;
mod recorded;
mod rfc7515;
mod rsa;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, Token};

pub use exceptions::{Verifier, differences};

/// Cases with one key set.
#[derive(Debug)]
pub struct Table {
    /// What it is about.
    pub name: &'static str,
    /// The plugin configuration.
    pub config: Value,
    /// What the API server publishes.
    pub jwks: String,
    /// The tokens.
    pub cases: Vec<Case>,
}

/// A token and its expected verdict.
#[derive(Debug)]
pub struct Case {
    /// The unique name of the case.
    pub name: String,
    /// The token.
    pub token: String,
    /// [`PASSES`], or the reason of the denial.
    pub expected: &'static str,
}

/// The expected verdict of a valid token.
pub const PASSES: &str = "passes";

/// All tables, with new keys and currently valid tokens.
pub fn tables() -> Vec<Table> {
    let mut tables = vec![rsa::table(), ecdsa::table(), key_sets::table()];
    tables.extend(documents::tables());
    tables.push(rfc7515::table());
    tables.push(recorded::table());
    tables
}

const BAD_SIGNATURE: &str = "bad_signature";
const UNKNOWN_KEY: &str = "unknown_key";

// === impl Table ===

impl Table {
    /// The issuer of the other tests, whose keys are fetched: an unsupported key in a fetched set is
    /// skipped, but would make a configuration invalid.
    fn new(name: &'static str) -> Self {
        let config = json!({ "issuers": [{
            "name": "local",
            "issuer": DEFAULT_ISSUER,
            "audiences": [DEFAULT_AUDIENCE],
            "keys": {
                "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" },
            },
        }], "limits": { "waitTimeout": "1s" } });
        Self { name, config, jwks: String::new(), cases: Vec::new() }
    }

    fn publish(&mut self, keys: &[Value]) {
        self.jwks = json!({ "keys": keys }).to_string();
    }

    fn add(&mut self, name: impl Into<String>, token: String, expected: &'static str) {
        self.cases.push(Case { name: name.into(), token, expected });
    }
}

// === private ===

/// Header and claims of an otherwise valid token.
fn signing_input(alg: &str, kid: &str) -> String {
    let header = json!({ "alg": alg, "kid": kid }).to_string();
    let claims = Token::for_service_account("api", "api").claims().to_string();
    format!("{}.{}", encode(header), encode(claims))
}

/// A token whose signature is whatever `sign` makes of the signing input.
fn token(alg: &str, kid: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let input = signing_input(alg, kid);
    let signature = sign(input.as_bytes());
    join(&input, &signature)
}

fn join(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", encode(signature))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// A JWK with other members.
fn with(mut jwk: Value, members: &[(&str, Value)]) -> Value {
    for (name, value) in members {
        jwk[*name] = value.clone();
    }
    jwk
}

#[cfg(test)]
mod tests;
