//! The key sets of RFC 7517 appendix A, with tokens that their private keys sign.

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::Value;

use super::rsa::right_block;
use super::{BAD_SIGNATURE, PASSES, Table, UNKNOWN_KEY, decode, token};
use crate::keys::rsa::raise;

pub(super) fn tables() -> Vec<Table> {
    let examples: Value = serde_json::from_str(include_str!("rfc7517.json")).expect("the examples");
    let (ec, rsa) = (&examples["a2"]["keys"][0], &examples["a2"]["keys"][1]);
    let table = |name: &'static str, set: &str, cases: [(&str, String, &'static str); 2]| {
        let mut table = Table::new(name);
        table.jwks = examples[set].to_string();
        for (what, token, expected) in cases {
            table.add(format!("{name}: {what}"), token, expected);
        }
        table
    };
    let (by_rsa, by_ec) = ("the RSA key", "the EC key, which is for encryption");
    vec![
        table(
            "RFC 7517 A.1",
            "a1",
            [(by_rsa, rs256(rsa), PASSES), (by_ec, es256(ec), UNKNOWN_KEY)],
        ),
        // A set that gives private keys away has no usable key at all, so there are no keys.
        table(
            "RFC 7517 A.2",
            "a2",
            [(by_rsa, rs256(rsa), "keys_unavailable"), (by_ec, es256(ec), "keys_unavailable")],
        ),
        table(
            "RFC 7517 A.3",
            "a3",
            [
                ("no token is HMAC's", hmac(&examples["a3"]["keys"][1]), "unsupported_algorithm"),
                ("there are no keys", rs256(rsa), "keys_unavailable"),
            ],
        ),
        table(
            "RFC 7517 B",
            "b",
            [
                ("a key with its certificate", token("RS256", "1b94c", zeros), BAD_SIGNATURE),
                ("no key of this name", rs256(rsa), UNKNOWN_KEY),
            ],
        ),
    ]
}

fn rs256(key: &Value) -> String {
    token("RS256", member(key, "kid"), |input| {
        let block = right_block("RS256", input);
        let [n, d] = ["n", "d"].map(|name| decode(member(key, name)));
        raise(&n, &d, &block).expect("a block below the modulus")
    })
}

fn es256(key: &Value) -> String {
    let private = SigningKey::from_slice(&decode(member(key, "d"))).expect("a private key");
    token("ES256", member(key, "kid"), |input| {
        let signature: Signature = private.sign(input);
        signature.to_bytes().to_vec()
    })
}

fn hmac(key: &Value) -> String {
    let header = serde_json::json!({ "alg": "HS256", "kid": key["kid"] }).to_string();
    let claims = crate::token::Token::for_service_account("api", "api").claims().to_string();
    crate::token::hs256(&header, &claims, &decode(member(key, "k")))
}

fn zeros(_: &[u8]) -> Vec<u8> {
    vec![0; 256]
}

fn member<'k>(key: &'k Value, name: &str) -> &'k str {
    key[name].as_str().expect("a string")
}
