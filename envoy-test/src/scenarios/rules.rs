//! Scenarios for rules, ambiguous paths and unknown methods.

use serde_json::json;

use super::{Group, Scenario, World, api, config};
use crate::client::Request;
use crate::token::Token;

pub(super) fn groups(world: &World) -> Vec<Group> {
    let rules = config(json!({ "rules": [
        { "name": "health", "paths": ["/healthz"], "allow": "anyone" },
        { "name": "public", "methods": ["GET"], "paths": ["/public/*"], "allow": "anyone" },
        { "name": "own", "paths": ["/users/*/profile"], "allow": ["*/profile"] },
        { "name": "write", "methods": ["POST", "PUT"], "paths": ["/secrets/*"], "allow": ["vault/writer"] },
        { "name": "secrets", "methods": ["GET"], "paths": ["/secrets/*", "/secrets"],
          "allow": ["api/api", "batch/*", { "serviceAccount": "vault/writer", "issuerName": "local" }] },
        { "name": "literal", "paths": ["/Users%281%29"], "allow": ["ops/admin"] },
        { "name": "rest", "paths": ["/any"], "allow": "authenticated" },
    ] }));
    let methods_only = config(json!({ "rules": [
        { "methods": ["GET"], "allow": "authenticated" },
    ] }));
    let by_method = config(json!({ "rules": [
        { "name": "open", "paths": ["/open"], "allow": "anyone" },
        { "name": "delete", "methods": ["DELETE"], "paths": ["/items/*"], "allow": ["ops/admin"] },
        { "name": "purge", "methods": ["PURGE"], "paths": ["/cache"], "allow": ["ops/admin"] },
        { "name": "rest", "paths": ["/*"], "allow": "anyone" },
    ] }));
    vec![
        Group {
            name: "rules",
            config: rules,
            scenarios: [listed(world), open(world), tricks(world), empty_segments(world)].concat(),
        },
        Group { name: "methods", config: by_method, scenarios: methods() },
        Group { name: "rules without paths", config: methods_only, scenarios: pathless(world) },
    ]
}

fn of(world: &World, namespace: &str, name: &str) -> String {
    Token::for_service_account(namespace, name).sign(&world.cluster)
}

fn listed(world: &World) -> Vec<Scenario> {
    let good = &world.good();
    let by = |method: &str, path: &str, namespace: &str, name: &str| {
        Request::method(method, path).bearer(&of(world, namespace, name))
    };
    let named = |name: &'static str| [("x-sa-name", Some(name))];
    vec![
        Scenario::passes(
            "a listed account",
            Request::get("/secrets/db").bearer(good),
            named("api"),
        ),
        Scenario::passes(
            "the base, listed by itself",
            Request::get("/secrets").bearer(good),
            named("api"),
        ),
        Scenario::passes(
            "far below",
            Request::get("/secrets/a/b/c?x=1").bearer(good),
            named("api"),
        ),
        Scenario::passes(
            "a whole namespace",
            by("GET", "/secrets/db", "batch", "nightly"),
            named("nightly"),
        ),
        Scenario::refused(
            "an account that is not listed",
            by("GET", "/secrets/db", "web", "frontend"),
            "forbidden",
        ),
        Scenario::refused(
            "the same name in another namespace",
            by("GET", "/secrets/db", "evil", "api"),
            "forbidden",
        ),
        Scenario::refused(
            "no rule for DELETE",
            by("DELETE", "/secrets/db", "api", "api"),
            "forbidden",
        ),
        Scenario::refused(
            "GET does not include HEAD",
            by("HEAD", "/secrets/db", "api", "api"),
            "forbidden",
        ),
        Scenario::refused(
            "the first rule decides",
            by("POST", "/secrets/db", "api", "api"),
            "forbidden",
        ),
        Scenario::passes(
            "the first rule's own",
            by("PUT", "/secrets/db", "vault", "writer"),
            named("writer"),
        ),
        Scenario::passes(
            "by account and issuer",
            by("GET", "/secrets/db", "vault", "writer"),
            named("writer"),
        ),
        Scenario::passes(
            "a name in any namespace",
            by("GET", "/users/7/profile", "x", "profile"),
            named("profile"),
        ),
        Scenario::refused(
            "one star is one segment",
            by("GET", "/users/7/8/profile", "x", "profile"),
            "forbidden",
        ),
        Scenario::refused(
            "a star is not an empty segment",
            by("GET", "/users//profile", "x", "profile"),
            "ambiguous_path",
        ),
        Scenario::refused(
            "a path with parentheses, of which the rule has the literal form",
            by("GET", "/Users(1)", "web", "frontend"),
            "forbidden",
        ),
        Scenario::refused(
            "the same in its escaped form",
            by("GET", "/Users%281%29", "web", "frontend"),
            "forbidden",
        ),
        Scenario::passes(
            "authenticated is enough",
            by("PATCH", "/any", "web", "frontend"),
            named("frontend"),
        ),
        Scenario::refused(
            "a path without a rule",
            Request::get("/other").bearer(good),
            "forbidden",
        ),
        Scenario::refused("nor without a token", Request::get("/other"), "missing_token"),
        Scenario::refused(
            "an invalid token is reported before the rules",
            Request::get("/other").bearer("a.b"),
            "malformed_token",
        ),
    ]
}

