//! Mistakes in `keys`: sources, times, and keys that cannot be used.

use super::{Row, check, good, put, set};
use envoy_test::{KeyKind, SigningKey, jwks};
use serde_json::{Value, json};

const ONE: &str = "must hold exactly one of discovery, jwks, inline and pem";

#[test]
fn exactly_one_source_is_wanted() {
    let key = SigningKey::generate(KeyKind::P256);
    let discovery = json!({ "cluster": "a", "authority": "b" });
    let jwks = json!({ "cluster": "a", "authority": "b", "path": "/c" });
    let pem = json!([key.pem()]);
    check(vec![
        one(json!({})),
        one(json!({ "refreshInterval": "10m" })),
        one(json!({ "discovery": discovery, "jwks": jwks })),
        one(json!({ "discovery": discovery, "pem": pem })),
        one(json!({ "jwks": jwks, "pem": pem })),
        (super::without("/issuers/0/keys"), vec![("issuers[0].keys", ONE)]),
    ]);
}

#[test]
fn a_server_that_is_asked_must_be_named() {
    let cluster = "must be the name of an Envoy cluster";
    let authority = "must be what the server is called";
    let path = "must be the JWKS's path";
    let at = |keys: Value| set("/issuers/0/keys", keys);
    let mut rows = vec![
        (
            at(json!({ "discovery": {} })),
            vec![
                ("issuers[0].keys.discovery.cluster", cluster),
                ("issuers[0].keys.discovery.authority", authority),
            ],
        ),
        (
            at(json!({ "jwks": {} })),
            vec![
                ("issuers[0].keys.jwks.cluster", cluster),
                ("issuers[0].keys.jwks.authority", authority),
                ("issuers[0].keys.jwks.path", path),
            ],
        ),
    ];
    for odd in ["", "a b", "a\n", "\u{fc}", "a\0"] {
        let keys = json!({ "discovery": { "cluster": odd, "authority": "b" } });
        rows.push((at(keys), vec![("issuers[0].keys.discovery.cluster", cluster)]));
        let keys = json!({ "discovery": { "cluster": "a", "authority": odd } });
        rows.push((at(keys), vec![("issuers[0].keys.discovery.authority", authority)]));
    }
    for odd in ["", "keys", "https://h/keys", "/a b", "/a\r\nx: y"] {
        let keys = json!({ "jwks": { "cluster": "a", "authority": "b", "path": odd } });
        rows.push((at(keys), vec![("issuers[0].keys.jwks.path", path)]));
    }
    check(rows);
}

#[test]
fn times_must_fit_together() {
    let keys = |times: Value| {
        let own = good()["issuers"][0]["keys"].clone();
        set("/issuers/0/keys", crate::support::with(own, times))
    };
    check(vec![
        (
            keys(json!({ "refreshInterval": "5s" })),
            vec![("issuers[0].keys.refreshInterval", "not be shorter than minRefetchInterval")],
        ),
        (
            keys(json!({ "minRefetchInterval": "11m" })),
            vec![("issuers[0].keys.refreshInterval", "not be shorter than minRefetchInterval")],
        ),
        (
            keys(json!({ "maxStale": "5m" })),
            vec![("issuers[0].keys.maxStale", "not be shorter than refreshInterval")],
        ),
        (
            keys(json!({ "refreshInterval": "25h" })),
            vec![("issuers[0].keys.maxStale", "not be shorter than refreshInterval")],
        ),
        (
            keys(json!({ "minRefetchInterval": "99ms" })),
            vec![("issuers[0].keys.minRefetchInterval", "must be at least 100ms")],
        ),
        (
            keys(json!({ "timeout": "0s" })),
            vec![("issuers[0].keys.timeout", "must be more than 0s and at most 60s")],
        ),
        (
            keys(json!({ "timeout": "61s" })),
            vec![("issuers[0].keys.timeout", "must be more than 0s and at most 60s")],
        ),
    ]);
}

#[test]
fn keys_that_are_not_fetched_have_no_times() {
    let key = SigningKey::generate(KeyKind::P256);
    let times = "not fetched: leave the times out";
    let mut rows = Vec::new();
    for (name, value) in [
        ("refreshInterval", "1h"),
        ("minRefetchInterval", "10s"),
        ("maxStale", "24h"),
        ("timeout", "5s"),
    ] {
        for source in [json!({ "inline": jwks(&[&key]) }), json!({ "pem": [key.pem()] })] {
            let config = put(
                set("/issuers/0/keys", source),
                &format!("/issuers/0/keys/{name}"),
                json!(value),
            );
            rows.push((config, vec![("issuers[0].keys", times)]));
        }
    }
    check(rows);
}

