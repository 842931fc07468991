//! The JSON Schema of the configuration, for editors. Not part of the Wasm module.
//!
//! The checks in `super` reject everything that this schema rejects. They also check relations between fields, which
//! the schema cannot express, such as unreachable rules and keys that two issuers share.

use super::bounds::{self, Bounds, NO_LIMIT, Unit, header_name_bytes};
use super::duration::{self, WireDuration};
use super::wire::{
    Attribute, ByKubernetes, Conditions, Entry, MatchPeer, PeerPattern, Plugin, Source, Who,
};
use crate::authn::keys::MAX_KEYS;
use crate::identity::IdentityField;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The JSON Schema of the plugin's configuration, without references. Draft 7, because most editors support it.
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<Plugin>().to_value();
    tidy(&mut schema);
    for (path, facts) in facts() {
        if let (Some(place), Value::Object(facts)) = (field(&mut schema, path), facts) {
            place.extend(facts);
        }
    }
    // `kubernetesRBAC` is the last choice of `Who`, and only for `allow`.
    if let Some(deny) = field(&mut schema, "rules[].deny")
        && let Some(Value::Array(choices)) = deny.get_mut("anyOf")
    {
        choices.pop();
    }
    schema["title"] = json!("Configuration of sa-authn");
    schema
}

/// The facts that are not in the types: defaults, bounds, patterns, required fields. `x-longest` and `x-shortest` are
/// bounds of durations, for which JSON Schema has no keyword.
fn facts() -> Vec<(&'static str, Value)> {
    [issuer_facts(), call_facts(), request_facts(), rule_facts(), bound_facts()].concat()
}

/// The facts of the table of bounds.
fn bound_facts() -> Vec<(&'static str, Value)> {
    bounds::ALL.iter().map(|(path, bounds)| (*path, facts_of(bounds))).collect()
}

fn facts_of(bounds: &Bounds) -> Value {
    let Bounds { unit, least, most, default, .. } = *bounds;
    let value = |value| match unit {
        Unit::Count => json!(value),
        Unit::Millis => json!(duration::text(u64::from(value))),
    };
    let (is_bounded, words) = match unit {
        Unit::Count => (true, ["minimum", "maximum"]),
        Unit::Millis => (least > 0, ["x-shortest", "x-longest"]),
    };
    let [least_word, most_word] = words;
    let mut facts = Map::new();
    facts.extend(default.map(|default| ("default".to_owned(), value(default))));
    facts.extend(is_bounded.then(|| (least_word.to_owned(), value(least))));
    facts.extend((most != NO_LIMIT).then(|| (most_word.to_owned(), value(most))));
    Value::Object(facts)
}

fn issuer_facts() -> Vec<(&'static str, Value)> {
    let one_of =
        ["discovery", "jwks", "inline", "pem"].map(|source| json!({ "required": [source] }));
    vec![
        ("", json!({ "required": ["issuers"] })),
        ("issuers", json!({ "minItems": 1 })),
        // Keys are required, unless TokenReviews replace the local verification.
        (
            "issuers[]",
            json!({
                "required": ["issuer", "audiences"],
                "if": {
                    "required": ["tokenReview"],
                    "properties": { "tokenReview": {
                        "required": ["use"], "properties": { "use": { "const": "instead" } },
                    } },
                },
                "then": { "not": { "required": ["keys"] } },
                "else": { "required": ["keys"] },
            }),
        ),
        (
            "issuers[].issuer",
            json!({
                "minLength": 1, "examples": ["https://kubernetes.default.svc.cluster.local"],
            }),
        ),
        ("issuers[].name", json!({ "pattern": VISIBLE })),
        ("issuers[].aliases", json!({ "default": [] })),
        ("issuers[].aliases[]", json!({ "minLength": 1 })),
        ("issuers[].audiences", json!({ "minItems": 1, "examples": [["my-service"]] })),
        ("issuers[].audiences[]", json!({ "minLength": 1 })),
        ("issuers[].maxLifetime", json!({ "examples": ["24h"] })),
        ("issuers[].honorWarnAfter", json!({ "default": false })),
        ("issuers[].matchPeer", json!({ "default": false })),
        ("issuers[].keys", json!({ "oneOf": one_of })),
        (
            "issuers[].keys.inline",
            json!({
                "type": "object", "required": ["keys"],
                "properties": { "keys": { "type": "array", "minItems": 1, "maxItems": MAX_KEYS } },
            }),
        ),
        ("issuers[].keys.pem", json!({ "minItems": 1, "maxItems": MAX_KEYS })),
    ]
}