fn open(world: &World) -> Vec<Scenario> {
    let no_identity = [("x-sa-name", None), ("x-sa-namespace", None)];
    let expired = api().expires_at(1_700_000_000).sign(&world.cluster);
    vec![
        Scenario::passes("open to anyone", Request::get("/healthz"), no_identity),
        Scenario::passes(
            "open, and the caller has a name",
            Request::get("/healthz").bearer(&world.good()),
            [("x-sa-name", Some("api")), ("authorization", None)],
        ),
        Scenario::passes(
            "open, and a forged name is taken off",
            Request::get("/healthz").header("x-sa-name", "admin").header("X_SA_NAME", "admin"),
            [("x-sa-name", None), ("x_sa_name", None)],
        ),
        Scenario::passes(
            "an invalid token on an open path is removed, without an identity",
            Request::get("/healthz").bearer(&expired),
            [("x-sa-name", None), ("authorization", None)],
        ),
        Scenario::passes(
            "a token that is not ours is left alone on an open path",
            Request::get("/healthz").bearer("opaque"),
            [("x-sa-name", None), ("authorization", Some("Bearer opaque"))],
        ),
        Scenario::refused(
            "open for GET is not open for POST",
            Request::post("/public/a"),
            "missing_token",
        ),
        Scenario::refused(
            "the base of an open folder is not open",
            Request::get("/public"),
            "missing_token",
        ),
    ]
}

fn tricks(world: &World) -> Vec<Scenario> {
    let caller = of(world, "web", "frontend");
    let get = |path: &str| Request::get(path).bearer(&caller);
    vec![
        Scenario::refused("dot segments", get("/public/../secrets/db"), "ambiguous_path"),
        Scenario::refused(
            "escaped dot segments",
            get("/public/%2e%2E/secrets/db"),
            "ambiguous_path",
        ),
        Scenario::refused(
            "dot segments that lead to an open path",
            Request::get("/secrets/../public/1"),
            "ambiguous_path",
        ),
        Scenario::refused("an escaped letter", get("/%73ecrets/db"), "forbidden"),
        Scenario::refused("an escaped slash", get("/public/..%2fsecrets/db"), "ambiguous_path"),
        Scenario::refused("an escaped backslash", get("/public/..%5csecrets"), "ambiguous_path"),
        Scenario::refused("a path parameter", get("/public/..;/secrets/db"), "ambiguous_path"),
        Scenario::refused(
            "dot segments with a path parameter",
            get("/public/..;x/secrets/db"),
            "ambiguous_path",
        ),
        Scenario::refused("a dot with a path parameter", get("/public/.;/db"), "ambiguous_path"),
        Scenario::refused(
            "escaped dot segments with a path parameter",
            get("/public/%2e%2e;x/secrets/db"),
            "ambiguous_path",
        ),
        Scenario::refused("an escaped NUL", get("/public/a%00"), "ambiguous_path"),
        Scenario::refused(
            "an escape in an escape",
            get("/public/%252e%252e/secrets"),
            "ambiguous_path",
        ),
        Scenario::refused("a cut-off escape", get("/public/%2"), "ambiguous_path"),
        Scenario::refused("an escaped question mark", get("/public/..%3f"), "ambiguous_path"),
        Scenario::refused(
            "dots after two slashes",
            get("/public//../../secrets/db"),
            "ambiguous_path",
        ),
        Scenario::refused(
            "an ambiguous path without a token",
            Request::get("/public/%2f"),
            "ambiguous_path",
        ),
        Scenario::refused(
            "method override",
            Request::post("/secrets/db")
                .bearer(&world.good())
                .header("x-http-method-override", "GET"),
            "forbidden",
        ),
        Scenario::refused(
            "another path in x-envoy-original-path",
            get("/secrets/db").header("x-envoy-original-path", "/healthz"),
            "forbidden",
        ),
    ]
}

