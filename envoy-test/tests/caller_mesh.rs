//! The caller's Istio manifests equal the configuration that the other tests run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The documents of a file of the repository.
fn documents(path: &str) -> Result<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_saphyr::from_multiple(&text)?)
}

fn kind(name: &str) -> Result<Value> {
    let documents = documents("istio/caller.yaml")?;
    documents.into_iter().find(|document| document["kind"] == name).context("the kind")
}

fn clusters() -> Result<Vec<Value>> {
    let mut bootstrap = documents("envoy-test/caller/envoy.yaml")?.swap_remove(0);
    Ok(serde_json::from_value(bootstrap["static_resources"]["clusters"].take())?)
}

const OPTIONS: &str = "typed_extension_protocol_options";

#[test]
fn envoy_filter_patches_exactly_the_tested_clusters() -> Result<()> {
    let filter = kind("EnvoyFilter")?;
    assert_eq!(filter["spec"]["workloadSelector"]["labels"], json!({ "app": "api" }));
    let with_tokens = clusters()?.into_iter().filter(|cluster| cluster[OPTIONS].is_object());
    let expected: Vec<Value> = with_tokens
        .map(|cluster| {
            let name = cluster["name"].as_str().unwrap_or_default();
            json!({
                "applyTo": "CLUSTER",
                "match": {
                    "context": "SIDECAR_OUTBOUND",
                    "cluster": { "service": format!("{name}.shop.svc.cluster.local") },
                },
                "patch": { "operation": "MERGE", "value": { OPTIONS: cluster[OPTIONS] } },
            })
        })
        .collect();
    assert_eq!(expected.len(), 2);
    assert_eq!(filter["spec"]["configPatches"], json!(expected));
    Ok(())
}

#[test]
fn config_map_contains_the_tested_files() -> Result<()> {
    let map = kind("ConfigMap")?;
    let data = map["data"].as_object().context("data")?;
    assert_eq!(data.keys().collect::<Vec<_>>(), ["orders-token.yaml", "secret-store-token.yaml"]);
    for (name, text) in data {
        let tested = documents(&format!("envoy-test/caller/{name}"))?.swap_remove(0);
        let text: Value = serde_saphyr::from_str(text.as_str().context("a text")?)?;
        assert_eq!(text, tested, "{name}");
    }
    Ok(())
}

#[test]
fn token_volumes_match_the_paths_in_the_secret_files() -> Result<()> {
    let deployment = kind("Deployment")?;
    let template = &deployment["spec"]["template"];
    let mounts = &template["metadata"]["annotations"]["sidecar.istio.io/userVolumeMount"];
    let mounts: Value = serde_json::from_str(mounts.as_str().context("mounts")?)?;
    let volumes = &template["spec"]["volumes"];
    for (number, service) in ["orders", "secret-store"].into_iter().enumerate() {
        let source = &volumes[0]["projected"]["sources"][number]["serviceAccountToken"];
        assert_eq!((&source["audience"], &source["path"]), (&json!(service), &json!(service)));
        let sds = documents(&format!("envoy-test/caller/{service}-token.yaml"))?;
        let file = &sds[0]["resources"][0]["generic_secret"]["secret"]["filename"];
        let folder = mounts["service-tokens"]["mountPath"].as_str().context("a path")?;
        assert_eq!(*file, json!(format!("{folder}/{service}")));
        let cluster = clusters()?.swap_remove(number);
        let source = cluster.pointer(SOURCE).context("a source of the secret")?;
        assert_eq!(source["watched_directory"]["path"], folder);
        let files = mounts["service-tokens-sds"]["mountPath"].as_str().context("a path")?;
        assert_eq!(source["path"], json!(format!("{files}/{service}-token.yaml")));
    }
    assert_eq!(volumes[0]["name"], "service-tokens");
    assert_eq!(volumes[1]["name"], "service-tokens-sds");
    assert_eq!(volumes[1]["configMap"]["name"], kind("ConfigMap")?["metadata"]["name"]);
    Ok(())
}

const SOURCE: &str = "/typed_extension_protocol_options/\
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters/0/typed_config/credential/\
    typed_config/credential/sds_config/path_config_source";
