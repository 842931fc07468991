//! Scenarios for valid and invalid tokens.

use serde_json::json;

use super::{Group, Scenario, World, api, config};
use crate::client::Request;
use crate::keys::jwks;
use crate::token::{Token, unix_now};
use crate::vectors::{self, Attacker};

pub(super) fn groups(world: &World) -> Vec<Group> {
    let scenarios = [genuine(world), unknown(world), times(world)];
    let account = ("ops", "admin");
    let rsa = Attacker { key: &world.cluster, own: &world.foreign_key, account };
    let ecdsa = Attacker { key: &world.es256, own: &world.foreign_es256, account };
    let genuine = Group {
        name: "every service account of the issuer may pass",
        config: config(json!({ "identityHeaders": {
            "x-sa-namespace": "namespace", "x-sa-name": "name", "x-sa-pod": "pod.name",
            "x-sa-node": "node.name", "x-sa-subject": "subject", "x-sa-audience": "audience",
            "x-sa-issuer": "issuer.name", "x-sa-proof": "provenBy",
        } })),
        scenarios: scenarios.into_iter().flatten().collect(),
    };
    vec![
        genuine,
        forged("forged tokens, the issuer has an RSA key", &rsa),
        forged_under_a_rule("forged tokens under a rule, the issuer has an ECDSA key", &ecdsa),
    ]
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

/// Tokens that are rejected only if the keys are fetched, or that are missing.
fn unknown(world: &World) -> Vec<Scenario> {
    vec![
        Scenario::refused("no token", Request::get("/secrets/1"), "missing_token"),
        Scenario::refused(
            "an unpublished kid",
            get(&api().sign(&world.foreign_key)),
            "unknown_key",
        ),
    ]
}

fn times(world: &World) -> Vec<Scenario> {
    let now = unix_now();
    let signed = |token: Token| get(&token.sign(&world.cluster));
    let plain = [("x-sa-name", Some("api"))];
    vec![
        Scenario::passes("expired within the leeway", signed(api().expires_at(now - 20)), plain),
        Scenario::passes("valid in a moment", signed(api().issued_at(now + 20)), plain),
        Scenario::passes("the last date there is", signed(api().expires_at(1 << 53)), plain),
    ]
}

/// The table of vectors, sent by an attacker who would like to be `ops/admin`.
fn forged(name: &'static str, attacker: &Attacker<'_>) -> Group {
    let mut config = config(json!({}));
    config["issuers"][0]["keys"] = json!({ "inline": jwks(&[attacker.key]) });
    let admin = Token::for_service_account("ops", "admin").sign(attacker.key);
    let seen = [("x-sa-name", Some("admin"))];
    let mut scenarios = vec![Scenario::passes("the account itself", get(&admin), seen)];
    scenarios.extend(vectors::table().iter().map(|vector| {
        Scenario::refused(&vector.name, get(&vector.token(attacker)), vector.reason)
    }));
    Group { name, config, scenarios }
}

/// The same under a rule for `ops/admin`, over HTTP/2.
fn forged_under_a_rule(name: &'static str, attacker: &Attacker<'_>) -> Group {
    let mut group = forged(name, attacker);
    group.config["rules"] = json!([{ "paths": ["/secrets/*"], "allow": ["ops/admin"] }]);
    let web = Token::for_service_account("web", "web");
    let look_alike = web.claim("SUB", json!("system:serviceaccount:ops:admin")).sign(attacker.key);
    group.scenarios.push(Scenario::refused("SUB beside sub", get(&look_alike), "forbidden"));
    for scenario in &mut group.scenarios {
        scenario.request = scenario.request.clone().http2();
    }
    group
}
