//! The ValidatingAdmissionPolicy of Kubernetes that rejects invalid configurations. Not part of the Wasm module.
//!
//! Generated from the JSON Schema (`super::schema`), so the policy judges what the schema judges. The checks in `super`
//! reject everything that the policy rejects, and more: relations between fields, for which CEL has no means.

mod cel;

use super::schema;
use cel::{literal, problems_in};
use serde_json::Value;
use std::fmt::Write;

/// The policy and its binding, as YAML.
pub fn admission_policy() -> String {
    let mut schema = schema();
    // Cargo unifies features: another crate of the build may enable `preserve_order` of serde_json.
    schema.sort_all_objects();
    let mut variables = vec![
        ("plugins".to_owned(), PLUGINS.to_owned()),
        ("configs".to_owned(), CONFIGS.to_owned()),
        ("beyond".to_owned(), format!("variables.configs.map(c, {}).join(\"\")", beyond())),
        ("in_plugin".to_owned(), IN_PLUGIN.to_owned()),
    ];
    let mut parts = vec!["variables.in_plugin".to_owned()];
    for (name, expression) in parts_of(&schema) {
        parts.push(format!("variables.{name}"));
        // Beyond the bounds, the checks would exceed the cost that the API server allows.
        let expression = format!(
            "variables.beyond != \"\" ? \"\" : variables.configs.map(c, {expression}).join(\"\")"
        );
        variables.push((name, expression));
    }
    variables.push(("problems".to_owned(), parts.join(" +\n")));
    let mut text = HEAD.to_owned();
    text += "  variables:\n";
    for (name, expression) in variables {
        // Writing to a String does not fail.
        let _ = write!(text, "  - name: {name}\n    expression: |-\n{}", indented(&expression));
    }
    text + TAIL
}

/// The problems of a configuration `c`, in parts: the cost of each expression is limited.
fn parts_of(schema: &Value) -> Vec<(String, String)> {
    let mut root = schema.clone();
    let fields = root["properties"].as_object().cloned().unwrap_or_default();
    // Only the names of the fields; their values are judged in a variable for each field.
    for (_, field) in root["properties"].as_object_mut().into_iter().flatten() {
        *field = Value::Bool(true);
    }
    let mut parts = vec![("in_names".to_owned(), problems_in(&root, "c", ""))];
    for (name, mut field) in fields {
        let mut part = |suffix: &str, schema: &Value| {
            let value = format!("c[{}]", literal(&name));
            let problems = problems_in(schema, &value, &name);
            let there = format!("type(c) == map && {} in c", literal(&name));
            parts.push((format!("in_{name}{suffix}"), format!("{there} ? {problems} : \"\"")));
        };
        if name == "rules" {
            for callers in ["allow", "deny"] {
                part(&format!("_{callers}"), &cel::only(&field, callers));
                field["items"]["properties"][callers] = Value::Bool(true);
            }
        }
        part("", &field);
    }
    parts
}

/// The bounds of a configuration that the policy can judge within the cost that the API server allows.
fn beyond() -> String {
    let lists = ["hosts", "methods", "paths", "ports", "allow", "deny"].map(|list| {
        format!("({0} in r && type(r[{0}]) == list ? size(r[{0}]) : 0)", literal(list))
    });
    let rules = format!(
        "c[\"rules\"].map(r, type(r) != map ? 0 : 1 +\n{}).sum() > {MOST_ENTRIES}",
        lists.join(" +\n")
    );
    let message = format!(
        "\nrules: the admission policy judges at most {MOST_ENTRIES} rules, hosts, methods, paths, ports \
         and callers together; split the configuration"
    );
    let issuers = format!(
        "\nissuers: the admission policy judges at most {MOST_ISSUERS} issuers; split the configuration"
    );
    format!(
        "type(c) != map ? \"\" :\n\
         (\"issuers\" in c && type(c[\"issuers\"]) == list && size(c[\"issuers\"]) > {MOST_ISSUERS} ? {} : \"\") +\n\
         (\"rules\" in c && type(c[\"rules\"]) == list &&\n{rules} ? {} : \"\")",
        literal(&issuers),
        literal(&message)
    )
}

