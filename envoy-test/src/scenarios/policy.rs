//! Scenarios for conditions, preflights and lifetimes.

use serde_json::{Value, json};

use super::{Group, Scenario, World, api, config};
use crate::client::Request;
use crate::token::{Token, unix_now};

pub(super) fn groups(world: &World) -> Vec<Group> {
    vec![
        Group { name: "refusals", config: with_rules(refusals()), scenarios: by_refusal(world) },
        Group {
            name: "conditions",
            config: with_rules(conditions()),
            scenarios: by_condition(world),
        },
        Group {
            name: "preflights",
            config: with_rules(json!([
                { "name": "preflight", "corsPreflight": true, "allow": "anyone" },
                { "name": "api", "allow": "authenticated" },
            ])),
            scenarios: preflights(world),
        },
        Group {
            name: "lifetimes",
            config: with_issuer(json!({ "maxLifetime": "2h", "honorWarnAfter": true })),
            scenarios: lifetimes(world),
        },
        Group {
            name: "pod-bound",
            config: with_issuer(json!({ "requireBound": "pod" })),
            scenarios: pod_bound(world),
        },
        Group {
            name: "a peer that must match, on a connection without one",
            config: with_issuer(json!({ "matchPeer": true })),
            scenarios: vec![Scenario::refused("no mTLS", get("/", &world.good()), "wrong_peer")],
        },
        Group {
            name: "foreign tokens are left alone",
            config: foreign_config(),
            scenarios: foreign(world),
        },
    ]
}

fn with_rules(rules: Value) -> Value {
    config(json!({ "rules": rules }))
}

fn with_issuer(more: Value) -> Value {
    let mut config = config(json!({}));
    if let (Some(issuer), Value::Object(more)) = (config["issuers"][0].as_object_mut(), more) {
        issuer.extend(more);
    }
    config
}

fn get(path: &str, token: &str) -> Request {
    Request::get(path).bearer(token)
}

fn of(world: &World, namespace: &str, name: &str) -> String {
    Token::for_service_account(namespace, name).sign(&world.cluster)
}

const NAMED: [(&str, Option<&str>); 1] = [("x-sa-name", Some("api"))];

fn refusals() -> Value {
    json!([
        { "name": "internal", "paths": ["/internal/*"], "deny": "anyone" },
        { "name": "banned", "deny": ["evil/*", { "serviceAccount": "api/api", "issuerName": "local", "node": "node-9" }] },
        { "name": "but", "paths": ["/batch/*"], "deny": ["batch/one"], "allow": ["batch/*"] },
        { "name": "rest", "paths": ["/*"], "allow": "authenticated" },
    ])
}

fn by_refusal(world: &World) -> Vec<Scenario> {
    let banned =
        Token::for_service_account("api", "api").pod("p").node("node-9").sign(&world.cluster);
    vec![
        Scenario::refused("a path that is closed", get("/internal/x", &world.good()), "forbidden"),
        Scenario::refused(
            "a path that is closed, without a token",
            Request::get("/internal/x"),
            "forbidden",
        ),
        Scenario::refused(
            "a closed path in another spelling",
            get("/%69nternal/x", &world.good()),
            "forbidden",
        ),
        Scenario::refused(
            "a closed path by an escaped slash",
            get("/internal%2fx", &world.good()),
            "ambiguous_path",
        ),
        Scenario::refused(
            "a namespace that is refused",
            get("/x", &of(world, "evil", "x")),
            "forbidden",
        ),
        Scenario::refused("an account on one node", get("/x", &banned), "forbidden"),
        Scenario::passes("the account on another", get("/x", &world.good()), NAMED),
        Scenario::refused("an exception", get("/batch/x", &of(world, "batch", "one")), "forbidden"),
        Scenario::passes(
            "no exception",
            get("/batch/x", &of(world, "batch", "two")),
            [("x-sa-name", Some("two"))],
        ),
        Scenario::refused(
            "a deny list rejects requests without a token",
            Request::get("/x"),
            "missing_token",
        ),
    ]
}

fn conditions() -> Value {
    json!([
        { "paths": ["/pod"], "allow": [{ "serviceAccount": "api/api", "podBound": true }] },
        { "paths": ["/node"], "allow": [{ "namespace": "api", "node": "node-1" }] },
        { "paths": ["/audience"], "allow": [{ "audience": "second" }] },
        { "paths": ["/issuer"], "allow": [{ "issuerName": "local" }] },
        { "paths": ["/uid"], "allow": [{ "serviceAccount": "api/api", "uid": "of-an-earlier-life" }] },
        { "paths": ["/in"], "direction": "inbound", "allow": "authenticated" },
        { "paths": ["/port"], "ports": [1], "allow": "authenticated" },
    ])
}

