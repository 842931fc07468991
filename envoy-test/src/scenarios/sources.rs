//! Scenarios for token sources: headers, schemes, several tokens, and their removal.

use serde_json::json;

use super::{Group, Scenario, World, api, config};
use crate::client::Request;

pub(super) fn groups(world: &World) -> Vec<Group> {
    let sources = json!({ "tokenFrom": [
        { "header": "Authorization", "prefix": "Bearer " },
        { "header": "X-Client-Id" },
    ] });
    let mut kept = sources.clone();
    kept["forwardToken"] = json!(true);
    let mut open = sources.clone();
    open["rules"] = json!([{ "name": "open", "allow": "anyone" }]);
    vec![
        Group {
            name: "tokens from Authorization and X-Client-Id",
            config: config(sources),
            scenarios: [found(world), several(world), spoofed(world)]
                .into_iter()
                .flatten()
                .collect(),
        },
        Group {
            name: "tokens in another form than the configured one, on an open path",
            config: config(open),
            scenarios: sloppy(world),
        },
        Group {
            name: "the token goes on to the upstream",
            config: config(kept),
            scenarios: forwarded(world),
        },
        Group {
            name: "only Authorization is looked at",
            config: config(json!({})),
            scenarios: elsewhere(world),
        },
    ]
}

fn get() -> Request {
    Request::get("/secrets/1")
}

const SEEN: [(&str, Option<&str>); 4] = [
    ("x-sa-namespace", Some("api")),
    ("x-sa-name", Some("api")),
    ("authorization", None),
    ("x-client-id", None),
];

fn found(world: &World) -> Vec<Scenario> {
    let good = &world.good();
    let scheme = |scheme: &str| get().header("authorization", format!("{scheme}{good}"));
    vec![
        Scenario::passes("a raw token in X-Client-Id", get().header("x-client-id", good), SEEN),
        Scenario::passes("the scheme in lower case", scheme("bearer "), SEEN),
        Scenario::passes("the scheme in capitals", scheme("BEARER "), SEEN),
        Scenario::refused("two spaces after the scheme", scheme("Bearer  "), "malformed_token"),
        Scenario::refused("a tab after the scheme", scheme("Bearer\t"), "missing_token"),
        Scenario::refused("another scheme", scheme("Token "), "missing_token"),
        Scenario::refused("Basic", get().header("authorization", "Basic YTpi"), "missing_token"),
        Scenario::refused("an empty header", get().header("x-client-id", ""), "missing_token"),
        Scenario::refused(
            "the scheme alone",
            get().header("authorization", "Bearer"),
            "malformed_token",
        ),
        Scenario::refused(
            "a scheme in the header for raw tokens",
            get().header("x-client-id", format!("Bearer {good}")),
            "malformed_token",
        ),
        Scenario::refused(
            "bytes that are not text",
            get().header("x-client-id", b"\xff\xfe.\xfd.\xfc"),
            "malformed_token",
        ),
        Scenario::refused(
            "bytes that are not text after the scheme",
            get().header("authorization", b"Bearer \xff\xfe"),
            "malformed_token",
        ),
    ]
}

fn several(world: &World) -> Vec<Scenario> {
    let (good, other) = (&world.good(), &api().sign(&world.es256));
    let both = |second: &str| get().bearer(good).header("x-client-id", second);
    vec![
        Scenario::passes("the same token in two headers", both(good), SEEN),
        Scenario::passes("the same token twice in one", get().bearer(good).bearer(good), SEEN),
        Scenario::refused("two tokens in two headers", both(other), "conflicting_tokens"),
        Scenario::refused("a token and an invalid token", both("invalid"), "conflicting_tokens"),
        Scenario::refused(
            "two Authorization lines",
            get().bearer(good).bearer(other),
            "conflicting_tokens",
        ),
        Scenario::refused(
            "two lines of X-Client-Id",
            get().header("x-client-id", good).header("x-client-id", other),
            "conflicting_tokens",
        ),
        Scenario::refused(
            "a list in one line",
            get().header("authorization", format!("Bearer {good}, Bearer {other}")),
            "conflicting_tokens",
        ),
        Scenario::passes(
            "other credentials beside the token stay",
            get().header("authorization", "Basic YTpi").bearer(good),
            [("x-sa-name", Some("api")), ("authorization", Some("Basic YTpi"))],
        ),
    ]
}

