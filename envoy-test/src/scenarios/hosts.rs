//! Scenarios for rules with hosts.

use serde_json::{Value, json};

use super::{Group, Scenario, World, config};
use crate::client::Request;

pub(super) fn groups(world: &World) -> Vec<Group> {
    vec![Group {
        name: "hosts",
        config: config(json!({ "rules": hosts() })),
        scenarios: [by_host(world), by_port()].concat(),
    }]
}

const NAMED: [(&str, Option<&str>); 1] = [("x-sa-name", Some("api"))];

fn hosts() -> Value {
    json!([
        { "name": "admin", "hosts": ["admin.example"], "allow": ["ops/admin"] },
        { "name": "below", "hosts": ["*.example"], "paths": ["/open"], "allow": "anyone" },
        { "name": "api", "hosts": ["api.example", "127.0.0.1:*"], "allow": ["api/api"] },
        { "name": "port", "hosts": ["port.test:8080", "*.port.test:8080"], "allow": "anyone" },
        { "name": "ports", "hosts": ["ports.test:*", "*.ports.test:*"], "allow": "anyone" },
        { "name": "website", "hosts": ["www.test"], "allow": "anyone" },
    ])
}

fn by_host(world: &World) -> Vec<Scenario> {
    let to = |host: &str, path: &str| Request::get(path).bearer(&world.good()).header("host", host);
    vec![
        Scenario::passes("the host of a rule", to("api.example", "/x"), NAMED),
        Scenario::passes("the host of a rule in capitals", to("API.example", "/x"), NAMED),
        Scenario::refused("a port without a rule", to("api.example:8080", "/x"), "forbidden"),
        Scenario::refused("the host of another rule", to("admin.example", "/x"), "forbidden"),
        Scenario::refused(
            "the host of another rule in capitals",
            to("ADMIN.EXAMPLE", "/x"),
            "forbidden",
        ),
        Scenario::refused(
            "the host of another rule with a dot",
            to("admin.example.", "/x"),
            "ambiguous_path",
        ),
        Scenario::passes(
            "below a host",
            Request::get("/open").header("host", "a.b.example"),
            [("x-sa-name", None)],
        ),
        Scenario::refused(
            "the base is not below itself",
            Request::get("/open").header("host", "example"),
            "missing_token",
        ),
        Scenario::refused("a host without a rule", to("other.test", "/x"), "forbidden"),
        Scenario::refused(
            "an earlier rule for the host",
            Request::get("/open").header("host", "admin.example"),
            "missing_token",
        ),
        Scenario::refused(
            "two hosts in one",
            to("api.example,admin.example", "/x"),
            "ambiguous_path",
        ),
    ]
}

/// Envoy's router compares hosts with their port and final dot: `www.test:9999` is routed to another virtual host than
/// `www.test`.
fn by_port() -> Vec<Scenario> {
    let to = |host: &str| Request::get("/x").header("host", host);
    let passes = |name, host| Scenario::passes(name, to(host), [("x-sa-name", None)]);
    let refused = |name, host, reason| Scenario::refused(name, to(host), reason);
    vec![
        passes("an open host", "www.test"),
        refused("an open host and a port", "www.test:9999", "missing_token"),
        refused("an open host and the default port", "www.test:80", "missing_token"),
        refused("an open host and an empty port", "www.test:", "ambiguous_path"),
        refused("an open host and port 0", "www.test:0", "ambiguous_path"),
        refused("an open host and a port with a leading zero", "www.test:080", "ambiguous_path"),
        refused("an open host and a port beyond 65535", "www.test:65536", "ambiguous_path"),
        refused("an open host with a final dot", "www.test.", "ambiguous_path"),
        refused("an open host with a final dot and a port", "www.test.:80", "ambiguous_path"),
        refused("an IPv6 address in another form", "[0:0::1]:80", "ambiguous_path"),
        passes("the port of a rule", "port.test:8080"),
        passes("the port of a rule, below the host", "a.port.test:8080"),
        refused("another port than the rule's", "port.test:8081", "missing_token"),
        refused("no port where the rule has one", "port.test", "missing_token"),
        refused("another port, below the host", "a.port.test:80", "missing_token"),
        passes("any port", "ports.test:1"),
        passes("any port, without one", "ports.test"),
        passes("any port, below the host", "a.b.ports.test:65535"),
    ]
}
