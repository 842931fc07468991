//! The tokens that a real kube-apiserver signed, as they were recorded, and with other signatures.

use serde_json::{Map, Value};

use super::{BAD_SIGNATURE, PASSES, Table, decode, join};
use crate::token::unix_now;

pub(super) fn table() -> Table {
    let tokens: Map<String, Value> =
        serde_json::from_str(include_str!("../../../tests/testdata/tokens_raw.json"))
            .expect("the recording");
    let mut table = Table::new("recorded");
    let audiences = ["https://filter.example", crate::token::DEFAULT_ISSUER];
    table.config["issuers"][0]["audiences"] = audiences.into();
    table.jwks = include_str!("../../../tests/testdata/jwks.json").to_owned();
    for (name, token) in &tokens {
        let token = token.as_str().expect("a token");
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let mut changed = decode(signature);
        changed[100] ^= 0x10;
        let legacy = name == "legacy_secret";
        let expected = if legacy { "legacy_token" } else { by_age(input) };
        table.add(format!("recorded {name}"), token.to_owned(), expected);
        let expected = if legacy { "legacy_token" } else { BAD_SIGNATURE };
        let name = format!("recorded {name}, with another signature");
        table.add(name, join(input, &changed), expected);
    }
    table
}

/// Which of them have expired depends on when the test runs; a minute more is given by default.
fn by_age(input: &str) -> &'static str {
    let (_, claims) = input.split_once('.').expect("two parts");
    let claims: Value = serde_json::from_slice(&decode(claims)).expect("claims");
    let expires = claims["exp"].as_u64().expect("exp");
    if unix_now() < expires + 60 { PASSES } else { "expired" }
}
