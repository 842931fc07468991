//! Ambiguous hosts, with each of Envoy's settings for ports and dots.

use crate::support::{Case, Gate, Outcome, config, http_options, http_options_of, listeners};
use anyhow::{Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::{EnvoySetup, KeyKind, SigningKey, jwks};
use serde_json::json;

/// `GET /` of `host` without a token: a request that passes has matched the open rule.
fn ask(host: &'static str, expected: Outcome) -> Case {
    let bytes = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    (host, bytes.into_bytes(), expected)
}

/// One of Envoy's settings, the host that the rule opens, and requests.
struct Setting {
    name: Option<&'static str>,
    open: &'static str,
    cases: Vec<Case>,
}

fn settings() -> [Setting; 5] {
    let passes = Outcome::passes;
    let closed = || Outcome::refused(401, "missing_token");
    let ambiguous = || Outcome::refused(400, "ambiguous_path");
    let malformed = || {
        ["www.example:", "www.example:0", "www.example:080", "www.example:65536", "www.example.."]
            .map(|host| ask(host, ambiguous()))
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
    let any_port = vec![
        ask("www.example", passes()),
        ask("www.example:9999", passes()),
        ask("www.example.", ambiguous()),
        ask("www.example.:9999", ambiguous()),
    ];
    // Envoy removes the port before the filter sees the host.
    let stripped = vec![
        ask("www.example", passes()),
        ask("www.example:9999", passes()),
        ask("www.example.", ambiguous()),
        ask("other.example:80", closed()),
    ];
    let matching = vec![ask("www.example", passes()), ask("www.example:9999", closed())];
    let dotless = vec![
        ask("www.example.", passes()),
        ask("www.example.:9999", closed()),
        ask("www.example..", ambiguous()),
    ];
    [
        Setting {
            name: None,
            open: "www.example",
            cases: [as_written, malformed().to_vec()].concat(),
        },
        Setting {
            name: Some("ignore_port_in_host_matching"),
            open: "www.example:*",
            cases: [any_port, malformed().to_vec()].concat(),
        },
        Setting { name: Some("strip_any_host_port"), open: "www.example", cases: stripped },
        Setting { name: Some(STRIP_MATCHING), open: "www.example", cases: matching },
        Setting { name: Some("strip_trailing_host_dot"), open: "www.example", cases: dotless },
    ]
}

/// A listener for each setting, in which only one host is open. The router has a virtual host for it; every other host is
/// routed to the default one, which answers 404.
async fn gate(version: &str, settings: &[Setting]) -> Result<Gate> {
    let key = SigningKey::generate(KeyKind::P256);
    let plugin = config(json!({ "inline": jwks(&[&key]) }));
    let configs = settings.iter().map(|setting| {
        let mut plugin = plugin.clone();
        plugin["rules"] = json!([
            { "name": "website", "hosts": [setting.open], "allow": "anyone" },
            { "name": "rest", "allow": ["ops/admin"] },
        ]);
        plugin.to_string()
    });
    let configs: Vec<_> = configs.collect();
    let names: Vec<_> = settings.iter().map(|setting| setting.name).collect();
    let setup = EnvoySetup::new().version(version).patch(move |tree| {
        let hosts = &mut http_options(tree)["route_config"]["virtual_hosts"];
        hosts[0]["domains"] = json!(["www.example"]);
        let default = json!({
            "name": "default",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "direct_response": { "status": 404 } }],
        });
        hosts.as_array_mut().expect("virtual hosts").push(default);
        listeners::one_for_each(tree, &configs);
        let listeners = tree["static_resources"]["listeners"].as_array_mut().expect("listeners");
        for (listener, name) in listeners.iter_mut().zip(names) {
            let http = http_options_of(listener);
            match name {
                Some(name @ "ignore_port_in_host_matching") => {
                    http["route_config"][name] = json!(true);
                }
                Some(name) => http[name] = json!(true),
                None => {}
            }
        }
    });
    Gate::start(setup).await
}

#[tokio::test]
async fn host_rules_match_what_envoys_router_matches() -> Result<()> {
    for version in versions() {
        let settings = settings();
        let gate = gate(&version, &settings).await?;
        let mut failures = Vec::new();
        for (number, setting) in settings.iter().enumerate() {
            let port = listeners::port(&gate.envoy, number).await?;
            let found = gate.failures_at(port, &setting.cases).await?;
            let which = format!("open {}, {:?}", setting.open, setting.name);
            failures.extend(found.into_iter().map(|fault| format!("{which}, {fault}")));
        }
        ensure!(failures.is_empty(), "Envoy {version}:\n{}", failures.join("\n"));
    }
    Ok(())
}

/// Each of its labels is below a parent domain, and a pattern would be looked up for each of these.
#[tokio::test]
async fn host_that_fills_the_headers_is_ambiguous() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let mut plugin = config(json!({ "inline": jwks(&[&key]) }));
    plugin["rules"] = json!([{ "name": "below", "hosts": ["*.example:*"], "allow": "anyone" }]);
    let request =
        |host: &str| format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(plugin.clone());
        let gate = Gate::start(setup).await?;
        for (labels, expected) in
            [(100, Outcome::passes()), (29_000, Outcome::refused(400, "ambiguous_path"))]
        {
            let host = "a.".repeat(labels) + "example";
            let outcome = gate.http1(request(&host).as_bytes()).await?;
            assert_eq!(outcome, expected, "{labels} labels in Envoy {version}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn strip_matching_host_port_removes_the_port_of_the_listener() -> Result<()> {
    let setting = Setting { name: Some(STRIP_MATCHING), open: "www.example", cases: Vec::new() };
    for version in versions() {
        let gate = gate(&version, std::slice::from_ref(&setting)).await?;
        let port = listeners::port(&gate.envoy, 0).await?;
        let own =
            format!("GET / HTTP/1.1\r\nhost: www.example:{port}\r\nconnection: close\r\n\r\n");
        let outcome = gate.http1_at(port, own.as_bytes()).await?;
        assert_eq!(outcome, Outcome::passes(), "Envoy {version}");
    }
    Ok(())
}

const STRIP_MATCHING: &str = "strip_matching_host_port";
