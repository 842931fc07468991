//! Manifests against the types of Kubernetes and the schemas of custom resources, with unknown fields as errors.

use anyhow::{Context, Result, bail};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The errors of a document, each with its path.
///
/// `crd_schemas` is a list of the schemas of custom resources, each with `group`, `version`, `kind` and `schema`.
pub fn faults(value: &Value, crd_schemas: &str) -> Result<Vec<String>> {
    let api_version = value["apiVersion"].as_str().context("an apiVersion")?;
    match (api_version, value["kind"].as_str().context("a kind")?) {
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
        (_, kind) => against_schema(api_version, kind, value, crd_schemas),
    }
}

/// The fields that the Kubernetes type does not have: deserialization drops them.
pub fn known<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Vec<String>> {
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
fn against_schema(
    api_version: &str,
    kind: &str,
    value: &Value,
    crd_schemas: &str,
) -> Result<Vec<String>> {
    let all: Vec<Value> = serde_json::from_str(crd_schemas)?;
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
