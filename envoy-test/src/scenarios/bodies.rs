//! Scenarios for bodies, gRPC calls, and requests that Envoy rejects.

use serde_json::json;

use super::{Group, Scenario, World, config};
use crate::client::Request;

pub(super) fn groups(world: &World) -> Vec<Group> {
    let rules = json!([{ "name": "calls", "methods": ["POST"], "paths": ["/pkg.Service/*"], "allow": ["api/api"] }]);
    vec![Group {
        name: "calls with bodies",
        config: config(json!({ "rules": rules })),
        scenarios: calls(world),
    }]
}

fn calls(world: &World) -> Vec<Scenario> {
    let good = &world.good();
    let post = || Request::post("/pkg.Service/Method");
    let named = [("x-sa-name", Some("api")), ("authorization", None)];
    vec![
        Scenario::passes(
            "a POST with a body",
            post().bearer(good).body("x".repeat(100_000)),
            named,
        ),
        Scenario::refused(
            "a POST without a token",
            post().body("x".repeat(100_000)),
            "missing_token",
        ),
        Scenario::passes(
            "a gRPC call",
            post().grpc().bearer(good).body("m").trailer("t", "1"),
            named,
        ),
        Scenario::refused("a gRPC call without a token", post().grpc().body("m"), "missing_token"),
        Scenario::refused(
            "a gRPC call to an ambiguous path",
            Request::post("/pkg.Service/%2f").grpc(),
            "ambiguous_path",
        ),
        Scenario::refused(
            "a gRPC call without a rule",
            Request::post("/pkg.Other/Method").grpc().bearer(good),
            "forbidden",
        ),
        Scenario::passes("HTTP/2", post().http2().bearer(good), named),
        Scenario::refused(
            "HTTP/2 with two Authorization lines",
            post().http2().bearer(good).bearer("x"),
            "conflicting_tokens",
        ),
        Scenario::envoy_refuses(
            "headers beyond Envoy's limit",
            post().bearer(&"a".repeat(70_000)),
            431,
        ),
    ]
}