fn indented(expression: &str) -> String {
    expression.lines().map(|line| format!("      {line}\n")).collect()
}

/// So many callers with the longest names of Kubernetes cost 863,000 of the 1,000,000 that the API server allows for an
/// expression (tests/admission_policy).
const MOST_ENTRIES: usize = 1250;
const MOST_ISSUERS: usize = 64;

/// The Wasm plugins of the object that are sa-authn: one in a WasmPlugin or TrafficExtension, several in an
/// EnvoyExtensionPolicy.
const PLUGINS: &str = r#"object.kind == "WasmPlugin" ? [dyn(object.spec)] :
object.kind == "TrafficExtension" ? [dyn(object.spec).wasm] :
dyn(object.spec).wasm.filter(w, dyn(
  ("name" in w ? w.name : "") + " " + ("rootID" in w ? w.rootID : "") + " " +
  ("image" in w.code ? w.code.image.url : "") + " " + ("http" in w.code ? w.code.http.url : "")
).matches("sa[-_]authn"))"#;

const CONFIGS: &str = r#"variables.plugins.map(w, "pluginConfig" in w ? dyn(w.pluginConfig) : "config" in w ? dyn(w.config) : dyn({}))"#;

const IN_PLUGIN: &str = r#"variables.plugins.map(w,
  ("failStrategy" in w && w.failStrategy == "FAIL_OPEN" ? "\nfailStrategy: FAIL_OPEN allows every request when the filter fails; use FAIL_RELOAD or FAIL_CLOSE" : "") +
  ("failOpen" in w && w.failOpen == true ? "\nfailOpen: true allows every request when the filter fails; remove it" : "")
).join("")"#;

const HEAD: &str = r#"# Rejects invalid configurations of sa-authn in WasmPlugins, TrafficExtensions and EnvoyExtensionPolicies, before a proxy
# receives them. docs/install.md describes what it judges. Generated: sa-authn schema --for admission-policy
#
# failurePolicy Fail: if the API server cannot evaluate the policy, it rejects the object. Other plugins never match.
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: sa-authn
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [extensions.istio.io]
      apiVersions: ["*"]
      operations: [CREATE, UPDATE]
      resources: [wasmplugins, trafficextensions]
    - apiGroups: [gateway.envoyproxy.io]
      apiVersions: ["*"]
      operations: [CREATE, UPDATE]
      resources: [envoyextensionpolicies]
  matchConditions:
  # The plugin is sa-authn: the object's name, the plugin's name or the module's address contains sa-authn or sa_authn.
  - name: is-sa-authn
    expression: |-
      object.kind == "EnvoyExtensionPolicy" ?
        has(object.spec.wasm) && dyn(object.spec).wasm.exists(w, dyn(
          ("name" in w ? w.name : "") + " " + ("rootID" in w ? w.rootID : "") + " " +
          ("image" in w.code ? w.code.image.url : "") + " " + ("http" in w.code ? w.code.http.url : "")
        ).matches("sa[-_]authn")) :
      (object.kind == "WasmPlugin" ? [dyn(object.spec)] :
        "wasm" in dyn(object.spec) ? [dyn(object.spec).wasm] : []
      ).exists(w, dyn(
        (has(object.metadata.name) ? object.metadata.name : "") + " " +
        ("pluginName" in w ? w.pluginName : "") + " " + ("url" in w ? w.url : "")
      ).matches("sa[-_]authn"))
  # Objects that exist are not judged, unless their specification changes.
  - name: is-changed
    expression: oldObject == null || dyn(object).spec != dyn(oldObject).spec
"#;

const TAIL: &str = r#"  validations:
  - expression: variables.beyond == ""
    messageExpression: variables.beyond.substring(1).replace("\n", "; ")
  # All problems in one message: the API server shows only the first failed validation, and at most 5 KiB of it.
  - expression: variables.problems == ""
    messageExpression: |-
      [variables.problems.substring(1).replace("\n", "; ")].map(text, size(text) > 4000 ? text.substring(0, 4000) + " ..." : text)[0]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: sa-authn
spec:
  policyName: sa-authn
  validationActions: [Deny]
"#;
