//! The Envoys of other releases of Istio as the sidecar of the example.

use anyhow::{Context, Result, ensure};
use cluster_test::{Caller, Example, until};
use serde_json::Value;

/// The proxy's images that the cluster can run: `CLUSTER_PROXIES`, separated by commas.
fn images() -> Result<Vec<String>> {
    let images = std::env::var("CLUSTER_PROXIES").context("CLUSTER_PROXIES is not set")?;
    let images: Vec<_> = images.split(',').map(str::to_owned).collect();
    ensure!(images.len() > 1, "{images:?}");
    Ok(images)
}

#[test]
fn sidecar_acts_alike_with_the_envoy_of_every_supported_istio() -> Result<()> {
    let example = Example::ready()?;
    let kubectl = &example.kubectl;
    let service = Example::manifest("example/secret-store.yaml")?;
    let annotation = "sidecar.istio.io/bootstrapOverride: sa-authn\n";
    ensure!(service.contains(annotation));
    let mut seen = Vec::new();
    for image in images()? {
        let with_image = format!("{annotation}        sidecar.istio.io/proxyImage: {image}\n");
        kubectl.apply(&service.replace(annotation, &with_image))?;
        kubectl.rolled_out(example.namespace(), "secret-store")?;
        until("one pod", || Ok(example.pod().err().map(|error| error.to_string())))?;
        let containers = example.pod()?["spec"]["initContainers"].to_string()
            + &example.pod()?["spec"]["containers"].to_string();
        ensure!(containers.contains(&image), "{image} is not in {containers}");
        example.expect(Caller::Api, "/headers", "200")?;
        example.expect(Caller::Web, "/headers", "403 forbidden")?;
        example.expect_without_token("/headers", "401 missing_token")?;
        example.expect_without_token("/status/200", "200")?;
        until("the metrics", || {
            let metrics = example.metrics()?;
            let expected =
                r#"sa_authn_requests{verdict="denied",reason="forbidden",rule="headers","#;
            Ok((!metrics.contains(expected)).then_some(metrics))
        })?;
        let script = "curl -s http://127.0.0.1:15000/server_info";
        let info =
            kubectl.shell(example.namespace(), "deploy/secret-store", "istio-proxy", script)?;
        let info: Value = serde_json::from_str(&info)?;
        let version = info["version"].as_str().unwrap_or_default();
        // COMMIT/VERSION/STATE/BUILD/LIBRARY
        let version = version.split('/').nth(1).context(version.to_owned())?;
        println!("{image}: Envoy {version}");
        seen.push(version.to_owned());
    }
    seen.dedup();
    ensure!(seen.len() == images()?.len(), "one Envoy ran under several names: {seen:?}");
    kubectl.apply(&service)?;
    kubectl.rolled_out(example.namespace(), "secret-store")
}
