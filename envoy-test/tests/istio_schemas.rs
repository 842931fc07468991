//! Every manifest of istio/ and install/ is valid in the schema of its kind, with unknown fields as errors.

use std::collections::BTreeMap;

use crate::support::istio::{Document, documents, rendered};
use crate::support::schemas::{self, known};
use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::DeploymentSpec;
use k8s_openapi::api::core::v1::VolumeMount;
use serde_json::{Value, json};

/// The errors of a document, each with its path.
fn faults(document: &Document) -> Result<Vec<String>> {
    schemas::faults(&document.value, SCHEMAS)
}

#[test]
fn every_manifest_is_valid_in_its_schema() -> Result<()> {
    let documents = documents()?;
    let mut failures = Vec::new();
    for document in &documents {
        let faults = faults(document).with_context(|| document.whereabouts())?;
        failures.extend(faults.iter().map(|fault| format!("{}: {fault}", document.whereabouts())));
    }
    assert_eq!(failures, [""; 0]);
    let kinds: BTreeMap<_, _> = documents.iter().map(|document| (document.kind(), ())).collect();
    for kind in [
        "WasmPlugin",
        "TrafficExtension",
        "EnvoyFilter",
        "AuthorizationPolicy",
        "Gateway",
        "Deployment",
        "ClusterRoleBinding",
    ] {
        assert!(kinds.contains_key(kind), "{kind}: {kinds:?}");
    }
    Ok(())
}

#[test]
fn every_manifest_of_the_chart_is_valid_in_its_schema() -> Result<()> {
    let documents = rendered()?;
    let mut failures = Vec::new();
    for document in &documents {
        let faults = faults(document).with_context(|| document.whereabouts())?;
        failures.extend(faults.iter().map(|fault| format!("{}: {fault}", document.whereabouts())));
    }
    assert_eq!(failures, [""; 0]);
    let count = |kind: &str| documents.iter().filter(|document| document.kind() == kind).count();
    let kinds = [
        "ConfigMap",
        "WasmPlugin",
        "TrafficExtension",
        "AuthorizationPolicy",
        "ClusterRole",
        "ClusterRoleBinding",
        "Pod",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    // The bootstrap, and the Deployment of each gateway; a policy for each sidecar; RBAC for each token review.
    assert_eq!(kinds.map(count), [5, 4, 4, 4, 4, 4, 1, 1, 1]);
    assert_eq!(documents.len(), 28);
    Ok(())
}

#[test]
fn embedded_objects_of_manifests_have_only_known_fields() -> Result<()> {
    let (mut deployments, mut mounts) = (0, 0);
    for document in documents()? {
        let whereabouts = document.whereabouts();
        if document.value["data"]["deployment"].is_string() {
            let patch = document.inner("deployment")?;
            assert_eq!(known::<DeploymentSpec>(&patch["spec"])?, [""; 0], "{whereabouts}");
            assert_eq!(patch.as_object().map(serde_json::Map::len), Some(1), "{whereabouts}");
            deployments += 1;
        }
        let annotation = "/spec/template/metadata/annotations/sidecar.istio.io~1userVolumeMount";
        if let Some(annotation) = document.value.pointer(annotation).and_then(Value::as_str) {
            let all: BTreeMap<String, Value> = serde_json::from_str(annotation)?;
            for mount in all.values() {
                assert_eq!(known::<VolumeMount>(mount)?, [""; 0], "{whereabouts}");
                mounts += 1;
            }
        }
    }
    assert_eq!((deployments, mounts), (2, 3));
    Ok(())
}

/// Proves that the test above can fail.
#[test]
fn misspelled_field_is_reported_at_any_depth() -> Result<()> {
    let documents = documents()?;
    for (kind, parent, expected) in [
        (
            "WasmPlugin",
            "/spec",
            "/spec: Additional properties are not allowed ('matchs' was unexpected)",
        ),
        (
            "WasmPlugin",
            "/spec/targetRefs/0",
            "/spec/targetRefs/0: Additional properties are not allowed ('matchs' was unexpected)",
        ),
        (
            "TrafficExtension",
            "/spec/wasm",
            "/spec/wasm: Additional properties are not allowed ('matchs' was unexpected)",
        ),
        (
            "EnvoyFilter",
            "/spec/configPatches/0/match",
            "/spec/configPatches/0/match: Additional properties are not allowed ('matchs' was unexpected)",
        ),
        (
            "AuthorizationPolicy",
            "/spec/rules/0/to/0/operation",
            "/spec/rules/0/to/0/operation: Additional properties are not allowed ('matchs' was unexpected)",
        ),
        (
            "Gateway",
            "/spec/infrastructure",
            "/spec/infrastructure: Additional properties are not allowed ('matchs' was unexpected)",
        ),
        (
            "Deployment",
            "/spec/template/spec/volumes/0/projected",
            "/spec/template/spec/volumes/0/projected/matchs: unknown field",
        ),
        ("ClusterRole", "/rules/0", "/rules/0/matchs: unknown field"),
        ("Service", "/spec/ports/0", "/spec/ports/0/matchs: unknown field"),
    ] {
        let has = |document: &&Document| {
            document.kind() == kind && document.value.pointer(parent).is_some()
        };
        let mut document =
            documents.iter().find(has).with_context(|| format!("{kind} {parent}"))?.clone();
        document.value.pointer_mut(parent).context("the parent")?["matchs"] = json!(1);
        assert_eq!(faults(&document)?, [expected], "{kind}");
    }
    let mut wrong =
        documents.iter().find(|document| document.kind() == "WasmPlugin").context("one")?.clone();
    wrong.value["spec"]["failStrategy"] = json!("FAIL_RELAOD");
    assert_eq!(
        faults(&wrong)?,
        [
            r#"/spec/failStrategy: "FAIL_RELAOD" is not one of "FAIL_CLOSE", "FAIL_OPEN" or "FAIL_RELOAD""#
        ]
    );
    wrong.value["apiVersion"] = json!("extensions.istio.io/v1");
    let error = faults(&wrong).expect_err("no such version").to_string();
    assert_eq!(error, "no schema for WasmPlugin of extensions.istio.io/v1");
    Ok(())
}

/// The schemas of Istio, and an excerpt of those of the Gateway API; see testdata/istio/README.md.
const SCHEMAS: &str = include_str!("../testdata/istio/crd-schemas.json");
