//! Tokens whose JOSE header selects the algorithm or the key.

use serde_json::{Value, json};

use super::{Attacker, BAD_SIGNATURE, MALFORMED, UNKNOWN_KEY, UNSUPPORTED, Vector};
use crate::keys::SigningKey;
use crate::token::{assemble, hs256};

pub(super) fn rows() -> Vec<Vector> {
    [unsigned(), hmac(), algorithms(), keys(), extensions(), kids()].into_iter().flatten().collect()
}

fn with_alg(attacker: &Attacker<'_>, alg: impl Into<Value>) -> String {
    json!({ "alg": alg.into(), "kid": attacker.key.kid() }).to_string()
}

fn unsigned() -> Vec<Vector> {
    let mut rows =
        vec![Vector::new("alg none, with another token's signature", UNSUPPORTED, |a| {
            let [.., signature] = a.genuine_parts();
            assemble(&with_alg(a, "none"), &a.wanted_claims(), |_| Vec::new()) + &signature
        })];
    for alg in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "nonE",
        "NoNe",
        "none ",
        " none",
        "none\0",
        "null",
        "\u{14b}one",
    ] {
        rows.push(Vector::new(format!("alg {alg:?}"), UNSUPPORTED, move |a| {
            assemble(&with_alg(a, alg), &a.wanted_claims(), |_| vec![0; 64])
        }));
        rows.push(Vector::new(format!("alg {alg:?}, one byte"), UNSUPPORTED, move |a| {
            assemble(&with_alg(a, alg), &a.wanted_claims(), |_| vec![0])
        }));
        rows.push(Vector::new(format!("alg {alg:?}, a valid signature"), UNSUPPORTED, move |a| {
            a.sign(&with_alg(a, alg), &a.wanted_claims())
        }));
        rows.push(Vector::new(format!("alg {alg:?}, no signature"), MALFORMED, move |a| {
            assemble(&with_alg(a, alg), &a.wanted_claims(), |_| Vec::new())
        }));
        rows.push(Vector::new(format!("alg {alg:?}, two parts"), MALFORMED, move |a| {
            let token = assemble(&with_alg(a, alg), &a.wanted_claims(), |_| Vec::new());
            token.trim_end_matches('.').to_owned()
        }));
    }
    rows
}

/// Key confusion: a public value as the secret of an HMAC.
fn hmac() -> Vec<Vector> {
    type Secret = fn(&SigningKey) -> Vec<u8>;
    let secrets: [(&str, Secret); 7] = [
        ("the public key", |key| key.pem().into_bytes()),
        ("the public key without line end", |key| key.pem().trim().as_bytes().to_vec()),
        ("the public key as DER", |key| key.spki_der().to_vec()),
        ("the public key as JWK", |key| key.jwk().to_string().into_bytes()),
        ("a number of the public key", |key| {
            let jwk = key.jwk();
            jwk["n"].as_str().or(jwk["x"].as_str()).unwrap_or_default().as_bytes().to_vec()
        }),
        ("the kid", |key| key.kid().as_bytes().to_vec()),
        ("nothing", |_| Vec::new()),
    ];
    let mut rows = Vec::new();
    for (what, secret) in secrets {
        for alg in ["HS256", "HS384", "HS512", "hs256"] {
            rows.push(Vector::new(format!("{alg} with {what}"), UNSUPPORTED, move |a| {
                hs256(&with_alg(a, alg), &a.wanted_claims(), &secret(a.key))
            }));
        }
        let name = format!("an HMAC with {what} under the key's alg");
        rows.push(Vector::new(name, BAD_SIGNATURE, move |a| {
            hs256(&a.header().to_string(), &a.wanted_claims(), &secret(a.key))
        }));
    }
    rows
}

