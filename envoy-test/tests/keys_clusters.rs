//! Wrongly configured clusters: requests are denied, and the log has the remedy.

use crate::support::{Gate, api, check_refused, config, discovery, get, p256_api_server};
use anyhow::{Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{ApiServer, ApiServerOptions, EnvoySetup, poll};
use serde_json::{Value, json};

/// The cluster `kube-apiserver`.
fn cluster(tree: &mut Value) -> &mut Value {
    &mut tree["static_resources"]["clusters"][1]
}

/// The logged reasons for missing keys, after a request was denied.
async fn logged_failures(
    version: &str,
    patch: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Vec<String>> {
    let api_server = p256_api_server().await?;
    let mut config = config(discovery(json!({})));
    config["limits"] = json!({ "waitTimeout": "1s" });
    let setup = EnvoySetup::new().version(version).api_server(&api_server).patch(patch);
    let gate = Gate::start(setup.plugin_config(config)).await?;
    let response = get(&api_server.mint(api())).send(gate.envoy.port()).await?;
    check_refused(&response, 503, "keys_unavailable")?;
    ensure!(gate.upstream.count() == 0, "the request reached the upstream");
    let lines = || -> Vec<String> {
        let log = gate.envoy.log();
        let start = "issuer \"local\": cannot fetch keys: GET /.well-known/openid-configuration: ";
        let failures = log.lines().filter_map(|line| line.split_once(start));
        failures.map(|(_, why)| why.to_owned()).collect()
    };
    poll::until("a line in the log", async || Ok((!lines().is_empty()).then_some(()))).await?;
    ensure!(gate.envoy.vm_failures().await?.is_empty(), "a VM crashed");
    Ok(lines())
}

#[tokio::test]
async fn missing_credential_is_logged_with_the_cluster_role() -> Result<()> {
    for version in oldest_and_newest() {
        let lines = logged_failures(&version, |tree| {
            let options =
                cluster(tree)["typed_extension_protocol_options"].as_object_mut().unwrap();
            let filters =
                options.values_mut().next().unwrap()["http_filters"].as_array_mut().unwrap();
            filters.retain(|filter| filter["name"] == "envoy.filters.http.upstream_codec");
        });
        let expected = "status 403: this proxy's service account is not allowed to read the keys; inject a \
             ServiceAccount's token into the cluster, and bind ClusterRole \
             system:service-account-issuer-discovery to it";
        assert_eq!(lines.await?[0], expected, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn missing_tls_is_logged_with_the_transport_socket() -> Result<()> {
    for version in oldest_and_newest() {
        let lines = logged_failures(&version, |tree| {
            cluster(tree).as_object_mut().unwrap().remove("transport_socket");
        });
        let expected = "status 400: the request may have been sent in plain text to a TLS port; check transport_socket";
        assert_eq!(lines.await?[0], expected, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn failed_handshake_is_logged_with_trusted_ca_and_sni() -> Result<()> {
    let foreign = ApiServer::start(ApiServerOptions::default()).await?;
    for version in oldest_and_newest() {
        let foreign = foreign.ca_pem().to_owned();
        for lines in [
            logged_failures(&version, move |tree| {
                let tls =
                    &mut cluster(tree)["transport_socket"]["typed_config"]["common_tls_context"];
                tls["validation_context"]["trusted_ca"] = json!({ "inline_string": foreign });
            })
            .await?,
            logged_failures(&version, |tree| {
                let tls =
                    &mut cluster(tree)["transport_socket"]["typed_config"]["common_tls_context"];
                let names = &mut tls["validation_context"]["match_typed_subject_alt_names"];
                names[0]["matcher"]["exact"] = json!("another.test");
            })
            .await?,
        ] {
            assert!(lines[0].contains("trusted_ca and sni"), "Envoy {version}: {}", lines[0]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn unknown_cluster_is_logged_at_a_limited_rate() -> Result<()> {
    for version in oldest_and_newest() {
        let lines = logged_failures(&version, |tree| {
            cluster(tree)["name"] = json!("another");
            cluster(tree)["load_assignment"]["cluster_name"] = json!("another");
        });
        let lines = lines.await?;
        assert!(lines[0].contains("Envoy has no such cluster"), "Envoy {version}: {}", lines[0]);
        assert!(lines[0].contains("kube-apiserver"), "Envoy {version}: {}", lines[0]);
        // A request was paused for a second meanwhile; there are two VMs, the main thread's and a worker's.
        assert!(lines.len() <= 4, "Envoy {version}: {} lines", lines.len());
    }
    Ok(())
}
