//! Every manifest of envoy-gateway/ is valid in the schema of its kind, with unknown fields as errors, and the manifests fit
//! each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::schemas;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The documents of each file, with its name.
fn documents() -> Result<Vec<(String, Value)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy-gateway");
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        if name.ends_with(".yaml") {
            let documents = serde_saphyr::from_multiple::<Value>(&fs::read_to_string(&path)?)?;
            all.extend(documents.into_iter().map(|document| (name.clone(), document)));
        }
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(all)
}

fn faults(document: &Value) -> Result<Vec<String>> {
    schemas::faults(document, SCHEMAS)
}

fn of_kind(kind: &str) -> Result<Value> {
    let mut documents = documents()?.into_iter().map(|(_, document)| document);
    documents.find(|document| document["kind"] == kind).context("a document")
}

#[test]
fn every_manifest_is_valid_in_its_schema() -> Result<()> {
    let (mut kinds, mut failures) = (BTreeSet::new(), Vec::new());
    for (file, document) in documents()? {
        let kind = document["kind"].as_str().context("a kind")?.to_owned();
        let found = faults(&document).with_context(|| format!("{file}: {kind}"))?;
        failures.extend(found.iter().map(|fault| format!("{file}: {kind}: {fault}")));
        kinds.insert(kind);
    }
    assert_eq!(failures, [""; 0]);
    for kind in ["EnvoyExtensionPolicy", "ClientTrafficPolicy", "SecurityPolicy", "EnvoyProxy"] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    Ok(())
}

/// Proves that the test above can fail.
#[test]
fn misspelled_field_is_reported_at_any_depth() -> Result<()> {
    for (kind, parent) in [
        ("EnvoyExtensionPolicy", "/spec/wasm/0"),
        ("EnvoyExtensionPolicy", "/spec/wasm/0/code/image"),
        ("ClientTrafficPolicy", "/spec/headers/earlyRequestHeaders"),
        ("SecurityPolicy", "/spec/authorization/rules/0/principal"),
        ("EnvoyProxy", "/spec/provider/kubernetes/envoyDeployment/container"),
        ("EnvoyProxy", "/spec/bootstrap"),
        ("EnvoyPatchPolicy", "/spec/jsonPatches/0/operation"),
        ("HTTPRoute", "/spec/rules/0"),
    ] {
        let mut document = of_kind(kind)?;
        document.pointer_mut(parent).with_context(|| format!("{kind} {parent}"))?["matchs"] =
            json!(1);
        let expected =
            format!("{parent}: Additional properties are not allowed ('matchs' was unexpected)");
        assert_eq!(faults(&document)?, [expected], "{kind}");
    }
    Ok(())
}

#[test]
fn guard_removes_every_identity_header_and_allows_only_callers_of_the_filter() -> Result<()> {
    let policy = of_kind("EnvoyExtensionPolicy")?;
    let config = policy.pointer("/spec/wasm/0/config").context("a configuration")?;
    let written = config["identityHeaders"].as_object().context("identity headers")?;
    let guard = of_kind("ClientTrafficPolicy")?;
    let removed = guard.pointer("/spec/headers/earlyRequestHeaders/remove");
    let removed: BTreeSet<String> = serde_json::from_value(removed.context("remove")?.clone())?;
    assert_eq!(removed, written.keys().cloned().collect());

    let guard = of_kind("SecurityPolicy")?;
    let authorization = &guard["spec"]["authorization"];
    assert_eq!(authorization["defaultAction"], "Deny");
    let header = authorization.pointer("/rules/0/principal/headers/0").context("a header")?;
    let name = header["name"].as_str().context("a name")?;
    assert_eq!(written[name], "namespace");
    let allowed = config.pointer("/rules/0/allow").and_then(Value::as_array).context("allow")?;
    let namespaces = allowed.iter().filter_map(|account| account.as_str()?.split_once('/'));
    let namespaces: Vec<_> = namespaces.map(|(namespace, _)| namespace).collect();
    assert_eq!(header["values"], json!(namespaces));
    for kind in ["ClientTrafficPolicy", "SecurityPolicy"] {
        assert_eq!(
            of_kind(kind)?["spec"]["targetRefs"][0]["name"],
            of_kind("Gateway")?["metadata"]["name"]
        );
    }
    Ok(())
}

#[test]
fn filter_denies_if_it_is_misconfigured_and_does_not_fail_open() -> Result<()> {
    let policy = of_kind("EnvoyExtensionPolicy")?;
    let wasm = policy.pointer("/spec/wasm/0").context("wasm")?;
    assert_eq!(wasm["rootID"], "sa-authn:deny-if-misconfigured");
    assert_eq!(wasm["failOpen"], Value::Null);
    let url = wasm.pointer("/code/image/url").and_then(Value::as_str).context("an image")?;
    assert!(url.contains("@sha256:"), "{url}");
    Ok(())
}

#[test]
fn bootstrap_has_the_cluster_and_the_labels_of_plain_envoy() -> Result<()> {
    let proxy = of_kind("EnvoyProxy")?;
    let bootstrap = proxy.pointer("/spec/bootstrap/value").and_then(Value::as_str);
    let bootstrap: Value = serde_saphyr::from_str(bootstrap.context("a bootstrap")?)?;
    let plain: Value = serde_saphyr::from_str(include_str!("../envoy.yaml"))?;
    assert_eq!(bootstrap["stats_config"], plain["stats_config"]);
    let cluster = |tree: &Value| {
        let clusters = tree["static_resources"]["clusters"].as_array().cloned().unwrap_or_default();
        clusters
            .into_iter()
            .find(|cluster| cluster["name"] == "kube-apiserver")
            .context("a cluster")
    };
    let (mut ours, mut theirs) = (cluster(&bootstrap)?, cluster(&plain)?);
    for one in [&mut ours, &mut theirs] {
        // Other names of the server, and another folder of the file.
        one["load_assignment"] = Value::Null;
        let filters = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters/0";
        let path = format!(
            "{filters}/typed_config/credential/typed_config/credential/sds_config/path_config_source/path"
        );
        *one.pointer_mut(&path).context("a path")? = Value::Null;
    }
    assert_eq!(ours, theirs);
    Ok(())
}

/// See testdata/envoy-gateway/README.md.
const SCHEMAS: &str = include_str!("../testdata/envoy-gateway/crd-schemas.json");