#[test]
fn an_inline_key_that_cannot_be_used_is_a_mistake() {
    let key = SigningKey::generate(KeyKind::P256);
    let changed = |member: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[member] = value;
        json!({ "keys": [jwk] })
    };
    let none = "no usable key";
    let beside = json!({ "keys": [key.jwk(), { "kty": "oct", "k": "c2VjcmV0" }] });
    let mut twin = SigningKey::generate(KeyKind::P256).jwk();
    twin["kid"] = json!(key.kid());
    let rows: Vec<(Value, &str)> = vec![
        (json!({}), "no list \"keys\""),
        (json!([]), "no list \"keys\""),
        (json!("text"), "no list \"keys\""),
        (json!({ "keys": [] }), none),
        (json!({ "keys": [null] }), none),
        (json!({ "keys": vec![key.jwk(); 101] }), "101 keys, the limit is 100"),
        (changed("use", json!("enc")), "its use is not sig"),
        (changed("key_ops", json!(["sign"])), "its key_ops do not include verify"),
        (changed("alg", json!("ES384")), "alg \"ES384\" with a EC key"),
        (changed("alg", json!("HS256")), "alg \"HS256\" with a EC key"),
        (changed("alg", json!("none")), "alg \"none\" with a EC key"),
        (changed("kty", json!("oct")), "kty \"oct\""),
        (changed("kty", json!("RSA")), "n is not base64url"),
        (changed("crv", json!("secp256k1")), "curve \"secp256k1\""),
        (changed("crv", json!("P-384")), "has not exactly 48 bytes"),
        (changed("x", json!("AAAA")), "has not exactly 32 bytes"),
        (changed("x", json!("A".repeat(43))), "not a point on its curve"),
        (changed("x", json!("not base64url!")), "x is not base64url"),
        (changed("kid", json!("k".repeat(1025))), "a kid of more than 1024 bytes"),
        (json!({ "keys": [rsa(128, "AQAB")] }), "an RSA key of 1024 bits"),
        (json!({ "keys": [rsa(513, "AQAB")] }), "an RSA key of 4104 bits"),
        (json!({ "keys": [rsa(256, "Aw")] }), "exponent is not 65537"),
        (json!({ "keys": [rsa(256, "AQABAAAA")] }), "exponent is not 65537"),
        (beside, "a key that cannot be used: kty \"oct\""),
        (json!({ "keys": [key.jwk(), twin] }), "a second key with kid"),
    ];
    check(rows.into_iter().map(|(set, piece)| at("inline", set, piece)).collect());
}

#[test]
fn a_pem_that_cannot_be_used_is_a_mistake() {
    let key = SigningKey::generate(KeyKind::P256);
    let pem = key.pem();
    let labelled = |label: &str| pem.replace("PUBLIC KEY", label);
    check(vec![
        at("pem", json!([]), "no usable key"),
        at("pem", json!([""]), "not a PEM block"),
        at("pem", json!(["not PEM"]), "not a PEM block"),
        at("pem", json!([pem[..pem.len() / 2]]), "not a PEM block"),
        at("pem", json!([labelled("CERTIFICATE")]), "a certificate: give its public key instead"),
        at("pem", json!([labelled("PRIVATE KEY")]), "a private key, which must never leave"),
        at("pem", json!([labelled("RSA PRIVATE KEY")]), "a private key, which must never leave"),
        at("pem", json!([labelled("EC PRIVATE KEY")]), "a private key, which must never leave"),
        at("pem", json!([labelled("RSA PUBLIC KEY")]), "not an RSAPublicKey"),
        at("pem", json!([labelled("OPENSSH KEY")]), "not PUBLIC KEY or RSA PUBLIC KEY"),
        at("pem", json!([pem, "not PEM"]), "a key that cannot be used: not a PEM block"),
        at("pem", json!([ED25519]), "neither RSA nor P-256, P-384, P-521"),
        at(
            "pem",
            json!(["-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n"]),
            "not a SubjectPublicKeyInfo",
        ),
        at("pem", json!([COMPRESSED]), "a point that is not in uncompressed form"),
        at("pem", json!([UNUSED_BITS]), "a public key with unused bits"),
    ]);
}

/// A key file of the API server may hold several blocks: none of them may be dropped in silence.
#[test]
fn two_pem_blocks_in_one_text_are_two_keys_or_a_mistake() {
    let keys = [SigningKey::generate(KeyKind::P256), SigningKey::generate(KeyKind::P256)];
    let both = keys.each_ref().map(SigningKey::pem).concat();
    check(vec![at("pem", json!([both]), "not a PEM block")]);
}

fn one(keys: Value) -> Row {
    (set("/issuers/0/keys", keys), vec![("issuers[0].keys", ONE)])
}

fn at(source: &'static str, value: Value, piece: &'static str) -> Row {
    let path = if source == "pem" { "issuers[0].keys.pem" } else { "issuers[0].keys.inline" };
    (set("/issuers/0/keys", json!({ source: value })), vec![(path, piece)])
}

/// An RSA key of so many bytes, which nobody has the other half of.
fn rsa(bytes: usize, e: &str) -> Value {
    use base64::Engine;
    let n = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
    json!({ "kty": "RSA", "n": n, "e": e })
}

/// RFC 8410 section 10.1.
const ED25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
";

/// A P-256 point of which only x is given (SEC 1 section 2.3.3), as Kubernetes never writes it.
const COMPRESSED: &str = "-----BEGIN PUBLIC KEY-----
MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACAQIDBAUGBwgJCgsMDQ4PEBESExQV
FhcYGRobHB0eHyA=
-----END PUBLIC KEY-----
";

/// The last byte of this P-256 point counts by half.
const UNUSED_BITS: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgQEAQIDBAUGBwgJCgsMDQ4PEBESExQV
FhcYGRobHB0eHyABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fEA==
-----END PUBLIC KEY-----
";
