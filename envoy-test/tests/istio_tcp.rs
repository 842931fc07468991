//! TCP filter chains of a sidecar: connections that bypass the filter, and the AuthorizationPolicy that denies them.
//!
//! No istiod runs here. `sidecar` imitates its inbound listener (istio/istio, `pilot/pkg/networking/core/listener_inbound.go`,
//! a port whose protocol is not declared), and `crate::support::authorization` for its translation of the policy.

use std::fs;
use std::path::Path;

use crate::support::authorization::{http_rbac, network_rbac};
use crate::support::istio::{documents, list, of_kind, one, text};
use crate::support::services::outcome;
use crate::support::{api, http_options, rules};
use anyhow::{Context, Result, ensure};
use envoy_test::client::raw;
use envoy_test::envoy::versions;
use envoy_test::{Envoy, EnvoySetup, KeyKind, Request, SigningKey, Token, Upstream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes that `http_inspector` does not recognize as HTTP/1.1 or HTTP/2.
const NOT_HTTP: [(&str, &[u8]); 4] = [
    ("HTTP/1.0", b"GET /secrets/1 HTTP/1.0\r\n\r\n"),
    ("HTTP/0.9", b"GET /secrets/1\r\n\r\n"),
    ("a TLS record", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"),
    ("text", b"hello\r\n\r\n"),
];

/// Turns the listener into one for a port with an undeclared protocol: HTTP in one chain, the rest in another.
fn sidecar(tree: &mut Value, policy: Option<&Value>) {
    let mut tcp = vec![json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "inbound_tcp",
            "cluster": "upstream",
        },
    })];
    if let Some(policy) = policy {
        tcp.insert(0, network_rbac(policy));
        let filters = http_options(tree)["http_filters"].as_array_mut().expect("filters");
        // After the plugin, whose phase is AUTHN.
        filters.insert(1, http_rbac(policy));
    }
    let listener = &mut tree["static_resources"]["listeners"][0];
    listener["listener_filters"] = json!([{
        "name": "envoy.filters.listener.http_inspector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
        },
    }]);
    let http = &mut listener["filter_chains"][0];
    // Istio lists http/1.0 only with PILOT_HTTP10.
    http["filter_chain_match"] = json!({ "application_protocols": ["http/1.1", "h2c"] });
    let chains = listener["filter_chains"].as_array_mut().expect("chains");
    chains.push(json!({ "filters": tcp }));
}

async fn start(
    version: &str,
    key: &SigningKey,
    upstream: &Upstream,
    policy: Option<Value>,
) -> Result<Envoy> {
    EnvoySetup::new()
        .version(version)
        .plugin_config(rules(key))
        .upstream(upstream)
        .patch(move |tree| sidecar(tree, policy.as_ref()))
        .start()
        .await
}

fn key() -> SigningKey {
    SigningKey::generate(KeyKind::P256)
}

fn shipped() -> Result<Value> {
    Ok(one("wasmplugin-sidecar.yaml", "AuthorizationPolicy")?.value)
}

#[test]
fn sidecar_manifests_deny_tcp_for_the_workload_of_their_plugin() -> Result<()> {
    for (file, kind) in [
        ("wasmplugin-sidecar.yaml", "WasmPlugin"),
        ("trafficextension-sidecar.yaml", "TrafficExtension"),
    ] {
        let (plugin, policy) = (one(file, kind)?, one(file, "AuthorizationPolicy")?);
        assert_eq!(policy.namespace(), plugin.namespace(), "{file}");
        assert!(plugin.value["spec"]["selector"]["matchLabels"].is_object(), "{file}");
        let expected = json!({
            "selector": plugin.value["spec"]["selector"],
            "action": "DENY",
            "rules": [{ "to": [{ "operation": { "notMethods": ["*"] } }] }],
        });
        assert_eq!(policy.value["spec"], expected, "{file}");
        assert_eq!(policy.value, shipped()?, "{file}");
    }
    Ok(())
}

/// An ALLOW policy would extend the other ALLOW policies of the workload: they are a union.
#[test]
fn manifests_have_no_allow_policy() -> Result<()> {
    let documents = documents()?;
    let policies = of_kind(&documents, "AuthorizationPolicy");
    assert_eq!(policies.len(), 2);
    for policy in policies {
        assert_eq!(policy.value["spec"]["action"], "DENY", "{}", policy.whereabouts());
    }
    Ok(())
}

/// With the protocol declared there is no TCP chain for the port. `https` is TCP to Istio.
#[test]
fn services_with_a_plugin_declare_http_ports() -> Result<()> {
    let mut ports = 0;
    for service in of_kind(&documents()?, "Service") {
        for port in list(&service.value["spec"]["ports"]) {
            let protocol = text(&port["name"]).split('-').next();
            let declared = protocol.is_some_and(|name| ["http", "http2", "grpc"].contains(&name));
            assert!(declared, "{}: {port}", service.whereabouts());
            ports += 1;
        }
    }
    assert!(ports >= 1);
    Ok(())
}

