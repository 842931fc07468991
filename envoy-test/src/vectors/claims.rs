//! Genuinely signed tokens that are not meant for this service, not valid now, or not of a service account.

use serde_json::{Value, json};

use super::{MALFORMED, MISSING_CLAIM, NO_ACCOUNT, UNKNOWN_ISSUER, Vector, WRONG_AUDIENCE};
use crate::token::{Token, unix_now};

pub(super) fn rows() -> Vec<Vector> {
    [claims(), times(), numbers()].into_iter().flatten().collect()
}

/// A row with a genuine signature, over claims that `change` makes of a valid token's.
fn signed(name: &str, reason: &'static str, change: fn(Token) -> Token) -> Vector {
    Vector::new(name, reason, move |attacker| change(attacker.wanted()).sign(attacker.key))
}

fn claims() -> Vec<Vector> {
    vec![
        signed("another issuer", UNKNOWN_ISSUER, |token| {
            token.issuer("https://accounts.example.com")
        }),
        Vector::new("another issuer's key", UNKNOWN_ISSUER, |attacker| {
            attacker.wanted().issuer("https://other-cluster.example").sign(attacker.own)
        }),
        signed("another audience", WRONG_AUDIENCE, |token| token.audience("other")),
        signed("no audience", MISSING_CLAIM, |token| token.without("aud")),
        signed("an empty list of audiences", WRONG_AUDIENCE, |token| token.audiences([])),
        signed("an audience in capitals", WRONG_AUDIENCE, |token| token.audience("Secret-Store")),
        signed("no exp", MISSING_CLAIM, |token| token.without("exp")),
        signed("no iss", MISSING_CLAIM, |token| token.without("iss")),
        signed("no sub", MISSING_CLAIM, |token| token.without("sub")),
        signed("a user's token of the same issuer", NO_ACCOUNT, |token| {
            token.claim("sub", json!("alice@example.com")).without("kubernetes.io")
        }),
        signed("no kubernetes.io", NO_ACCOUNT, |token| token.without("kubernetes.io")),
        signed("a subject that contradicts the claims", NO_ACCOUNT, |token| {
            token.claim("sub", json!("system:serviceaccount:kube-system:admin"))
        }),
        signed("a namespace that contradicts the subject", NO_ACCOUNT, |token| {
            token.claim("/kubernetes.io/namespace", json!("kube-system"))
        }),
        signed("a service account without a uid", NO_ACCOUNT, |token| {
            let name = token.claims()["kubernetes.io"]["serviceaccount"]["name"].clone();
            token.claim("/kubernetes.io/serviceaccount", json!({ "name": name }))
        }),
        Vector::new("a legacy token from a Secret", "legacy_token", |attacker| {
            let (namespace, name) = attacker.account;
            Token::legacy_secret(namespace, name, "token-x7k2p").sign(attacker.key)
        }),
        signed("flat legacy claims under our issuer", "legacy_token", |token| {
            token.claim("kubernetes.io/serviceaccount/namespace", json!("api"))
        }),
    ]
}

fn times() -> Vec<Vector> {
    vec![
        signed("expired an hour ago", "expired", |token| {
            let now = unix_now();
            token.issued_at(now - 7200).expires_at(now - 3600)
        }),
        signed("not valid yet", "not_yet_valid", |token| {
            token.claim("nbf", json!(unix_now() + 3600))
        }),
        signed("issued in the future", "not_yet_valid", |token| {
            token.claim("iat", json!(unix_now() + 3600))
        }),
        signed("exp as a string", MALFORMED, |token| token.claim("exp", json!("1900000000"))),
        signed("exp null", MALFORMED, |token| token.claim("exp", Value::Null)),
    ]
}

/// Numbers that are not integers from 0 to 2^53.
fn numbers() -> Vec<Vector> {
    let mut rows = Vec::new();
    for number in [
        "-1",
        "-0",
        "0.5",
        "1e3",
        "1E3",
        "1.0",
        "1.9e9",
        "1e18",
        "1e400",
        "-1e400",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999999999999999999",
        "-9223372036854775809",
        "01",
        "0x1",
        "NaN",
        "Infinity",
        "\"1\"",
        "[]",
        "true",
    ] {
        for claim in ["exp", "iat", "nbf"] {
            rows.push(Vector::new(format!("{claim} {number}"), MALFORMED, move |attacker| {
                let rest = attacker.wanted().without(claim).claims().to_string();
                attacker.sign_claims(&rest.replacen('{', &format!(r#"{{"{claim}":{number},"#), 1))
            }));
        }
    }
    for claim in ["exp", "iat", "nbf"] {
        rows.push(Vector::new(format!("{claim} of 5,000 digits"), MALFORMED, move |attacker| {
            let rest = attacker.wanted().without(claim).claims().to_string();
            let digits = "9".repeat(5000);
            attacker.sign_claims(&rest.replacen('{', &format!(r#"{{"{claim}":{digits},"#), 1))
        }));
    }
    rows
}
