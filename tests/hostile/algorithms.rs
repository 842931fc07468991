//! Tokens that select their algorithm or their key.

use super::{Forge, MALFORMED, claims};
use crate::support::{Core, Outcome, inline};
use envoy_test::token::{assemble, hs256};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::denial::Reason;
use serde_json::{Value, json};

const UNSUPPORTED: Outcome = Outcome::Refused(Reason::UnsupportedAlgorithm);

#[test]
fn alg_none_is_unsupported_in_every_spelling() {
    let mut forge = Forge::new();
    for alg in ["none", "None", "NONE", "nOnE", "nonE", "none ", " none", "none\0", "\u{14b}one"] {
        let header = json!({ "alg": alg, "kid": forge.key.kid() }).to_string();
        assert_eq!(forge.with_header(&header), UNSUPPORTED, "{alg:?}, valid signature");
        for signature in [&b"x"[..], &[0; 64]] {
            let token = assemble(&header, &claims(""), |_| signature.to_vec());
            assert_eq!(forge.core.bearer(&token), UNSUPPORTED, "{alg:?}");
        }
        let token = assemble(&header, &claims(""), |_| Vec::new());
        assert_eq!(forge.core.bearer(&token), MALFORMED, "{alg:?}, not signed");
        let token = token.trim_end_matches('.');
        assert_eq!(forge.core.bearer(token), MALFORMED, "{alg:?}, in two parts");
    }
}

#[test]
fn hmac_with_the_public_key_as_secret_is_unsupported() {
    for kind in [KeyKind::Rsa2048, KeyKind::P256] {
        let key = SigningKey::generate(kind);
        let mut core = Core::new(&inline(&[&key]));
        let pem = key.pem();
        let jwk = key.jwk();
        let number = jwk["n"].as_str().or(jwk["x"].as_str()).unwrap();
        for secret in [
            pem.as_bytes(),
            pem.trim().as_bytes(),
            key.spki_der(),
            jwk.to_string().as_bytes(),
            number.as_bytes(),
            key.kid().as_bytes(),
            b"",
        ] {
            for alg in ["HS256", "HS384", "HS512", "hs256"] {
                let header = json!({ "alg": alg, "kid": key.kid() }).to_string();
                let token = hs256(&header, &claims(""), secret);
                assert_eq!(core.bearer(&token), UNSUPPORTED, "{alg} {kind:?}");
            }
            // The same with the algorithm of the key.
            let header = json!({ "alg": key.alg(), "kid": key.kid() }).to_string();
            let token = hs256(&header, &claims(""), secret);
            assert_eq!(core.bearer(&token), Outcome::Refused(Reason::BadSignature), "{kind:?}");
        }
    }
}

#[test]
fn other_algorithm_names_are_unsupported() {
    let mut forge = Forge::new();
    for alg in [
        "es256",
        "Es256",
        "ES256 ",
        " ES256",
        "ES256\0",
        "ES256K",
        "ES384",
        "ES512",
        "RS256",
        "RS384",
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
        let header = json!({ "alg": alg, "kid": forge.key.kid() }).to_string();
        assert_eq!(forge.with_header(&header), UNSUPPORTED, "{alg:?}");
    }
}

#[test]
fn alg_that_is_not_a_name_is_malformed() {
    let mut forge = Forge::new();
    for alg in [json!(""), json!(null), json!(5), json!(["ES256"]), json!({ "ES256": 1 })] {
        let header = json!({ "alg": alg, "kid": forge.key.kid() }).to_string();
        assert_eq!(forge.with_header(&header), MALFORMED, "{alg}");
    }
    let header = json!({ "kid": forge.key.kid() }).to_string();
    assert_eq!(forge.with_header(&header), MALFORMED);
    let header = json!({ "ALG": "ES256", "kid": forge.key.kid() }).to_string();
    assert_eq!(forge.with_header(&header), MALFORMED);
}

#[test]
fn token_with_an_embedded_key_is_malformed() {
    let mut forge = Forge::new();
    let attacker = SigningKey::generate(KeyKind::P256);
    let url = json!("https://attacker.example/jwks");
    for (member, value) in [
        ("jwk", attacker.jwk()),
        ("jwk", Value::Null),
        ("jku", url.clone()),
        ("x5u", url),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
    ] {
        for kid in [forge.key.kid(), attacker.kid()] {
            let header = json!({ "alg": "ES256", "kid": kid, member: value }).to_string();
            let token = assemble(&header, &claims(""), |input| attacker.sign(input));
            assert_eq!(forge.core.bearer(&token), MALFORMED, "{member}");
            let token = assemble(&header, &claims(""), |input| forge.key.sign(input));
            assert_eq!(forge.core.bearer(&token), MALFORMED, "{member}, valid signature");
        }
    }
}

#[test]
fn token_with_extensions_or_another_type_is_malformed() {
    let mut forge = Forge::new();
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
        let mut header = json!({ "alg": "ES256", "kid": forge.key.kid() });
        header[member] = value.clone();
        assert_eq!(forge.with_header(&header.to_string()), MALFORMED, "{member} {value}");
    }
}

/// RFC 7797: with `b64: false` the payload is not encoded.
#[test]
fn unencoded_payload_is_malformed() {
    let mut forge = Forge::new();
    let header = json!({ "alg": "ES256", "kid": forge.key.kid(), "b64": false, "crit": ["b64"] });
    let (header, payload) = (encode(header.to_string()), claims("").replace(['.', ','], ""));
    let signature = forge.key.sign(format!("{header}.{payload}").as_bytes());
    let token = format!("{header}.{payload}.{}", encode(signature));
    assert_eq!(forge.core.bearer(&token), MALFORMED);
    assert_eq!(forge.core.bearer(&format!("{header}..{}", encode("x"))), MALFORMED, "detached");
}

#[test]
fn encrypted_token_is_malformed() {
    let mut forge = Forge::new();
    let header = json!({ "alg": "dir", "enc": "A256GCM", "kid": forge.key.kid() }).to_string();
    let parts = [encode(header), String::new(), encode("iv"), encode("text"), encode("tag")];
    assert_eq!(forge.core.bearer(&parts.join(".")), MALFORMED);
    let nested = parts.map(|part| if part.is_empty() { encode("key") } else { part });
    assert_eq!(forge.core.bearer(&nested.join(".")), MALFORMED);
}

#[test]
fn kid_with_a_path_query_or_line_break_is_unknown() {
    let mut forge = Forge::new();
    for kid in [
        "",
        "../../../../dev/null",
        "/etc/passwd",
        "' OR '1'='1",
        "x\nfake log line",
        "\0",
        "\u{202e}x",
        "https://attacker.example/key",
        &"k".repeat(5000),
    ] {
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        let token = forge.sign(&header, &claims(""));
        let denial = forge.core.denial(&crate::support::get("/", &token));
        assert_eq!(denial.reason(), Reason::UnknownKey, "{kid:?}");
        assert!(denial.detail().chars().all(|c| !c.is_control()), "{:?}", denial.detail());
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