fn algorithms() -> Vec<Vector> {
    let mut rows = vec![
        Vector::new("the alg of another kind of key", UNSUPPORTED, |a| {
            let other = if a.key.kind().is_rsa() { "ES256" } else { "RS256" };
            a.sign(&with_alg(a, other), &a.wanted_claims())
        }),
        Vector::new("no alg", MALFORMED, |a| a.wanted().without_header("alg").sign(a.key)),
        Vector::new("ALG for alg", MALFORMED, |a| {
            let header = json!({ "ALG": a.key.alg(), "kid": a.key.kid() });
            a.sign(&header.to_string(), &a.wanted_claims())
        }),
    ];
    for alg in [
        "es256",
        "Es256",
        "ES256 ",
        " ES256",
        "ES256\0",
        "RS256 ",
        "ES256K",
        "ES384",
        "ES512",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "EdDSA",
        "Ed25519",
        "HS256",
        "RSA-OAEP",
        "dir",
        "A256GCM",
        "ECDH-ES",
        "ML-DSA-65",
        "RS1",
        "SHA256",
        "\u{395}S256",
        "ES256,none",
    ] {
        rows.push(Vector::new(format!("alg {alg:?} by the key"), UNSUPPORTED, move |a| {
            a.wanted().header("alg", json!(alg)).sign(a.key)
        }));
    }
    for alg in [json!(""), json!(null), json!(5), json!(["ES256"]), json!({ "ES256": 1 })] {
        rows.push(Vector::new(format!("alg is {alg}"), MALFORMED, move |a| {
            a.sign(&with_alg(a, alg.clone()), &a.wanted_claims())
        }));
    }
    rows
}

/// Keys that the token contains or refers to.
fn keys() -> Vec<Vector> {
    type Member = fn(&Attacker<'_>) -> Value;
    let members: [(&str, Member); 7] = [
        ("jwk", |a| a.own.jwk()),
        ("jku", |_| json!("https://attacker.example/jwks")),
        ("x5u", |_| json!("https://attacker.example/jwks")),
        ("x5c", |a| {
            use base64::Engine as _;
            json!([base64::engine::general_purpose::STANDARD.encode(a.own.spki_der())])
        }),
        ("x5t", |_| json!("AAAA")),
        ("x5t#S256", |_| json!("AAAA")),
        ("jwk null", |_| Value::Null),
    ];
    let mut rows = Vec::new();
    for (name, value) in members {
        let member = name.trim_end_matches(" null");
        let mut add = |what: &str, recipe: fn(&Attacker<'_>, &str, Value) -> String| {
            let name = format!("{name} {what}");
            rows.push(Vector::new(name, MALFORMED, move |a| recipe(a, member, value(a))));
        };
        add("under a known kid", |a, member, value| {
            let token = a.wanted().header("kid", json!(a.key.kid()));
            token.header(member, value).sign(a.own)
        });
        add("under its own kid", |a, member, value| a.wanted().header(member, value).sign(a.own));
        add("with a valid signature", |a, member, value| {
            a.wanted().header(member, value).sign(a.key)
        });
    }
    rows.push(Vector::new("another key under a known kid", BAD_SIGNATURE, |a| {
        a.wanted().header("kid", json!(a.key.kid())).sign(a.own)
    }));
    rows
}

/// Members that change how the token is processed, and members of the wrong type.
fn extensions() -> Vec<Vector> {
    let mut rows = Vec::new();
    for (member, value) in [
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("cty", json!("JWT")),
        ("salt", json!("AAAA")),
        ("typ", json!("at+jwt")),
        ("typ", json!("jwt")),
        ("typ", json!("application/jwt")),
        ("typ", json!("dpop+jwt")),
        ("typ", json!("")),
        ("typ", json!(null)),
        ("kid", json!(null)),
        ("kid", json!(5)),
        ("kid", json!(["x"])),
    ] {
        rows.push(Vector::new(format!("{member} {value}"), MALFORMED, move |a| {
            a.wanted().header(member, value.clone()).sign(a.key)
        }));
    }
    rows
}

fn kids() -> Vec<Vector> {
    let mut rows = vec![
        Vector::new("an unknown key", UNKNOWN_KEY, |a| a.wanted().sign(a.own)),
        Vector::new("no kid", UNKNOWN_KEY, |a| a.wanted().without_header("kid").sign(a.key)),
        Vector::new("no kid, by another key", UNKNOWN_KEY, |a| {
            a.wanted().without_header("kid").sign(a.own)
        }),
    ];
    for kid in [
        "",
        "../../../../dev/null",
        "/etc/passwd",
        "' OR '1'='1",
        "x' UNION SELECT 'k",
        "a\r\nx-sa-name: b",
        "x\nfake log line",
        "\0",
        "\u{202e}x",
        "https://attacker.example/key",
    ] {
        rows.push(Vector::new(format!("kid {kid:?}"), UNKNOWN_KEY, move |a| {
            a.wanted().header("kid", json!(kid)).sign(a.key)
        }));
    }
    rows.push(Vector::new("a kid of 5,000 bytes", UNKNOWN_KEY, |a| {
        a.wanted().header("kid", json!("k".repeat(5000))).sign(a.key)
    }));
    rows
}
