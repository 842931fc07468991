//! Invalid JWKS and discovery responses do not replace cached keys.

use super::{cached, core, key, of_envoy, set, status};
use crate::support::{Core, discovery_document, ok};
use envoy_test::token::DEFAULT_ISSUER;
use envoy_test::{KeyKind, SigningKey, jwks};
use sa_authn::authn::keys::Settled;
use sa_authn::callout::Reply;
use serde_json::json;

#[test]
fn invalid_jwks_response_does_not_replace_keys() {
    let (mut core, key) = (core(json!({})), key());
    core.publish(&set(&[&key]));
    for (name, reply, message) in bad_sets() {
        core.wait_for_next();
        discover(&mut core);
        let failure = failure(&mut core, reply);
        assert!(failure.contains(message), "{name}: {failure}");
        assert!(core.by(&key).passes(), "{name}");
    }
    core.wait_for_next();
    core.publish(&set(&[&key]));
    assert!(core.by(&key).passes());
}

#[test]
fn invalid_discovery_document_does_not_replace_keys() {
    let (mut core, key) = (core(json!({})), key());
    core.publish(&set(&[&key]));
    core.wait_for_next();
    core.fails(status(404));
    for (name, document, message) in bad_documents() {
        core.wait_for_next();
        let failure = failure(&mut core, ok(document));
        assert!(failure.contains(message), "{name}: {failure}");
        assert!(core.by(&key).passes(), "{name}");
    }
    core.wait_for_next();
    core.publish(&set(&[&key]));
    assert!(core.by(&key).passes());
}

#[test]
fn requests_stay_paused_after_an_invalid_first_response_until_keys_arrive() {
    for (name, reply, _) in bad_sets() {
        let (mut core, key) = (core(json!({})), key());
        let mut waits = core.held_by(&key);
        discover(&mut core);
        failure(&mut core, reply);
        assert_eq!(waits.wakes(&mut core), super::HELD, "{name}");
        core.wait_for_next();
        core.publish(&set(&[&key]));
        assert!(waits.wakes(&mut core).passes(), "{name}");
    }
}

#[test]
fn key_set_of_100_keys_is_accepted_and_101_rejected() {
    let key = key();
    let filler: Vec<_> =
        (0..99).map(|at| json!({ "kty": "future", "kid": at.to_string() })).collect();
    let mut keys = [filler, vec![key.jwk()]].concat();
    let mut core = core(json!({}));
    core.publish(&json!({ "keys": keys }).to_string());
    assert!(core.by(&key).passes());
    keys.push(super::key().jwk());
    core.wait_for_next();
    let failure = failure(&mut core, ok(json!({ "keys": keys }).to_string()));
    assert_eq!(failure, "GET /openid/v1/jwks: 101 keys, expected at most 100");
    assert!(core.by(&key).passes());
}

#[test]
fn unsupported_keys_are_skipped_and_counted() {
    let (good, other) = (key(), key());
    let mut for_encryption = other.jwk();
    for_encryption["use"] = json!("enc");
    let mut symmetric_alg = other.jwk();
    symmetric_alg["alg"] = json!("HS256");
    let odd = [
        json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA", "kid": "pq" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "ed" }),
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "hmac" }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "tiny" }),
        json!({ "kid": "nothing else" }),
        json!(5),
        json!(null),
        for_encryption,
        symmetric_alg,
    ];
    let mut core = core(json!({}));
    discover(&mut core);
    let keys = [&odd[..], &[good.jwk()]].concat();
    let body = json!({ "keys": keys, "more": 1 }).to_string();
    let call = core.call();
    match core.reply(&call, ok(body)).unwrap().outcome {
        Settled::Renewed { keys: 1, skipped, .. } => assert_eq!(skipped, odd.len()),
        other => panic!("{other:?}"),
    }
    assert!(core.by(&good).passes());
    assert_eq!(core.by(&other), super::UNKNOWN_KEY);
}

