//! Scenarios for valid and invalid tokens.

use serde_json::{Value, json};

use super::{Group, Scenario, World, api, config};
use crate::client::Request;
use crate::keys::SigningKey;
use crate::token::{Token, assemble, hs256, unix_now};

pub(super) fn groups(world: &World) -> Vec<Group> {
    let scenarios = [genuine(world), forged(world), claims(world), times(world), shapes(world)];
    vec![Group {
        name: "every service account of the issuer may pass",
        config: config(json!({ "identityHeaders": {
            "x-sa-namespace": "namespace", "x-sa-name": "name", "x-sa-pod": "pod.name",
            "x-sa-node": "node.name", "x-sa-subject": "subject", "x-sa-audience": "audience",
            "x-sa-issuer": "issuer.name", "x-sa-proof": "provenBy",
        } })),
        scenarios: scenarios.into_iter().flatten().collect(),
    }]
}

fn get(token: &str) -> Request {
    Request::get("/secrets/1").bearer(token)
}

fn genuine(world: &World) -> Vec<Scenario> {
    let seen = [
        ("x-sa-namespace", Some("api")),
        ("x-sa-name", Some("api")),
        ("x-sa-pod", Some("api-1")),
        ("x-sa-node", Some("node-1")),
        ("x-sa-subject", Some("system:serviceaccount:api:api")),
        ("x-sa-audience", Some("secret-store")),
        ("x-sa-issuer", Some("local")),
        ("x-sa-proof", Some("signature")),
        ("authorization", None),
    ];
    let plain = [("x-sa-namespace", Some("api")), ("x-sa-name", Some("api"))];
    let unbound = Token::for_service_account("batch", "nightly.v1");
    let alias = api().issuer("https://kubernetes.default.svc");
    let audiences = api().audiences(["other", "second"]);
    vec![
        Scenario::passes("a good token (RS256)", get(&world.good()), seen),
        Scenario::passes("RSA 4096", get(&api().sign(&world.rsa4096)), plain),
        Scenario::passes("ES256", get(&api().sign(&world.es256)), plain),
        Scenario::passes("ES384", get(&api().sign(&world.es384)), plain),
        Scenario::passes(
            "a token bound to nothing",
            get(&unbound.sign(&world.cluster)),
            [
                ("x-sa-namespace", Some("batch")),
                ("x-sa-name", Some("nightly.v1")),
                ("x-sa-pod", None),
            ],
        ),
        Scenario::passes(
            "a token bound to a secret",
            get(&Token::for_service_account("api", "api").secret("opaque").sign(&world.cluster)),
            plain,
        ),
        Scenario::passes(
            "a token bound to a node",
            get(&Token::for_service_account("api", "api").node("node-1").sign(&world.cluster)),
            [("x-sa-node", Some("node-1")), ("x-sa-pod", None)],
        ),
        Scenario::passes(
            "ten years",
            get(&api().lifetime(315_360_000).sign(&world.cluster)),
            plain,
        ),
        Scenario::passes(
            "a default token, extended to a year",
            get(&api().lifetime(31_536_000).warn_after(unix_now() + 3607).sign(&world.cluster)),
            plain,
        ),
        Scenario::passes("an alias of the issuer", get(&alias.sign(&world.cluster)), plain),
        Scenario::passes(
            "one of several audiences",
            get(&audiences.sign(&world.cluster)),
            [("x-sa-audience", Some("second"))],
        ),
        Scenario::passes(
            "an audience that is a string",
            get(&api().claim("aud", json!("second")).sign(&world.cluster)),
            [("x-sa-audience", Some("second"))],
        ),
        Scenario::passes(
            "unknown claims",
            get(&api().claim("future", json!({ "a": [1, null] })).sign(&world.cluster)),
            plain,
        ),
        Scenario::passes(
            "typ JWT",
            get(&api().header("typ", json!("JWT")).sign(&world.cluster)),
            plain,
        ),
        Scenario::passes(
            "no iat, no nbf, no jti",
            get(&api().without("iat").without("nbf").without("jti").sign(&world.cluster)),
            plain,
        ),
    ]
}