fn call_facts() -> Vec<(&'static str, Value)> {
    let url = json!({ "pattern": "://" });
    let cluster = json!({ "pattern": VISIBLE, "not": url, "examples": ["kube-apiserver"] });
    let authority = json!({ "pattern": AUTHORITY, "examples": ["kubernetes.default.svc"] });
    let path_prefix = json!({
        "pattern": PATH_PREFIX, "default": "",
        "examples": ["/k8s/clusters/c-1"],
    });
    vec![
        ("issuers[].keys.discovery", json!({ "required": ["cluster", "authority"] })),
        ("issuers[].keys.discovery.cluster", cluster.clone()),
        ("issuers[].keys.discovery.authority", authority.clone()),
        ("issuers[].keys.discovery.pathPrefix", path_prefix.clone()),
        ("issuers[].keys.discovery.jwksServer", json!({ "required": ["cluster", "authority"] })),
        ("issuers[].keys.discovery.jwksServer.cluster", cluster.clone()),
        ("issuers[].keys.discovery.jwksServer.authority", authority.clone()),
        ("issuers[].keys.jwks", json!({ "required": ["cluster", "authority", "path"] })),
        ("issuers[].keys.jwks.cluster", cluster.clone()),
        ("issuers[].keys.jwks.authority", authority.clone()),
        (
            "issuers[].keys.jwks.path",
            json!({
                "pattern": JWKS_PATH, "examples": ["/openid/v1/jwks"],
            }),
        ),
        ("issuers[].tokenReview", json!({ "required": ["cluster", "authority"] })),
        ("issuers[].tokenReview.cluster", cluster.clone()),
        ("issuers[].tokenReview.authority", authority.clone()),
        ("issuers[].tokenReview.pathPrefix", path_prefix.clone()),
        ("issuers[].tokenReview.use", json!({ "default": "afterVerification" })),
        ("issuers[].tokenReview.onOutage", json!({ "default": "deny" })),
        ("issuers[].subjectAccessReview", json!({ "required": ["cluster", "authority"] })),
        ("issuers[].subjectAccessReview.cluster", cluster),
        ("issuers[].subjectAccessReview.authority", authority),
        ("issuers[].subjectAccessReview.pathPrefix", path_prefix),
    ]
}

fn request_facts() -> Vec<(&'static str, Value)> {
    let fields = IdentityField::NAMES.map(|(name, _)| name);
    vec![
        (
            "tokenFrom",
            json!({
                "minItems": 1, "default": [{ "header": "authorization", "prefix": "Bearer " }],
            }),
        ),
        ("tokenFrom[]", json!({ "required": ["header"] })),
        ("tokenFrom[].header", json!({ "pattern": HEADER, "examples": ["x-client-id"] })),
        ("tokenFrom[].prefix", json!({ "pattern": SCHEME, "examples": ["Bearer "] })),
        ("foreignTokens", json!({ "default": "refuse" })),
        (
            "identityHeaders",
            json!({
                "default": { "x-sa-namespace": "namespace", "x-sa-name": "name" },
                "propertyNames": { "pattern": HEADER },
                "additionalProperties": { "enum": fields },
            }),
        ),
        (
            "filterState",
            json!({
                "default": ["subject"], "uniqueItems": true, "items": { "enum": fields },
            }),
        ),
        ("forwardToken", json!({ "default": false })),
        ("mode", json!({ "default": "enforce" })),
        ("answers.realm", json!({ "default": "sa-authn", "pattern": REALM })),
        ("answers.hideReason", json!({ "default": false })),
    ]
}