/// An upstream that resolves `//public` as an authority (Node's `new URL(req.url, base)`) serves what follows it.
fn empty_segments(world: &World) -> Vec<Scenario> {
    let good = world.good();
    let paths = [
        ("two slashes at the start of an open path", "//public/secrets/1"),
        ("two slashes at the start of a closed path", "//secrets/db"),
        ("three slashes at the start", "///public/1"),
        ("two slashes inside", "/public//1"),
        ("two slashes at the end", "/public/1//"),
        ("nothing but two slashes", "//"),
    ];
    let row = |(name, path): (&'static str, &str)| {
        Scenario::refused(name, Request::get(path).bearer(&good), "ambiguous_path")
    };
    let mut rows: Vec<_> = paths.into_iter().map(row).collect();
    rows.push(Scenario::refused(
        "two slashes at the start of an open path, without a token",
        Request::get("//public/secrets/1"),
        "ambiguous_path",
    ));
    rows.push(Scenario::passes(
        "one slash at the end is not an empty segment",
        Request::get("/public/1/"),
        [("x-sa-name", None)],
    ));
    rows
}

fn methods() -> Vec<Scenario> {
    let send = |method: &str, path: &str| Request::method(method, path).http2();
    let unnamed = [("x-sa-name", None)];
    vec![
        Scenario::refused("the method of a rule", send("DELETE", "/items/1"), "missing_token"),
        Scenario::refused("in lower case", send("delete", "/items/1"), "unknown_method"),
        Scenario::refused("in mixed case", send("Delete", "/items/1"), "unknown_method"),
        Scenario::refused("a method without an RFC", send("FROB", "/items/1"), "unknown_method"),
        Scenario::refused("a method and more", send("DELETEX", "/items/1"), "unknown_method"),
        Scenario::refused(
            "a method named by a rule, in lower case",
            send("purge", "/items/1"),
            "unknown_method",
        ),
        Scenario::passes("a method named by another rule", send("PURGE", "/items/1"), unnamed),
        Scenario::passes("a method of RFC 9110", send("PUT", "/items/1"), unnamed),
        Scenario::passes("the method of RFC 5789", send("PATCH", "/items/1"), unnamed),
        Scenario::passes(
            "an unknown method where a rule before has decided",
            send("delete", "/open"),
            unnamed,
        ),
        Scenario::passes(
            "an unknown method on a path whose rules have no methods",
            send("delete", "/other"),
            unnamed,
        ),
    ]
}

fn pathless(world: &World) -> Vec<Scenario> {
    let get = |path: &str| Request::get(path).bearer(&world.good());
    vec![
        Scenario::passes("a path is not looked at", get("/a%2fb;c"), [("x-sa-name", Some("api"))]),
        Scenario::refused("a method is", Request::post("/").bearer(&world.good()), "forbidden"),
    ]
}