/// Invalid JWKS responses, and the failure that is logged for each.
fn bad_sets() -> Vec<(&'static str, Reply, &'static str)> {
    let keys = set(&[&SigningKey::generate(KeyKind::P256)]);
    let too_large =
        Reply::Response { status: 200, cache_control: None, retry_after: None, body: None };
    let few = |keys: serde_json::Value| ok(json!({ "keys": keys }).to_string());
    let octets = json!([{ "kty": "oct", "k": "c2VjcmV0" }]);
    vec![
        ("reset", Reply::Reset, "connection reset"),
        ("not sent", Reply::NotSent, "did not send the call"),
        ("no such cluster", Reply::UnknownCluster, "no such cluster"),
        ("oversized", too_large, "larger than 262144 bytes"),
        ("empty", ok(""), "not a JWKS: the body is empty"),
        ("spaces", ok("  \n"), "not a JWKS: the body is empty"),
        (
            "BOM",
            ok(format!("\u{feff}{keys}")),
            "not a JWKS: the body begins with a byte order mark",
        ),
        ("gzip", ok(vec![0x1f, 0x8b, 8, 0]), "not a JWKS: the body is compressed (gzip)"),
        ("Status", ok(STATUS), "not a JWKS: the body is a Status object of Kubernetes"),
        ("null", ok("null"), "not a JWKS"),
        ("a list", ok("[]"), "not a JWKS"),
        ("no list", ok("{}"), "expected an object with a list `keys`"),
        ("keys is an object", few(json!({})), "expected an object with a list `keys`"),
        ("keys is null", few(json!(null)), "expected an object with a list `keys`"),
        ("no key", few(json!([])), "no supported key"),
        ("no supported key type", few(octets), "no supported key; kty \"oct\", expected RSA or EC"),
        ("HTML", ok("<html><body>hello</body></html>"), "not a JWKS: the body is HTML or XML"),
        ("cut off", ok(&keys.as_bytes()[..keys.len() - 1]), "not a JWKS"),
        ("trailing text", ok(format!("{keys}x")), "not a JWKS"),
        ("not UTF-8", ok(b"{\"keys\":[\"\xff\"]}".to_vec()), "not a JWKS"),
        ("deep", ok("[".repeat(200_000)), "not a JWKS"),
        (
            "another document",
            ok(discovery_document(DEFAULT_ISSUER)),
            "expected an object with a list `keys`",
        ),
        (
            "200 for an error",
            cached("{\"error\":\"x\"}", "max-age=3600"),
            "expected an object with a list `keys`",
        ),
        ("204", status(204), "status 204"),
        ("206", status(206), "status 206"),
        ("301", status(301), "redirects are not followed"),
        ("304", status(304), "redirects are not followed"),
        ("400", status(400), "plain text"),
        ("401", status(401), "credential"),
        ("403", status(403), "is not allowed to read the keys"),
        ("404", status(404), "there is no such path"),
        ("406", status(406), "offers neither"),
        ("429", status(429), "the server limits the number of requests"),
        ("500", status(500), "status 500"),
        ("503", status(503), "status 503: the server reports an error of its own"),
        ("504", status(504), "status 504: the server reports a timeout"),
        ("no answer", of_envoy(503, "upstream connect error or disconnect"), "no answer (503 up"),
        ("too late", of_envoy(504, "upstream request timeout"), "no answer (504 upstream request"),
    ]
}

fn bad_documents() -> Vec<(&'static str, String, &'static str)> {
    let document = |issuer: &str, uri: &str| json!({ "issuer": issuer, "jwks_uri": uri });
    let uri = "https://10.0.0.1/openid/v1/jwks";
    vec![
        ("another issuer", discovery_document("https://other.example"), "is for issuer"),
        ("a slash more", discovery_document(&format!("{DEFAULT_ISSUER}/")), "is for issuer"),
        ("no issuer", json!({ "jwks_uri": uri }).to_string(), "missing field `issuer`"),
        ("no URI", json!({ "issuer": DEFAULT_ISSUER }).to_string(), "missing field `jwks_uri`"),
        ("a path", document(DEFAULT_ISSUER, "/jwks").to_string(), "not an http or https URL"),
        (
            "an FTP URL",
            document(DEFAULT_ISSUER, "ftp://h/jwks").to_string(),
            "not an http or https URL",
        ),
        (
            "a space",
            document(DEFAULT_ISSUER, "https://h/a b").to_string(),
            "not an http or https URL",
        ),
        (
            "a line",
            document(DEFAULT_ISSUER, "https://h/a\r\nx: y").to_string(),
            "not an http or https URL",
        ),
        ("a JWKS", jwks(&[&key()]).to_string(), "missing field `issuer`"),
        ("empty", String::new(), "not a discovery document: the body is empty"),
        ("HTML", "<html>".to_owned(), "not a discovery document: the body is HTML or XML"),
        ("BOM", "\u{feff}{}".to_owned(), "not a discovery document: the body begins with a byte"),
        ("Status", STATUS.to_owned(), "not a discovery document: the body is a Status object"),
    ]
}

const STATUS: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":403}"#;

/// Answers the discovery call, if one is due.
fn discover(core: &mut Core) {
    let call = core.call();
    if call.path == "/.well-known/openid-configuration" {
        core.reply(&call, ok(discovery_document(DEFAULT_ISSUER)));
    } else {
        // The path is cached, so the call that is due is the key fetch. A 404 causes a discovery.
        core.reply(&call, status(404));
        core.wait_for_next();
        discover(core);
    }
}

/// Answers the only call that is due, and returns its failure.
fn failure(core: &mut Core, reply: Reply) -> String {
    let call = core.call();
    match core.reply(&call, reply).expect("a call in flight").outcome {
        Settled::Failed(failure) => failure.to_string(),
        other => panic!("{other:?}"),
    }
}