fn rule_facts() -> Vec<(&'static str, Value)> {
    vec![
        ("rules", json!({ "minItems": 1 })),
        ("rules[]", json!({ "anyOf": [{ "required": ["allow"] }, { "required": ["deny"] }] })),
        ("rules[].name", json!({ "minLength": 1 })),
        ("rules[].hosts", json!({ "minItems": 1, "examples": [["api.example", "*.example:*"]] })),
        ("rules[].methods", json!({ "minItems": 1, "examples": [["GET", "HEAD"]] })),
        ("rules[].methods[]", json!({ "pattern": METHOD })),
        ("rules[].paths", json!({ "minItems": 1, "examples": [["/secrets/*"]] })),
        ("rules[].paths[]", json!({ "pattern": PATH })),
        ("rules[].ports", json!({ "minItems": 1 })),
        ("rules[].ports[]", json!({ "minimum": 1, "maximum": 65535 })),
        ("rules[].corsPreflight", json!({ "default": false })),
        ("rules[].mode", json!({ "default": "enforce" })),
    ]
}

/// The schema of the field at this path.
fn field<'s>(schema: &'s mut Value, path: &str) -> Option<&'s mut Map<String, Value>> {
    let mut place = schema;
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let name = step.trim_end_matches("[]");
        place = place.get_mut("properties")?.get_mut(name)?;
        if step.ends_with("[]") {
            place = place.get_mut("items")?;
        }
    }
    place.as_object_mut()
}

/// Removes what schemars adds and the configuration does not have: nulls for optional fields, and the widths of
/// integers.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    members.insert("type".to_owned(), one);
                }
            }
            for choice in ["enum", "oneOf", "anyOf"] {
                if let Some(Value::Array(choices)) = members.get_mut(choice) {
                    choices.retain(|choice| !choice.is_null() && choice["type"] != "null");
                }
            }
            // A choice between one type and null.
            if members.get("anyOf").and_then(Value::as_array).is_some_and(|left| left.len() == 1)
                && let Some(Value::Array(mut left)) = members.remove("anyOf")
                && let Some(Value::Object(only)) = left.pop()
            {
                let mut described = only;
                described.append(members);
                *members = described;
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            members.remove("format");
            members.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

// === impl JsonSchema ===

impl JsonSchema for WireDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": DURATION })
    }
}

impl JsonSchema for MatchPeer {
    fn schema_name() -> Cow<'static, str> {
        "MatchPeer".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut peer = generator.subschema_for::<PeerPattern>().to_value();
        peer["required"] = json!(["trustDomain"]);
        peer["properties"]["trustDomain"]["pattern"] = json!(DNS_SUBDOMAIN);
        json_schema!({ "anyOf": [{ "type": "boolean" }, peer] })
    }
}

impl JsonSchema for Who {
    fn schema_name() -> Cow<'static, str> {
        "Who".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<Entry>();
        let mut asks = generator.subschema_for::<ByKubernetes>().to_value();
        asks["required"] = json!(["kubernetesRBAC"]);
        let rbac = &mut asks["properties"]["kubernetesRBAC"];
        rbac["oneOf"] = json!([{ "required": ["nonResource"] }, { "required": ["resource"] }]);
        rbac["properties"]["verbs"]["default"] = json!("kubernetes");
        rbac["properties"]["resource"]["required"] = json!(["resource"]);
        json_schema!({ "anyOf": [
            { "const": "anyone", "description": "Every caller, with or without a token." },
            { "const": "authenticated", "description": "Every service account of the issuers." },
            { "type": "array", "items": entry, "minItems": 1, "description": "The listed service accounts." },
            asks,
        ] })
    }
}

