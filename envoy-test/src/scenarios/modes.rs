//! What is done about a judgement: shadow mode. And where keys come from: static ones.

use serde_json::{Value, json};

use super::{Group, Scenario, World, api, config};
use crate::client::Request;
use crate::keys::{KeyKind, SigningKey, jwks};
use crate::token::Token;

pub(super) fn groups(world: &World) -> Vec<Group> {
    let rules = json!([{ "paths": ["/secrets/*"], "allow": ["api/api"] }]);
    let inline = jwks(&world.published().each_ref());
    let pem =
        [world.cluster.pem(), world.es256.pem(), world.rsa4096.pkcs1_pem().unwrap_or_default()];
    let several = [world.es512.pem(), SigningKey::generate(KeyKind::P521).pem()];
    vec![
        Group {
            name: "shadow mode",
            // Keys that are there at once: shadow mode waits for none.
            config: shadowed(with_keys(json!({ "inline": inline })), rules),
            scenarios: shadow(world),
        },
        Group {
            name: "keys in the configuration",
            config: with_keys(json!({ "inline": inline })),
            scenarios: inline_keys(world),
        },
        Group {
            name: "keys in PEM",
            config: with_keys(json!({ "pem": pem })),
            scenarios: pem_keys(world),
        },
        Group {
            name: "several P-521 keys in PEM",
            config: with_keys(json!({ "pem": several })),
            scenarios: p521_keys(world),
        },
    ]
}

fn with_keys(keys: Value) -> Value {
    let mut config = config(json!({}));
    config["issuers"][0]["keys"] = keys;
    config
}

fn shadowed(mut config: Value, rules: Value) -> Value {
    config["mode"] = json!("shadow");
    config["rules"] = rules;
    config
}

fn get(token: &str) -> Request {
    Request::get("/secrets/1").bearer(token)
}

const NAMED: [(&str, Option<&str>); 1] = [("x-sa-name", Some("api"))];

fn shadow(world: &World) -> Vec<Scenario> {
    let other = Token::for_service_account("web", "frontend").sign(&world.cluster);
    let nobody = [("x-sa-name", None), ("x-sa-namespace", None)];
    let forged = Request::get("/secrets/1").header("x-sa-name", "admin");
    let mut kept = Scenario::passes("a good token is not taken off", get(&world.good()), NAMED);
    if let super::Expect::Passes(seen) = &mut kept.expect {
        let sent = kept.request.headers().last().map(|(_, value)| value.clone());
        seen.push(("authorization", sent.and_then(|value| String::from_utf8(value).ok())));
    }
    vec![
        kept,
        Scenario::passes("no token passes without a name", Request::get("/secrets/1"), nobody),
        Scenario::passes("a forged name is taken off all the same", forged, nobody),
        Scenario::passes("a bad token passes without a name", get("a.b.c"), nobody),
        Scenario::passes(
            "who may not do this passes with a name",
            get(&other),
            [("x-sa-name", Some("frontend"))],
        ),
        Scenario::passes("an ambiguous path passes", Request::get("/secrets/%2f"), nobody),
    ]
}

fn inline_keys(world: &World) -> Vec<Scenario> {
    vec![
        Scenario::passes("RS256", get(&world.good()), NAMED),
        Scenario::passes("ES256", get(&api().sign(&world.es256)), NAMED),
        Scenario::refused(
            "a key that is not there",
            get(&api().sign(&world.stranger)),
            "unknown_key",
        ),
    ]
}

fn pem_keys(world: &World) -> Vec<Scenario> {
    let kid = |kid: &str| get(&api().header("kid", json!(kid)).sign(&world.cluster));
    let stranger = api().without_header("kid").sign(&world.stranger);
    vec![
        Scenario::passes("by the kid that Kubernetes derives", get(&world.good()), NAMED),
        Scenario::passes("PKCS#1", get(&api().sign(&world.rsa4096)), NAMED),
        Scenario::refused("by another kid", kid("my-key"), "unknown_key"),
        Scenario::passes(
            "without a kid",
            get(&api().without_header("kid").sign(&world.es256)),
            NAMED,
        ),
        Scenario::refused("another key's kid", kid(world.rsa4096.kid()), "bad_signature"),
        Scenario::refused("signed by none of them", get(&stranger), "bad_signature"),
        Scenario::refused("no key for ES384", get(&api().sign(&world.es384)), "unknown_key"),
    ]
}

/// Those that pass are in `envoy-test/tests/keys.rs`: only Envoy verifies them.
fn p521_keys(world: &World) -> Vec<Scenario> {
    let refused =
        |name, token: Token| Scenario::refused(name, get(&token.sign(&world.es512)), "unknown_key");
    vec![
        refused("without a kid", api().without_header("kid")),
        refused("by another kid", api().header("kid", json!("my-key"))),
    ]
}