fn forged(world: &World) -> Vec<Scenario> {
    let header = |header: Value| header.to_string();
    let payload = api().claims().to_string();
    let kid = world.cluster.kid();
    let none =
        |alg: &str| assemble(&header(json!({ "alg": alg, "kid": kid })), &payload, |_| vec![0]);
    let unsigned =
        assemble(&header(json!({ "alg": "none", "kid": kid })), &payload, |_| Vec::new());
    let hs256 = hs256(
        &header(json!({ "alg": "HS256", "kid": kid })),
        &payload,
        world.cluster.pem().as_bytes(),
    );
    let impostor = api().header("kid", json!(kid)).sign(&world.foreign_key);
    let with = |name: &str, value: Value| get(&api().header(name, value).sign(&world.cluster));
    let jwk = world.foreign_key.jwk();
    vec![
        Scenario::refused("alg none", get(&none("none")), "unsupported_algorithm"),
        Scenario::refused("alg NoNe", get(&none("NoNe")), "unsupported_algorithm"),
        Scenario::refused("alg none without a signature", get(&unsigned), "malformed_token"),
        Scenario::refused("HS256 with the public key", get(&hs256), "unsupported_algorithm"),
        Scenario::refused(
            "RS384 by an RS256 key",
            with("alg", json!("RS384")),
            "unsupported_algorithm",
        ),
        Scenario::refused(
            "PS256 by an RS256 key",
            with("alg", json!("PS256")),
            "unsupported_algorithm",
        ),
        Scenario::refused("another key with a known kid", get(&impostor), "bad_signature"),
        Scenario::refused(
            "an unpublished kid",
            get(&api().sign(&world.foreign_key)),
            "unknown_key",
        ),
        Scenario::refused(
            "no kid",
            get(&api().without_header("kid").sign(&world.cluster)),
            "unknown_key",
        ),
        Scenario::refused("a key that came along (jwk)", with("jwk", jwk), "malformed_token"),
        Scenario::refused(
            "a key to be fetched (jku)",
            with("jku", json!("https://evil/")),
            "malformed_token",
        ),
        Scenario::refused("a certificate (x5c)", with("x5c", json!(["MII"])), "malformed_token"),
        Scenario::refused("an extension (crit)", with("crit", json!(["exp"])), "malformed_token"),
        Scenario::refused("typ at+jwt", with("typ", json!("at+jwt")), "malformed_token"),
        Scenario::refused("tampered claims", get(&tampered(&world.good())), "bad_signature"),
        Scenario::refused("ES256 in DER form", get(&der_signed(&world.es256)), "bad_signature"),
        Scenario::refused("ES256 of zeros", get(&zero_signed(&world.es256)), "bad_signature"),
    ]
}

/// Claims of another account under a genuine signature.
fn tampered(token: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let claims = Token::for_service_account("kube-system", "admin").claims().to_string();
    let forged = assemble("{}", &claims, |_| Vec::new());
    let claims = forged.split('.').nth(1).unwrap_or_default().to_owned();
    [parts[0], &claims, parts[2]].join(".")
}

fn header_of(key: &SigningKey) -> String {
    json!({ "alg": key.alg(), "kid": key.kid() }).to_string()
}

/// A genuine signature in the form that X.509 uses and JOSE does not.
fn der_signed(key: &SigningKey) -> String {
    assemble(&header_of(key), &api().claims().to_string(), |signed| {
        let raw = key.sign(signed);
        let mut der = vec![0x30, 0];
        for half in raw.chunks(raw.len() / 2) {
            let half = &half[half.iter().take_while(|byte| **byte == 0).count()..];
            let pad = usize::from(half[0] & 0x80 != 0);
            der.extend([2, (half.len() + pad) as u8]);
            der.extend(std::iter::repeat_n(0, pad));
            der.extend_from_slice(half);
        }
        der[1] = (der.len() - 2) as u8;
        der
    })
}

fn zero_signed(key: &SigningKey) -> String {
    assemble(&header_of(key), &api().claims().to_string(), |_| vec![0; 64])
}

