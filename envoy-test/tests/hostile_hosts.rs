//! Ambiguous hosts, with each of Envoy's settings for ports and dots.

use crate::support::{Case, Gate, Outcome, config, http_options};
use anyhow::{Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::{EnvoySetup, KeyKind, SigningKey, jwks};
use serde_json::{Value, json};

/// `GET /` of `host` without a token: a request that passes has matched the open rule.
fn ask(host: &'static str, expected: Outcome) -> Case {
    let bytes = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    (host, bytes.into_bytes(), expected)
}

/// Only `open` is open, and the router has a virtual host for it. Every other host is routed to the default one, which
/// answers 404.
async fn gate(version: &str, open: &str, setting: &'static [&'static str]) -> Result<Gate> {
    let key = SigningKey::generate(KeyKind::P256);
    let mut plugin = config(json!({ "inline": jwks(&[&key]) }));
    plugin["rules"] = json!([
        { "name": "website", "hosts": [open], "allow": "anyone" },
        { "name": "rest", "allow": ["ops/admin"] },
    ]);
    let setup = EnvoySetup::new().version(version).plugin_config(plugin).patch(move |tree| {
        let http = http_options(tree);
        let hosts = &mut http["route_config"]["virtual_hosts"];
        hosts[0]["domains"] = json!(["www.example"]);
        let default = json!({
            "name": "default",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 404 } }],
        });
        hosts.as_array_mut().expect("virtual hosts").push(default);
        for name in setting {
            let at: &mut Value = match *name {
                "ignore_port_in_host_matching" => &mut http["route_config"],
                _ => &mut *http,
            };
            at[name] = json!(true);
        }
    });
    Gate::start(setup).await
}

#[tokio::test]
async fn host_rules_match_what_envoys_router_matches() -> Result<()> {
    let passes = Outcome::passes;
    let closed = || Outcome::refused(401, "missing_token");
    let ambiguous = || Outcome::refused(400, "ambiguous_path");
    let malformed = || {
        ["www.example:", "www.example:0", "www.example:080", "www.example:65536", "www.example.."]
            .map(|host| ask(host, ambiguous()))
    };
    for version in versions() {
        let mut failures = Vec::new();
        let mut check = async |open, setting, cases: Vec<Case>| -> Result<()> {
            let found = gate(&version, open, setting).await?.failures(&cases).await?;
            failures.extend(found.into_iter().map(|fault| format!("{open} {setting:?} {fault}")));
            Ok(())
        };
        let as_written = vec![
            ask("www.example", passes()),
            ask("WWW.Example", passes()),
            ask("www.example:9999", closed()),
            ask("www.example:80", closed()),
            ask("www.example.", ambiguous()),
            ask("www.example.:80", ambiguous()),
            ask("other.example", closed()),
        ];
        check("www.example", &[], [as_written, malformed().to_vec()].concat()).await?;
        let any_port = vec![
            ask("www.example", passes()),
            ask("www.example:9999", passes()),
            ask("www.example.", ambiguous()),
            ask("www.example.:9999", ambiguous()),
        ];
        let any_port = [any_port, malformed().to_vec()].concat();
        check("www.example:*", &["ignore_port_in_host_matching"], any_port).await?;
        // Envoy removes the port before the filter sees the host.
        let stripped = vec![
            ask("www.example", passes()),
            ask("www.example:9999", passes()),
            ask("www.example.", ambiguous()),
            ask("other.example:80", closed()),
        ];
        check("www.example", &["strip_any_host_port"], stripped).await?;
        let matching = vec![ask("www.example", passes()), ask("www.example:9999", closed())];
        check("www.example", &["strip_matching_host_port"], matching).await?;
        let dotless = vec![
            ask("www.example.", passes()),
            ask("www.example.:9999", closed()),
            ask("www.example..", ambiguous()),
        ];
        check("www.example", &["strip_trailing_host_dot"], dotless).await?;
        ensure!(failures.is_empty(), "Envoy {version}:\n{}", failures.join("\n"));
    }
    Ok(())
}

#[tokio::test]
async fn strip_matching_host_port_removes_the_port_of_the_listener() -> Result<()> {
    for version in versions() {
        let gate = gate(&version, "www.example", &["strip_matching_host_port"]).await?;
        let port = gate.envoy.port();
        let own =
            format!("GET / HTTP/1.1\r\nhost: www.example:{port}\r\nconnection: close\r\n\r\n");
        assert_eq!(gate.http1(own.as_bytes()).await?, Outcome::passes(), "Envoy {version}");
    }
    Ok(())
}
