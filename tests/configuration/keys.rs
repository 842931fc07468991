//! Errors in `keys`: sources, intervals and unsupported keys.

use super::{Row, check, good, put, set};
use envoy_test::{KeyKind, SigningKey, jwks};
use serde_json::{Value, json};

const ONE: &str = "expected exactly one of discovery, jwks, inline, pem, found";

#[test]
fn exactly_one_key_source_is_required() {
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
fn key_server_needs_cluster_authority_and_path() {
    let cluster = "must be the name of an Envoy cluster";
    let authority = "must be the server's host name";
    let path = "must be the path of the JWKS";
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
    for odd in ["", "a b", "a\n", "\u{fc}", "a\0", "https://kubernetes.default.svc"] {
        let keys = json!({ "discovery": { "cluster": odd, "authority": "b" } });
        rows.push((at(keys), vec![("issuers[0].keys.discovery.cluster", cluster)]));
        let keys = json!({ "discovery": { "cluster": "a", "authority": odd } });
        rows.push((at(keys), vec![("issuers[0].keys.discovery.authority", authority)]));
    }
    for odd in
        ["h/k8s/clusters/c-1", "h:0", "h:", "h:65536", "h:x", "u@h", "h?x", ":443", "a,b", " h"]
    {
        let keys = json!({ "discovery": { "cluster": "a", "authority": odd } });
        rows.push((at(keys), vec![("issuers[0].keys.discovery.authority", authority)]));
    }
    for fits in
        ["h", "h:6443", "10.0.0.1:443", "[::1]", "[::1]:6443", "kubernetes.default.svc.", "a_b"]
    {
        rows.push((
            at(json!({ "discovery": { "cluster": "outbound|443||k.svc", "authority": fits } })),
            vec![],
        ));
    }
    for odd in ["", "keys", "https://h/keys", "/a b", "/a\r\nx: y"] {
        let keys = json!({ "jwks": { "cluster": "a", "authority": "b", "path": odd } });
        rows.push((at(keys), vec![("issuers[0].keys.jwks.path", path)]));
    }
    check(rows);
}

#[test]
fn path_prefix_begins_with_a_slash_and_does_not_end_with_one() {
    let fault = "must begin with a slash and not end with one";
    for odd in ["k8s", "/", "/k8s/", "/k 8s", "/k8s?x", "/k8s#x", "https://h/k8s", "/\u{fc}"] {
        let keys = json!({ "discovery": { "cluster": "a", "authority": "b", "pathPrefix": odd } });
        let row =
            (set("/issuers/0/keys", keys), vec![("issuers[0].keys.discovery.pathPrefix", fault)]);
        let review = json!({ "cluster": "a", "authority": "b", "pathPrefix": odd });
        let review = (
            set("/issuers/0/tokenReview", review),
            vec![("issuers[0].tokenReview.pathPrefix", fault)],
        );
        check(vec![row, review]);
    }
    for fits in ["", "/k8s/clusters/c-1", "/id/8EBD", "/a/b.c_d-e"] {
        let keys = json!({ "discovery": { "cluster": "a", "authority": "b", "pathPrefix": fits } });
        check(vec![(set("/issuers/0/keys", keys), vec![])]);
    }
}

#[test]
fn jwks_server_needs_cluster_and_authority() {
    let keys = json!({ "discovery": { "cluster": "a", "authority": "b", "jwksServer": {} } });
    check(vec![(
        set("/issuers/0/keys", keys),
        vec![
            ("issuers[0].keys.discovery.jwksServer.authority", "must be the server's host name"),
            (
                "issuers[0].keys.discovery.jwksServer.cluster",
                "must be the name of an Envoy cluster",
            ),
        ],
    )]);
}

#[test]
fn intervals_must_be_consistent() {
    let keys = |times: Value| {
        let own = good()["issuers"][0]["keys"].clone();
        set("/issuers/0/keys", crate::support::with(own, times))
    };
    check(vec![
        (
            keys(json!({ "refreshInterval": "5s" })),
            vec![("issuers[0].keys.refreshInterval", "must be at least minRefetchInterval")],
        ),
        (
            keys(json!({ "minRefetchInterval": "11m" })),
            vec![("issuers[0].keys.refreshInterval", "must be at least minRefetchInterval")],
        ),
        (
            keys(json!({ "maxStale": "5m" })),
            vec![("issuers[0].keys.maxStale", "must be at least refreshInterval")],
        ),
        (
            keys(json!({ "refreshInterval": "25h" })),
            vec![("issuers[0].keys.maxStale", "must be at least refreshInterval")],
        ),
        (
            keys(json!({ "minRefetchInterval": "99ms" })),
            vec![("issuers[0].keys.minRefetchInterval", "must be at least 100ms")],
        ),
        (
            keys(json!({ "timeout": "0s" })),
            vec![("issuers[0].keys.timeout", "must be from 1ms to 60s, found")],
        ),
        (
            keys(json!({ "timeout": "61s" })),
            vec![("issuers[0].keys.timeout", "must be from 1ms to 60s, found")],
        ),
    ]);
}

#[test]
fn intervals_are_rejected_for_static_keys() {
    let key = SigningKey::generate(KeyKind::P256);
    let times = "not fetched; remove refreshInterval";
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
fn unsupported_inline_keys_are_rejected() {
    let key = SigningKey::generate(KeyKind::P256);
    let changed = |member: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[member] = value;
        json!({ "keys": [jwk] })
    };
    let none = "no supported key";
    let beside = json!({ "keys": [key.jwk(), { "kty": "oct", "k": "c2VjcmV0" }] });
    let mut twin = SigningKey::generate(KeyKind::P256).jwk();
    twin["kid"] = json!(key.kid());
    let rows: Vec<(Value, &str)> = vec![
        (json!({}), "expected an object with a list `keys`"),
        (json!([]), "expected an object with a list `keys`"),
        (json!("text"), "expected an object with a list `keys`"),
        (json!({ "keys": [] }), none),
        (json!({ "keys": [null] }), none),
        (json!({ "keys": vec![key.jwk(); 101] }), "101 keys, expected at most 100"),
        (changed("use", json!("enc")), "use \"enc\", expected \"sig\""),
        (changed("key_ops", json!(["sign"])), "key_ops does not contain \"verify\""),
        (changed("alg", json!("ES384")), "alg \"ES384\" does not fit kty \"EC\""),
        (changed("alg", json!("HS256")), "alg \"HS256\" does not fit kty \"EC\""),
        (changed("alg", json!("none")), "alg \"none\" does not fit kty \"EC\""),
        (changed("kty", json!("oct")), "kty \"oct\""),
        (changed("kty", json!("RSA")), "n is missing"),
        (changed("crv", json!("secp256k1")), "crv \"secp256k1\", expected one of"),
        (changed("crv", json!("P-384")), "x and y must have 48 bytes"),
        (changed("x", json!("AAAA")), "x and y must have 32 bytes"),
        (changed("x", json!("A".repeat(43))), "not a point on the curve"),
        (changed("x", json!("not base64url!")), "x is not base64url"),
        (changed("x", json!("AAA=")), "x has padding (=)"),
        (changed("kid", json!("k".repeat(1025))), "kid is longer than 1024 bytes"),
        (json!({ "keys": [rsa(128, "AQAB")] }), "RSA key of 1024 bits"),
        (json!({ "keys": [rsa(513, "AQAB")] }), "RSA key of 4104 bits"),
        (json!({ "keys": [rsa(256, "Aw")] }), "RSA exponent is not 65537"),
        (json!({ "keys": [rsa(256, "AQABAAAA")] }), "RSA exponent is not 65537"),
        (beside, "kty \"oct\""),
        (json!({ "keys": [key.jwk(), twin] }), "duplicate kid"),
    ];
    check(rows.into_iter().map(|(set, piece)| at("inline", set, piece)).collect());
}

#[test]
fn unsupported_pem_keys_are_rejected() {
    let key = SigningKey::generate(KeyKind::P256);
    let pem = key.pem();
    let labelled = |label: &str| pem.replace("PUBLIC KEY", label);
    check(vec![
        at("pem", json!([]), "no supported key"),
        at("pem", json!(vec![&pem; 101]), "101 keys, expected at most 100"),
        at("pem", json!([""]), "not a PEM block"),
        at("pem", json!(["not PEM"]), "not a PEM block"),
        at("pem", json!([pem[..pem.len() / 2]]), "not a PEM block"),
        at("pem", json!([labelled("CERTIFICATE")]), "certificate, expected a public key"),
        at("pem", json!([labelled("PRIVATE KEY")]), "private key, expected a public key"),
        at("pem", json!([labelled("RSA PRIVATE KEY")]), "private key, expected a public key"),
        at("pem", json!([labelled("EC PRIVATE KEY")]), "private key, expected a public key"),
        at("pem", json!([labelled("RSA PUBLIC KEY")]), "not an RSAPublicKey"),
        at("pem", json!([labelled("OPENSSH KEY")]), "expected PUBLIC KEY or RSA PUBLIC KEY"),
        at("pem", json!([pem, "not PEM"]), "unsupported key: not a PEM block"),
        at("pem", json!([ED25519]), "expected RSA, P-256, P-384 or P-521"),
        at(
            "pem",
            json!(["-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n"]),
            "not a SubjectPublicKeyInfo",
        ),
        at("pem", json!([COMPRESSED]), "EC point is not in uncompressed form"),
        at("pem", json!([UNUSED_BITS]), "public key with unused bits"),
    ]);
}

/// A key file of the API server may contain several blocks. None of them may be ignored silently.
#[test]
fn two_pem_blocks_in_one_string_are_rejected() {
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

/// An RSA public key of this many bytes, without a private key.
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

/// A compressed P-256 point (SEC 1 section 2.3.3), a form that Kubernetes does not write.
const COMPRESSED: &str = "-----BEGIN PUBLIC KEY-----
MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACAQIDBAUGBwgJCgsMDQ4PEBESExQV
FhcYGRobHB0eHyA=
-----END PUBLIC KEY-----
";

/// The last byte of this P-256 point has unused bits.
const UNUSED_BITS: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgQEAQIDBAUGBwgJCgsMDQ4PEBESExQV
FhcYGRobHB0eHyABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fEA==
-----END PUBLIC KEY-----
";