fn claims(world: &World) -> Vec<Scenario> {
    let signed = |token: Token| get(&token.sign(&world.cluster));
    let account = "/kubernetes.io/serviceaccount";
    vec![
        Scenario::refused("no token", Request::get("/secrets/1"), "missing_token"),
        Scenario::refused(
            "another issuer",
            signed(api().issuer("https://accounts.example.com")),
            "unknown_issuer",
        ),
        Scenario::refused(
            "an issuer with a slash more",
            signed(api().issuer("https://kubernetes.default.svc.cluster.local/")),
            "unknown_issuer",
        ),
        Scenario::refused("another audience", signed(api().audience("other")), "wrong_audience"),
        Scenario::refused("no audience", signed(api().without("aud")), "missing_claim"),
        Scenario::refused(
            "an empty list of audiences",
            signed(api().audiences([])),
            "wrong_audience",
        ),
        Scenario::refused(
            "an audience in capitals",
            signed(api().audience("Secret-Store")),
            "wrong_audience",
        ),
        Scenario::refused("no exp", signed(api().without("exp")), "missing_claim"),
        Scenario::refused("no iss", signed(api().without("iss")), "missing_claim"),
        Scenario::refused("no sub", signed(api().without("sub")), "missing_claim"),
        Scenario::refused(
            "a foreign JWT without a service account",
            signed(api().claim("sub", json!("alice@example.com")).without("kubernetes.io")),
            "not_a_service_account",
        ),
        Scenario::refused(
            "a subject that contradicts the claims",
            signed(api().claim("sub", json!("system:serviceaccount:api:admin"))),
            "not_a_service_account",
        ),
        Scenario::refused(
            "a namespace that contradicts the subject",
            signed(api().claim("/kubernetes.io/namespace", json!("kube-system"))),
            "not_a_service_account",
        ),
        Scenario::refused(
            "a service account without a uid",
            signed(api().claim(account, json!({ "name": "api" }))),
            "not_a_service_account",
        ),
        Scenario::refused(
            "a legacy secret token",
            signed(Token::legacy_secret("api", "api", "api-token-x")),
            "legacy_token",
        ),
        Scenario::refused(
            "flat legacy claims under our issuer",
            signed(api().claim("kubernetes.io/serviceaccount/namespace", json!("api"))),
            "legacy_token",
        ),
    ]
}

fn times(world: &World) -> Vec<Scenario> {
    let now = unix_now();
    let signed = |token: Token| get(&token.sign(&world.cluster));
    let plain = [("x-sa-name", Some("api"))];
    vec![
        Scenario::refused("expired an hour ago", signed(api().expires_at(now - 3600)), "expired"),
        Scenario::passes("expired within the leeway", signed(api().expires_at(now - 20)), plain),
        Scenario::refused(
            "not valid yet",
            signed(api().claim("nbf", json!(now + 3600))),
            "not_yet_valid",
        ),
        Scenario::refused(
            "issued in the future",
            signed(api().claim("iat", json!(now + 3600))),
            "not_yet_valid",
        ),
        Scenario::passes("valid in a moment", signed(api().issued_at(now + 20)), plain),
        Scenario::passes("the last date there is", signed(api().expires_at(1 << 53)), plain),
        Scenario::refused(
            "a date beyond 2^53",
            signed(api().expires_at((1 << 53) + 1)),
            "malformed_token",
        ),
        Scenario::refused(
            "exp as a float",
            signed(api().claim("exp", json!(1.9e9))),
            "malformed_token",
        ),
        Scenario::refused(
            "exp as a string",
            signed(api().claim("exp", json!("1900000000"))),
            "malformed_token",
        ),
        Scenario::refused(
            "a negative nbf",
            signed(api().claim("nbf", json!(-1))),
            "malformed_token",
        ),
        Scenario::refused("exp null", signed(api().claim("exp", Value::Null)), "malformed_token"),
    ]
}

fn shapes(world: &World) -> Vec<Scenario> {
    let good = world.good();
    let sign = |header: &str, payload: &str| {
        get(&assemble(header, payload, |signed| world.cluster.sign(signed)))
    };
    let header = header_of(&world.cluster);
    let payload = api().claims().to_string();
    let twice = payload.replacen('{', r#"{"sub":"system:serviceaccount:api:admin","#, 1);
    let header_twice = header.replacen('{', r#"{"alg":"none","#, 1);
    let deep =
        payload.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(5000), "]".repeat(5000)), 1);
    vec![
        Scenario::refused("a duplicate claim", sign(&header, &twice), "malformed_token"),
        Scenario::refused("a duplicate alg", sign(&header_twice, &payload), "malformed_token"),
        Scenario::refused("claims nested 5,000 deep", sign(&header, &deep), "malformed_token"),
        Scenario::refused("claims that are a list", sign(&header, "[]"), "malformed_token"),
        Scenario::refused("claims that are not JSON", sign(&header, "abc"), "malformed_token"),
        Scenario::refused(
            "text after the claims",
            sign(&header, &(payload.clone() + "{}")),
            "malformed_token",
        ),
        Scenario::refused("four parts", get(&format!("{good}.x")), "malformed_token"),
        Scenario::refused(
            "two parts",
            get(good.rsplit_once('.').unwrap_or_default().0),
            "malformed_token",
        ),
        Scenario::refused("padding", get(&format!("{good}=")), "malformed_token"),
        Scenario::refused("abc", get("abc"), "malformed_token"),
        Scenario::refused("only dots", get(".."), "malformed_token"),
        Scenario::refused("17 KiB of token", get(&"a".repeat(17 * 1024)), "token_too_large"),
    ]
}