fn by_condition(world: &World) -> Vec<Scenario> {
    let unbound = of(world, "api", "api");
    let second = api().audience("second").sign(&world.cluster);
    vec![
        Scenario::passes("bound to a pod", get("/pod", &world.good()), NAMED),
        Scenario::refused("bound to nothing", get("/pod", &unbound), "forbidden"),
        Scenario::passes("on the node", get("/node", &world.good()), NAMED),
        Scenario::refused("on no node", get("/node", &unbound), "forbidden"),
        Scenario::passes("by audience", get("/audience", &second), NAMED),
        Scenario::refused("by another audience", get("/audience", &world.good()), "forbidden"),
        Scenario::passes("by issuer", get("/issuer", &world.good()), NAMED),
        Scenario::refused("another uid", get("/uid", &world.good()), "forbidden"),
        // The listener of the tests says no direction, and has another port.
        Scenario::refused("another direction", get("/in", &world.good()), "forbidden"),
        Scenario::refused("another port", get("/port", &world.good()), "forbidden"),
    ]
}

fn preflights(world: &World) -> Vec<Scenario> {
    let options = || Request::method("OPTIONS", "/x").header("origin", "https://a.example");
    let preflight = || options().header("access-control-request-method", "POST");
    vec![
        Scenario::passes("a preflight", preflight(), [("x-sa-name", None)]),
        Scenario::refused("OPTIONS that is not a preflight", options(), "missing_token"),
        Scenario::refused(
            "a GET that looks like one",
            Request::get("/x").header("origin", "x").header("access-control-request-method", "GET"),
            "missing_token",
        ),
        Scenario::passes("everything else by its rule", get("/x", &world.good()), NAMED),
    ]
}

fn lifetimes(world: &World) -> Vec<Scenario> {
    let now = unix_now();
    let year = || api().issued_at(now - 1800).lifetime(365 * 24 * 3600);
    vec![
        Scenario::passes("an hour", get("/", &world.good()), NAMED),
        Scenario::passes(
            "a year that ends by warnafter",
            get("/", &year().warn_after(now + 1807).sign(&world.cluster)),
            NAMED,
        ),
        Scenario::refused(
            "a year past its warnafter",
            get("/", &year().warn_after(now - 120).sign(&world.cluster)),
            "expired",
        ),
        Scenario::refused(
            "a year without warnafter",
            get("/", &year().sign(&world.cluster)),
            "lifetime_too_long",
        ),
        Scenario::refused(
            "no iat to count from",
            get("/", &api().without("iat").sign(&world.cluster)),
            "missing_claim",
        ),
    ]
}

fn pod_bound(world: &World) -> Vec<Scenario> {
    let secret = Token::for_service_account("api", "api").secret("s").sign(&world.cluster);
    vec![
        Scenario::passes("bound to a pod", get("/", &world.good()), NAMED),
        Scenario::refused("bound to nothing", get("/", &of(world, "api", "api")), "not_bound"),
        Scenario::refused("bound to a secret", get("/", &secret), "not_bound"),
    ]
}

fn foreign_config() -> Value {
    config(json!({
        "foreignTokens": "ignore",
        "tokenFrom": [{ "header": "authorization", "prefix": "Bearer " }, { "header": "x-client-id" }],
        "rules": [
            { "paths": ["/open"], "allow": "anyone" },
            { "paths": ["/*"], "allow": "authenticated" },
        ],
    }))
}

fn foreign(world: &World) -> Vec<Scenario> {
    let theirs = &api().issuer("https://accounts.example.com").sign(&world.foreign_key);
    let both = get("/x", theirs).header("x-client-id", world.good());
    let mut left = Scenario::passes(
        "a foreign token goes on to the next filter",
        get("/open", theirs),
        [("x-sa-name", None)],
    );
    if let super::Expect::Passes(seen) = &mut left.expect {
        seen.push(("authorization", Some(format!("Bearer {theirs}"))));
    }
    let mut beside = Scenario::passes(
        "beside one of ours, which alone is taken off",
        both,
        [("x-sa-name", Some("api")), ("x-client-id", None)],
    );
    if let super::Expect::Passes(seen) = &mut beside.expect {
        seen.push(("authorization", Some(format!("Bearer {theirs}"))));
    }
    vec![
        left,
        beside,
        Scenario::refused("it proves nothing", get("/x", theirs), "missing_token"),
        Scenario::refused("nor does an opaque one", get("/x", "opaque"), "missing_token"),
        Scenario::refused(
            "a forged token of a configured issuer is not foreign",
            get("/x", &api().sign(&world.foreign_key)),
            "unknown_key",
        ),
    ]
}
