//! AuthorizationPolicies as istiod writes them for Envoy (istio/istio, `pilot/pkg/security/authz/model` and `builder`), as far as
//! the policies of istio/ need it: `DENY` by `notMethods` and `notPorts`. Whatever else a policy has fails the test.

use serde_json::{Value, json};

/// The filter of an HTTP chain.
pub fn http_rbac(policy: &Value) -> Value {
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": rules(policy, false),
        },
    })
}

/// The filter of a TCP chain. Rules for TCP have no methods: for `DENY`, istiod leaves out what only HTTP has.
pub fn network_rbac(policy: &Value) -> Value {
    json!({
        "name": "envoy.filters.network.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC",
            "rules": rules(policy, true),
            "stat_prefix": "tcp.",
        },
    })
}

// === private ===

fn rules(policy: &Value, for_tcp: bool) -> Value {
    let spec = &policy["spec"];
    assert_eq!(spec["action"], "DENY");
    let rules = spec["rules"].as_array().expect("rules").iter().map(|rule| {
        let rule = rule.as_object().expect("a rule");
        assert_eq!(rule.keys().collect::<Vec<_>>(), ["to"]);
        let to = rule["to"].as_array().expect("to").iter();
        let permissions: Vec<_> = to.map(|to| permission(&to["operation"], for_tcp)).collect();
        json!({
            "permissions": permissions,
            "principals": [{ "and_ids": { "ids": [{ "any": true }] } }],
        })
    });
    let named = rules.enumerate().map(|(at, rule)| {
        let part = |field: &str| policy["metadata"][field].as_str().expect("a name").to_owned();
        let (namespace, name) = (part("namespace"), part("name"));
        (format!("ns[{namespace}]-policy[{name}]-rule[{at}]"), rule)
    });
    json!({ "action": "DENY", "policies": Value::Object(named.collect()) })
}

fn permission(operation: &Value, for_tcp: bool) -> Value {
    let mut all = Vec::new();
    for (field, values) in operation.as_object().expect("an operation") {
        let values = values.as_array().expect("values").iter();
        let any: Vec<_> = match field.as_str() {
            "notMethods" if for_tcp => continue,
            "notMethods" => values.map(method).collect(),
            "notPorts" => values.map(port).collect(),
            _ => panic!("{field} is not translated"),
        };
        all.push(json!({ "not_rule": { "or_rules": { "rules": any } } }));
    }
    if all.is_empty() {
        all.push(json!({ "any": true }));
    }
    json!({ "and_rules": { "rules": all } })
}

fn method(value: &Value) -> Value {
    assert_eq!(value, "*");
    json!({ "header": { "name": ":method", "present_match": true } })
}

fn port(value: &Value) -> Value {
    let port: u16 = value.as_str().and_then(|port| port.parse().ok()).expect("a port");
    json!({ "destination_port": port })
}
