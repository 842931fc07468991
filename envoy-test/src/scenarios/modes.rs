//! Scenarios for shadow mode of the filter and of rules, and for static keys.

use serde_json::{Value, json};

use super::{Group, Scenario, World, api, config};
use crate::client::Request;
use crate::keys::{KeyKind, SigningKey, jwks};
use crate::token::Token;

pub(super) fn groups(world: &World) -> Vec<Group> {
    let rules = json!([{ "paths": ["/secrets/*"], "allow": ["api/api"] }]);
    let inline = jwks(&world.published().each_ref());
    // No request waits for keys for a shadow rule alone.
    let with_rules = |rules: Value| {
        let mut config = with_keys(json!({ "inline": inline }));
        config["rules"] = rules;
        config
    };
    let pem =
        [world.cluster.pem(), world.es256.pem(), world.rsa4096.pkcs1_pem().unwrap_or_default()];
    let several = [world.es512.pem(), SigningKey::generate(KeyKind::P521).pem()];
    vec![
        Group {
            name: "shadow mode",
            // Inline keys, because shadow mode does not wait for keys.
            config: shadowed(with_keys(json!({ "inline": inline })), rules),
            scenarios: shadow(world),
        },
        Group {
            name: "shadow rules before an enforced rule",
            config: with_rules(shadow_before_enforced()),
            scenarios: before_enforced(world),
        },
        Group {
            name: "shadow rules alone",
            config: with_rules(shadow_alone()),
            scenarios: alone(world),
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
    let no_identity = [("x-sa-name", None), ("x-sa-namespace", None)];
    let forged = Request::get("/secrets/1").header("x-sa-name", "admin");
    let mut kept = Scenario::passes("a good token is not taken off", get(&world.good()), NAMED);
    if let super::Expect::Passes(seen) = &mut kept.expect {
        let sent = kept.request.headers().last().map(|(_, value)| value.clone());
        seen.push(("authorization", sent.and_then(|value| String::from_utf8(value).ok())));
    }
    vec![
        kept,
        Scenario::passes(
            "a request without a token passes without an identity",
            Request::get("/secrets/1"),
            no_identity,
        ),
        Scenario::passes("a forged identity header is removed", forged, no_identity),
        Scenario::passes("an invalid token passes without an identity", get("a.b.c"), no_identity),
        Scenario::passes(
            "a caller without permission passes with its identity",
            get(&other),
            [("x-sa-name", Some("frontend"))],
        ),
        Scenario::passes("an ambiguous path passes", Request::get("/secrets/%2f"), no_identity),
    ]
}

fn shadow_before_enforced() -> Value {
    json!([
        { "name": "ban", "mode": "shadow", "deny": ["web/*"] },
        {
            "name": "admin", "mode": "shadow", "paths": ["/admin/*"],
            "allow": [{ "serviceAccount": "ops/admin", "podBound": true }],
        },
        { "name": "enforced", "paths": ["/admin/*", "/x/*"], "allow": ["ops/admin", "web/old"] },
        { "name": "rest", "allow": ["api/api"] },
    ])
}

fn before_enforced(world: &World) -> Vec<Scenario> {
    let (admin, old) = (of(world, "ops", "admin"), of(world, "web", "old"));
    vec![
        Scenario::refused(
            "a shadow rule does not open what a later rule closes",
            Request::get("/admin/x"),
            "missing_token",
        ),
        Scenario::refused(
            "also not to another account",
            at("/admin/x", &world.good()),
            "forbidden",
        ),
        Scenario::passes(
            "what the shadow rule would deny passes by the enforced rule",
            at("/admin/x", &admin),
            [("x-sa-name", Some("admin")), ("authorization", None)],
        ),
        Scenario::passes(
            "`deny` of a shadow rule does not deny",
            at("/x/y", &old),
            [("x-sa-name", Some("old"))],
        ),
        Scenario::refused(
            "nor does it open what a later rule closes",
            at("/x/y", &of(world, "web", "new")),
            "forbidden",
        ),
        Scenario::refused(
            "an unclear path is denied by the enforced rule that looks at it",
            at("/admin%2fx", &admin),
            "ambiguous_path",
        ),
    ]
}

fn shadow_alone() -> Value {
    json!([
        { "name": "ban", "mode": "shadow", "methods": ["PUT"], "deny": ["web/*"] },
        { "name": "new", "mode": "shadow", "paths": ["/new/*"], "allow": ["api/api"] },
        { "name": "posts", "mode": "shadow", "methods": ["POST"], "allow": ["api/api"] },
    ])
}

fn alone(world: &World) -> Vec<Scenario> {
    let post = |path: &str| Request::method("POST", path);
    vec![
        Scenario::passes(
            "a shadow rule lets pass what it would deny",
            at("/new/x", &of(world, "batch", "x")),
            [("x-sa-name", Some("x"))],
        ),
        Scenario::passes("also without a token", Request::get("/new/x"), [("x-sa-name", None)]),
        Scenario::passes("and what it allows", at("/new/x", &world.good()), NAMED),
        Scenario::passes(
            "an unclear path passes where a shadow rule covers every path",
            post("/new%2fx").bearer(&world.good()),
            NAMED,
        ),
        Scenario::refused(
            "an ambiguous path is denied",
            at("/new%2f..%2fsecrets", &world.good()),
            "ambiguous_path",
        ),
        Scenario::refused(
            "a shadow rule that only denies opens nothing",
            Request::method("PUT", "/x").bearer(&world.good()),
            "forbidden",
        ),
        Scenario::refused("no rule covers it", at("/x", &world.good()), "forbidden"),
    ]
}

fn at(path: &str, token: &str) -> Request {
    Request::get(path).bearer(token)
}

fn of(world: &World, namespace: &str, name: &str) -> String {
    Token::for_service_account(namespace, name).sign(&world.cluster)
}

fn inline_keys(world: &World) -> Vec<Scenario> {
    vec![
        Scenario::passes("RS256", get(&world.good()), NAMED),
        Scenario::passes("ES256", get(&api().sign(&world.es256)), NAMED),
        Scenario::refused(
            "a key that is not there",
            get(&api().sign(&world.foreign_key)),
            "unknown_key",
        ),
    ]
}

fn pem_keys(world: &World) -> Vec<Scenario> {
    let kid = |kid: &str| get(&api().header("kid", json!(kid)).sign(&world.cluster));
    let foreign = api().without_header("kid").sign(&world.foreign_key);
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
        Scenario::refused("signed by none of them", get(&foreign), "bad_signature"),
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