/// The reason for the policy: without it, the filter does not see this connection.
#[tokio::test]
async fn http_1_0_bypasses_the_filter_without_the_policy() -> Result<()> {
    for version in versions() {
        let upstream = Upstream::start().await?;
        let envoy = start(&version, &key(), &upstream, None).await?;
        let answer = raw(envoy.port(), b"GET /secrets/1 HTTP/1.0\r\n\r\n").await?;
        assert!(answer.starts_with(b"HTTP/1.0 200"), "{:?}", String::from_utf8_lossy(&answer));
        assert_eq!(upstream.count(), 1, "Envoy {version}");
        // HTTP/1.1 goes through the filter.
        let answer = Request::get("/secrets/1").send(envoy.port()).await?;
        assert_eq!(outcome(&answer), "401 missing_token", "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn policy_denies_raw_tcp_and_passes_http_to_the_filter() -> Result<()> {
    for version in versions() {
        let (key, upstream) = (key(), Upstream::start().await?);
        let envoy = start(&version, &key, &upstream, Some(shipped()?)).await?;
        check_raw_is_denied(&envoy, &upstream).await.with_context(|| version.clone())?;
        check_http_is_filtered(&envoy, &key).await.with_context(|| version.clone())?;
    }
    Ok(())
}

async fn check_raw_is_denied(envoy: &Envoy, upstream: &Upstream) -> Result<()> {
    let before = upstream.count();
    for (number, (name, bytes)) in (1..).zip(NOT_HTTP) {
        let answer = raw(envoy.port(), bytes).await?;
        ensure!(answer.is_empty(), "{name}: {:?}", String::from_utf8_lossy(&answer));
        envoy.wait_stat("tcp.rbac.denied", |denied| denied == number).await.context(name)?;
    }
    ensure!(upstream.count() == before, "the application got a request");
    Ok(())
}

/// The policy matches no method, so each reaches the filter.
async fn check_http_is_filtered(envoy: &Envoy, key: &SigningKey) -> Result<()> {
    let (allowed, other) = (api().sign(key), Token::for_service_account("web", "web").sign(key));
    for method in ["GET", "POST", "DELETE", "OPTIONS", "PROPFIND"] {
        for http2 in [false, true] {
            let send = async |token: Option<&str>| {
                let request = Request::method(method, "/secrets/1");
                let request = if http2 { request.http2() } else { request };
                let request = token.map_or(request.clone(), |token| request.bearer(token));
                Ok::<_, anyhow::Error>(outcome(&request.send(envoy.port()).await?))
            };
            let outcomes =
                [send(None).await?, send(Some(&other)).await?, send(Some(&allowed)).await?];
            ensure!(
                outcomes == ["401 missing_token", "403 forbidden", "200"],
                "{method}, HTTP/2 {http2}: {outcomes:?}"
            );
        }
    }
    Ok(())
}

/// The policy of istio/README.md for a workload with a TCP port, with the listener's port for the one in the text.
#[tokio::test]
async fn documented_exemption_opens_only_its_port() -> Result<()> {
    let documented = documented_exemption()?;
    let mut expected = shipped()?;
    expected["spec"]["rules"][0]["to"][0]["operation"]["notPorts"] = json!(["5432"]);
    assert_eq!(documented, expected);
    for version in versions() {
        let (key, upstream) = (key(), Upstream::start().await?);
        let envoy = start(&version, &key, &upstream, Some(documented.clone())).await?;
        check_raw_is_denied(&envoy, &upstream).await.with_context(|| version.clone())?;
        check_http_is_filtered(&envoy, &key).await.with_context(|| version.clone())?;

        let exempt = free_port().await?;
        let mut policy = documented.clone();
        policy["spec"]["rules"][0]["to"][0]["operation"]["notPorts"] = json!([exempt.to_string()]);
        let envoy = EnvoySetup::new()
            .version(&version)
            .plugin_config(rules(&key))
            .upstream(&upstream)
            .patch(move |tree| {
                sidecar(tree, Some(&policy));
                let address = &mut tree["static_resources"]["listeners"][0]["address"];
                address["socket_address"]["port_value"] = json!(exempt);
            })
            .start()
            .await?;
        let answer = raw(envoy.port(), b"GET /secrets/1 HTTP/1.0\r\n\r\n").await?;
        assert!(answer.starts_with(b"HTTP/1.0 200"), "{:?}", String::from_utf8_lossy(&answer));
        check_http_is_filtered(&envoy, &key).await.with_context(|| version.clone())?;
    }
    Ok(())
}

/// Istio detects no protocol on a port that is declared as TCP. Envoy connects such a port to the application at once, and its
/// network RBAC filter decides on the first byte of the caller's (envoyproxy/envoy#9023).
#[tokio::test]
async fn greeting_of_the_application_is_sent_until_the_caller_sends_a_byte() -> Result<()> {
    for version in versions() {
        let greeter = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = greeter.local_addr()?.port();
        let greeting = tokio::spawn(async move {
            let (mut stream, _) = greeter.accept().await?;
            stream.write_all(b"220 hello\r\n").await?;
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await?;
            Ok::<_, std::io::Error>(received)
        });
        let policy = shipped()?;
        let envoy = EnvoySetup::new()
            .version(&version)
            .plugin_config(rules(&key()))
            .upstream_port(port)
            .patch(move |tree| {
                sidecar(tree, Some(&policy));
                let listener = &mut tree["static_resources"]["listeners"][0];
                listener["listener_filters"] = json!([]);
            })
            .start()
            .await?;
        let mut stream = TcpStream::connect(("127.0.0.1", envoy.port())).await?;
        let mut greeted = [0; 11];
        stream.read_exact(&mut greeted).await?;
        assert_eq!(&greeted, b"220 hello\r\n", "Envoy {version}");
        stream.write_all(b"EHLO a\r\n").await?;
        envoy.wait_stat("tcp.rbac.denied", |denied| denied == 1).await?;
        assert_eq!(
            greeting.await??,
            b"",
            "Envoy {version}: the application got the caller's bytes"
        );
    }
    Ok(())
}

async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port())
}

/// The YAML block of istio/README.md with `notPorts`.
fn documented_exemption() -> Result<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../istio/README.md");
    let text = fs::read_to_string(path)?;
    let mut blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let (block, _) = blocks.find(|(block, _)| block.contains("notPorts")).context("a block")?;
    Ok(serde_saphyr::from_str(block)?)
}