impl JsonSchema for Attribute {
    fn schema_name() -> Cow<'static, str> {
        "Attribute".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut source = generator.subschema_for::<Source>().to_value();
        source["oneOf"] = json!([{ "required": ["segment"] }, { "required": ["query"] }]);
        source["properties"]["segment"]["minimum"] = json!(1);
        source["properties"]["segment"]["maximum"] = json!(64);
        source["properties"]["query"]["pattern"] = json!(VISIBLE);
        source["properties"]["query"]["maxLength"] = json!(253);
        json_schema!({ "anyOf": [
            { "type": "string", "pattern": VISIBLE, "maxLength": 253 },
            source,
        ] })
    }
}

impl JsonSchema for Entry {
    fn schema_name() -> Cow<'static, str> {
        "Entry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut conditions = generator.subschema_for::<Conditions>().to_value();
        conditions["minProperties"] = json!(1);
        conditions["not"] = json!({ "required": ["serviceAccount", "namespace"] });
        let fields = &mut conditions["properties"];
        fields["serviceAccount"]["pattern"] = json!(ACCOUNT);
        fields["podBound"]["const"] = json!(true);
        fields["node"]["minLength"] = json!(1);
        fields["uid"]["minLength"] = json!(1);
        let account = json!({
            "type": "string",
            "pattern": ACCOUNT,
            "description": "`namespace/name`, in which `*` can replace a whole part.",
            "examples": ["api/api", "batch/*"],
        });
        json_schema!({ "anyOf": [account, conditions] })
    }
}

/// The form of a duration.
pub(super) const DURATION: &str = "^[0-9]+(ms|s|m|h)$";

/// The longest duration (`super::duration`).
pub(super) const LONGEST_DURATION: &str = "8784h";

/// The patterns, in words.
pub(super) const FORMS: [(&str, &str); 11] = [
    (VISIBLE, "visible ASCII and not empty"),
    (AUTHORITY, "a host name without a scheme and a path, for example \"kubernetes.default.svc\""),
    (PATH_PREFIX, "a path without a slash at its end, for example \"/k8s/clusters/c-1\""),
    (HEADER, "a header name of 1 to 64 letters, digits and `-`, for example \"x-client-id\""),
    (ACCOUNT, "\"namespace/name\", in which `*` can replace a whole part"),
    (DNS_SUBDOMAIN, "a trust domain, for example \"cluster.local\""),
    (JWKS_PATH, "the path of the JWKS, for example \"/openid/v1/jwks\""),
    (SCHEME, "a scheme followed by one space, for example \"Bearer \""),
    (REALM, "printable ASCII without double quotes and backslashes"),
    (METHOD, "an upper-case method, for example \"GET\""),
    (PATH, "a path such as /a/b or /a/*, without ( ) + $ [ ] { } < > | ^"),
];

const AUTHORITY: &str = r"^[0-9A-Za-z._\[-][0-9A-Za-z._:\[\]-]*$";
const PATH_PREFIX: &str = "^(/[!-\"$->@-~]*[!-\"$-.0->@-~])?$";
const JWKS_PATH: &str = "^/[!-\"$-~]*$";
const SCHEME: &str = "^[A-Za-z0-9-]+ $";
const REALM: &str = r"^[ !#-\[\]-~]*$";
const METHOD: &str = "^[A-Z-]+$";
const PATH: &str = r"^/[^()+$\[\]{}<>|^]*$";

/// Visible ASCII.
const VISIBLE: &str = "^[!-~]+$";

/// The name of a header. Case does not matter.
const HEADER: &str = concat!("^[A-Za-z0-9-]{1,", header_name_bytes!(), "}$");

/// `namespace/name`; each part may be `*`.
const ACCOUNT: &str = r"^(\*|[a-z0-9]([a-z0-9-]*[a-z0-9])?)/(\*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$";

const DNS_SUBDOMAIN: &str = "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$";
