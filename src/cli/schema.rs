//! `sa-authn schema`: prints the form of the configuration, for editors (filter-config/schema.json), for Kubernetes
//! (the admission policy) and for Helm (values.schema.json of the chart).

use super::{Failure, Report};
use sa_authn::config;
use serde_json::{Value, json};

/// The arguments of `schema`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The program that reads the output
    #[arg(long = "for", value_enum, default_value = "editors", value_name = "READER")]
    reader: Reader,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Reader {
    /// A JSON Schema
    Editors,
    /// A ValidatingAdmissionPolicy of Kubernetes and its binding
    AdmissionPolicy,
    /// The JSON Schema of the values of the Helm chart
    HelmValues,
}

/// Prints the schema.
pub fn print(options: &Options) -> Result<Report, Failure> {
    let mut schema = match options.reader {
        Reader::Editors => config::schema(),
        Reader::AdmissionPolicy => return Ok(Report::plain(config::admission_policy())),
        Reader::HelmValues => helm_values(),
    };
    // Cargo unifies features: another crate of the build may enable `preserve_order` of serde_json.
    schema.sort_all_objects();
    let text = serde_json::to_string_pretty(&schema);
    let text = text.map_err(|error| Failure(error.to_string()))?;
    Ok(Report::plain(text + "\n"))
}

/// The chart's values. Helm rejects a release whose values do not match, so it rejects most invalid configurations.
fn helm_values() -> Value {
    let mut config = config::schema();
    let field = |pointer: &str| config.pointer(pointer).cloned().unwrap_or_default();
    let issuer = |name: &str| field(&format!("/properties/issuers/items/properties/{name}"));
    let mut review = issuer("tokenReview");
    let (mut audiences, mut rules) = (issuer("audiences"), field("/properties/rules"));
    // The chart itself asks for both, unless `config` has them.
    for list in [&mut audiences, &mut rules].into_iter().filter_map(Value::as_object_mut) {
        list.remove("minItems");
    }
    let mut values = json!({
        "image": object(json!({
            "repository": text(), "tag": text(), "digest": { "type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$" },
            "pullPolicy": { "enum": ["IfNotPresent", "Always"] }, "pullSecret": text(),
        })),
        "api": { "enum": ["WasmPlugin", "TrafficExtension"] },
        "proxy": { "enum": ["sidecar", "gateway", "waypoint"] },
        "selector": { "type": "object", "additionalProperties": text() },
        "gateway": text(),
        // FAIL_OPEN allows every request when the filter fails.
        "failStrategy": { "enum": ["FAIL_RELOAD", "FAIL_CLOSE"] },
        "priority": { "type": ["integer", "null"] },
        "issuer": issuer("issuer"),
        "audiences": audiences,
        "keys": issuer("keys"),
        "rules": rules,
        "tcpPolicy": object(json!({
            "create": boolean(),
            "exceptPorts": { "type": "array", "items": { "type": "integer", "minimum": 1, "maximum": 65535 } },
        })),
        "bootstrap": object(json!({
            "create": boolean(), "name": text(),
            "apiServer": object(json!({ "address": text(), "port": { "type": "integer" }, "name": text() })),
        })),
        "rbac": object(json!({
            "create": boolean(), "serviceAccounts": { "type": "array", "items": text() }, "readKeys": boolean(),
        })),
        "admissionPolicy": object(json!({ "create": boolean() })),
        "test": object(json!({ "url": text(), "image": text(), "sidecar": boolean() })),
        "global": { "type": "object" },
    });
    if let Some(review) = review.as_object_mut() {
        // `{}` is the default.
        let required = review.remove("required").unwrap_or_default();
        review
            .insert("anyOf".to_owned(), json!([{ "maxProperties": 0 }, { "required": required }]));
    }
    if let Some(config) = config.as_object_mut() {
        for name in ["$schema", "title", "required"] {
            config.remove(name);
        }
    }
    if let Some(values) = values.as_object_mut() {
        values.insert("tokenReview".to_owned(), review);
        values.insert("config".to_owned(), config);
    }
    let mut schema = object(values);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        schema.insert("title".to_owned(), json!("Values of the sa-authn chart"));
    }
    schema
}

fn object(properties: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}
