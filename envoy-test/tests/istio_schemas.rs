//! Every manifest of istio/ and install/ is valid in the schema of its kind, with unknown fields as errors.

mod support;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount, VolumeMount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::istio::{Document, documents, rendered};

/// The errors of a document, each with its path.
fn faults(document: &Document) -> Result<Vec<String>> {
    let value = &document.value;
    let api_version = value["apiVersion"].as_str().context("an apiVersion")?;
    match (api_version, document.kind()) {
        ("v1", "ConfigMap") => known::<ConfigMap>(value),
        ("v1", "Namespace") => known::<Namespace>(value),
        ("v1", "Pod") => known::<Pod>(value),
        ("v1", "Service") => known::<Service>(value),
        ("v1", "ServiceAccount") => known::<ServiceAccount>(value),
        ("apps/v1", "Deployment") => known::<Deployment>(value),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => known::<ClusterRole>(value),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            known::<ClusterRoleBinding>(value)
        }
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy") => {
            known::<ValidatingAdmissionPolicy>(value)
        }
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding") => {
            known::<ValidatingAdmissionPolicyBinding>(value)
        }
        (_, kind) => against_schema(api_version, kind, value),
    }
}

/// The fields that the Kubernetes type does not have: deserialization drops them.
fn known<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Vec<String>> {
    let understood = serde_json::to_value(serde_json::from_value::<T>(value.clone())?)?;
    let mut lost = Vec::new();
    compare("", value, &understood, &mut lost);
    Ok(lost)
}

fn compare(path: &str, value: &Value, understood: &Value, lost: &mut Vec<String>) {
    match (value, understood) {
        (Value::Object(members), Value::Object(_)) => {
            for (name, member) in members {
                compare(&format!("{path}/{name}"), member, &understood[name], lost);
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (at, (item, other)) in items.iter().zip(others).enumerate() {
                compare(&format!("{path}/{at}"), item, other, lost);
            }
        }
        _ if value == understood => {}
        _ => lost.push(format!("{path}: unknown field")),
    }
}

/// Validates `spec` with the CRD's schema; the rest is defined by Kubernetes.
fn against_schema(api_version: &str, kind: &str, value: &Value) -> Result<Vec<String>> {
    let all: Vec<Value> = serde_json::from_str(SCHEMAS)?;
    let named = |schema: &&Value| {
        let group_version =
            format!("{}/{}", schema["group"].as_str()?, schema["version"].as_str()?);
        Some(group_version == api_version && schema["kind"] == kind)
    };
    let found = all.iter().find(|schema| named(schema).unwrap_or_default());
    let Some(found) = found else { bail!("no schema for {kind} of {api_version}") };
    let mut schema = closed(&found["schema"]);
    schema["additionalProperties"] = json!(true);
    let validator = jsonschema::draft7::new(&schema)?;
    let describe =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    Ok(validator.iter_errors(value).map(describe).collect())
}

/// A structural schema of Kubernetes as a JSON schema that rejects unknown fields.
fn closed(schema: &Value) -> Value {
    let mut closed = schema.clone();
    let Some(members) = closed.as_object_mut() else { return closed };
    let keeps_unknown = members.remove("x-kubernetes-preserve-unknown-fields").is_some();
    if members.remove("x-kubernetes-int-or-string").is_some() {
        members.remove("anyOf");
        members.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if members.get("nullable") == Some(&json!(true)) {
        let null_too = json!([members["type"], "null"]);
        members.insert("type".to_owned(), null_too);
    }
    if let Some(Value::Object(properties)) = members.get_mut("properties") {
        properties.values_mut().for_each(|property| *property = self::closed(property));
        if !keeps_unknown && !members.contains_key("additionalProperties") {
            members.insert("additionalProperties".to_owned(), json!(false));
        }
    }
    // oneOf and anyOf name required fields only: they stay open.
    for inner in ["items", "additionalProperties"] {
        if let Some(schema) = members.get_mut(inner) {
            *schema = self::closed(schema);
        }
    }
    closed
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