fn spoofed(world: &World) -> Vec<Scenario> {
    let good = &world.good();
    vec![
        Scenario::passes(
            "identity headers are ours alone",
            get().bearer(good).header("x-sa-name", "admin").header("x-sa-namespace", "kube-system"),
            SEEN,
        ),
        Scenario::passes(
            "also if they are repeated",
            get().header("x-sa-name", "admin").bearer(good).header("x-sa-name", "root"),
            SEEN,
        ),
        Scenario::passes(
            "also with underscores",
            get().header("x_sa_name", "admin").header("x-sa_namespace", "kube-system").bearer(good),
            [("x_sa_name", None), ("x-sa_namespace", None), ("x-sa-name", Some("api"))],
        ),
    ]
}

/// Such a token does not authenticate the caller, but an upstream may read and use it.
fn sloppy(world: &World) -> Vec<Scenario> {
    let good = &world.good();
    let expired = &api().expires_at(1).sign(&world.cluster);
    let forged = &api().sign(&world.foreign_key);
    let foreign = &api().issuer("https://login.example").sign(&world.cluster);
    let parts: Vec<_> = good.split('.').collect();
    let removed = |name, value: String| {
        Scenario::passes(name, get().header("authorization", value), [("authorization", None)])
    };
    let raw = |name, value: String| {
        Scenario::passes(name, get().header("x-client-id", value), [("x-client-id", None)])
    };
    let mut stays = Scenario::passes(
        "another issuer's token in another scheme stays",
        get().header("authorization", format!("Token {foreign}")),
        [],
    );
    if let super::Expect::Passes(seen) = &mut stays.expect {
        seen.push(("authorization", Some(format!("Token {foreign}"))));
    }
    vec![
        removed("a tab after the scheme", format!("Bearer\t{good}")),
        removed("two spaces after the scheme", format!("Bearer  {good}")),
        removed("another scheme", format!("Token {good}")),
        removed("quoted", format!("\"{good}\"")),
        removed("quoted behind the scheme", format!("Bearer \"{good}\"")),
        removed("a parameter", format!("bearer={good}")),
        removed("a parameter of another scheme", format!("Custom realm=\"a\" token=\"{good}\"")),
        removed("no scheme", good.clone()),
        removed("the scheme twice", format!("Bearer Bearer {good}")),
        removed("padding behind the token", format!("Bearer {good}==")),
        removed("padding behind each part", format!("Bearer {}", parts.join("=.") + "=")),
        removed("a word behind the token", format!("Bearer {good} x")),
        removed("letters behind the token", format!("Bearer {good}xyz")),
        removed("letters before the token", format!("Bearer xyz{good}")),
        removed("a fourth part", format!("Bearer {good}.x")),
        removed("a part before the token", format!("Bearer x.{good}")),
        removed("expired, in another scheme", format!("Token {expired}")),
        removed("forged, in another scheme", format!("Token {forged}")),
        raw("a scheme in the header for raw tokens", format!("Bearer {good}")),
        raw("a space before a raw token", format!("t {good}")),
        raw("a raw token, quoted", format!("\"{good}\"")),
        Scenario::passes(
            "both headers, each in another form",
            get()
                .header("authorization", format!("Token {good}"))
                .header("x-client-id", format!("<{good}>")),
            [("authorization", None), ("x-client-id", None)],
        ),
        Scenario::passes(
            "other credentials beside it stay",
            get().header("authorization", format!("Basic YTpi, Token {good}, Digest x")),
            [("authorization", Some("Basic YTpi, Digest x"))],
        ),
        stays,
        Scenario::passes(
            "what has three parts and is no JWT stays",
            get().header("authorization", "Custom www.example.com"),
            [("authorization", Some("Custom www.example.com"))],
        ),
    ]
}

fn forwarded(world: &World) -> Vec<Scenario> {
    let request = get().header("x-client-id", world.good());
    let mut passes = Scenario::passes("forwardToken", request, [("x-sa-name", Some("api"))]);
    if let super::Expect::Passes(seen) = &mut passes.expect {
        let sent = passes.request.headers().last().map(|(_, value)| value.clone());
        seen.push(("x-client-id", sent.and_then(|value| String::from_utf8(value).ok())));
    }
    vec![passes]
}

fn elsewhere(world: &World) -> Vec<Scenario> {
    vec![
        Scenario::refused(
            "X-Client-Id is not configured",
            get().header("x-client-id", world.good()),
            "missing_token",
        ),
        Scenario::refused(
            "a token in the query is no token",
            Request::get(&format!("/secrets/1?access_token={}", world.good())),
            "missing_token",
        ),
        Scenario::refused(
            "a token in a cookie is no token",
            get().header("cookie", format!("token={}", world.good())),
            "missing_token",
        ),
    ]
}
