//! Search for sa-authn configurations in a document: an Envoy bootstrap or listener, an EnvoyFilter, a WasmPlugin, a
//! TrafficExtension, an EnvoyExtensionPolicy, a ConfigMap that contains one of these, or a plugin configuration.
//!
//! A Wasm filter is identified as sa-authn if one of its names contains `sa-authn` or `sa_authn` (the name of the
//! filter or plugin, root_id, vm_id, the file or address of the module), or if its configuration has `issuers`. Other
//! Wasm filters are reported as skipped.

use super::kind::Kind as Problem;
use super::mesh::Selected;
use super::text::{Place, Text};
use super::yaml::{self, Kind, Node};
use super::{around, chains};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::rc::Rc;

/// A Wasm filter or plugin configuration in a document.
#[derive(Debug)]
pub struct Found {
    /// The kind and name, such as `HTTP filter "sa-authn"`.
    pub what: String,
    /// The text that contains the configuration.
    pub text: Rc<Text>,
    /// The index of the first character.
    pub at: usize,
    /// The configuration.
    pub body: Body,
    /// Problems outside of the configuration.
    pub remarks: Vec<Remark>,
    /// The workloads in whose sidecars Istio runs the plugin.
    pub selected: Option<Selected>,
    /// Whether it is part of an EnvoyExtensionPolicy.
    pub is_extension: bool,
}

/// A problem outside of the plugin's configuration.
#[derive(Debug)]
pub struct Remark {
    /// The location in the file.
    pub place: Place,
    /// The kind.
    pub kind: Problem,
    /// What is wrong.
    pub message: String,
}

/// The form of a configuration in its document.
#[derive(Debug)]
pub enum Body {
    /// JSON text: the whole of [`Found::text`].
    Json,
    /// A part of the document.
    Tree(Node),
    /// Missing, or not in a form that Envoy passes to the plugin. Contains the error message.
    Missing(&'static str),
    /// The configuration of another plugin.
    Foreign,
    /// Another object, with remarks.
    None,
}

/// A Wasm plugin in a document.
struct Plugin<'n> {
    what: String,
    names: Vec<&'n str>,
    at: usize,
    remarks: Vec<Remark>,
    selected: Option<Selected>,
}

/// Searches a document.
pub fn find(text: &Rc<Text>, document: &Node) -> Vec<Found> {
    let mut found = Vec::new();
    search(text, document, None, &mut found);
    if found.is_empty() && resembles_configuration(document) {
        let (what, body) = ("plugin configuration".to_owned(), Body::Tree(document.clone()));
        let (at, remarks) = (document.at, Vec::new());
        found.push(Found {
            what,
            text: Rc::clone(text),
            at,
            body,
            remarks,
            selected: None,
            is_extension: false,
        });
    }
    found
}

fn search(text: &Rc<Text>, node: &Node, name: Option<&str>, found: &mut Vec<Found>) {
    let type_url = node.get("@type").and_then(Node::text).unwrap_or_default();
    let spec = node.get("spec");
    match (node.get("kind").and_then(Node::text), spec) {
        (Some("WasmPlugin"), Some(spec)) => {
            let api = node.get("apiVersion").and_then(Node::text).unwrap_or_default();
            let is_higress = api.starts_with("extensions.higress.io/");
            let of = if is_higress { higress } else { istio };
            return found.push(of(text, "WasmPlugin", node, spec));
        }
        (Some("TrafficExtension"), Some(spec)) => {
            let wasm = spec.get("wasm");
            return found.extend(wasm.map(|wasm| istio(text, "TrafficExtension", node, wasm)));
        }
        (Some("EnvoyExtensionPolicy"), Some(spec)) => {
            let wasm = spec.get("wasm").map(Node::items).unwrap_or_default();
            return found.extend(wasm.iter().map(|wasm| gateway(text, node, wasm)));
        }
        (Some("ConfigMap"), _) => return config_map(text, node, found),
        _ => {}
    }
    if type_url.ends_with(WASM_FILTER) {
        return found.push(envoy(text, name, node, node));
    }
    if type_url.ends_with("TypedStruct")
        && let Some(value) = node.get("value")
        && node.field("type_url").and_then(Node::text).is_some_and(|url| url.ends_with(WASM_FILTER))
    {
        return found.push(envoy(text, name, node, value));
    }
    let name = node.get("name").and_then(Node::text);
    node.members().iter().for_each(|(_, value)| search(text, value, name, found));
    node.items().iter().for_each(|item| search(text, item, None, found));
    found.extend(chains::check(text, node, |chain| has_filter(text, chain)));
}

/// Whether a part of a document has the filter.
fn has_filter(text: &Rc<Text>, node: &Node) -> bool {
    let mut found = Vec::new();
    search(text, node, None, &mut found);
    found.iter().any(|found| !matches!(found.body, Body::Foreign | Body::None))
}

/// `typed_config` of an HTTP filter.
fn envoy(text: &Rc<Text>, name: Option<&str>, node: &Node, filter: &Node) -> Found {
    let config = filter.get("config");
    let of = |names: &[&str]| {
        let last = names.iter().try_fold(config?, |node, name| node.field(name));
        last.and_then(Node::text)
    };
    let names = [
        name,
        of(&["name"]),
        of(&["root_id"]),
        of(&["vm_config", "vm_id"]),
        of(&["vm_config", "code", "local", "filename"]),
        of(&["vm_config", "code", "remote", "http_uri", "uri"]),
    ];
    let called = name.or_else(|| of(&["name"])).unwrap_or("without a name");
    let what = format!("HTTP filter {called:?}");
    let names = names.into_iter().flatten().collect();
    let remarks = config.map(|config| around::envoy(text, config)).unwrap_or_default();
    let plugin = Plugin { what, names, at: node.at, remarks, selected: None };
    let Some(value) = config.and_then(|config| config.get("configuration")) else {
        return plugin.without(text, "missing `config.configuration`");
    };
    match (value.get("@type").and_then(Node::text), value.get("value")) {
        (Some(kind), Some(inner)) if kind.ends_with("google.protobuf.StringValue") => {
            plugin.with_scalar(text, inner)
        }
        (Some(kind), Some(inner)) if kind.ends_with("google.protobuf.Struct") => {
            plugin.with_tree(text, inner)
        }
        (Some(kind), Some(inner)) if kind.ends_with("google.protobuf.BytesValue") => {
            plugin.with_base64(text, inner)
        }
        (Some(_), _) => plugin.without(text, UNSUPPORTED_FORM),
        (None, _) => plugin.without(
            text,
            "`configuration` must have an \"@type\": google.protobuf.StringValue or google.protobuf.Struct",
        ),
    }
}

fn istio(text: &Rc<Text>, kind: &str, object: &Node, spec: &Node) -> Found {
    let names = [spec.get("pluginName"), spec.get("url")];
    let mut plugin = kubernetes(kind, object, names.into_iter().flatten());
    plugin.remarks = around::istio(text, spec);
    // Of a TrafficExtension, `spec` is the part for Wasm.
    plugin.selected = Selected::by_plugin(object, object.get("spec").unwrap_or(spec));
    match spec.get("pluginConfig") {
        Some(Node { kind: Kind::Scalar(content, _), .. }) if !content.is_empty() => {
            plugin.without(text, TEXT_CONFIG)
        }
        Some(config) => plugin.with_tree(text, config),
        None => plugin.without(text, "missing `pluginConfig`"),
    }
}

/// A WasmPlugin of Higress, which has `defaultConfig` and `matchRules` in addition to the fields of Istio's.
fn higress(text: &Rc<Text>, kind: &str, object: &Node, spec: &Node) -> Found {
    if spec.get("pluginConfig").is_some() {
        return Found { selected: None, ..istio(text, kind, object, spec) };
    }
    let names = [spec.get("pluginName"), spec.get("url")];
    let mut plugin = kubernetes(kind, object, names.into_iter().flatten());
    plugin.what += " of Higress";
    plugin.remarks = around::istio(text, spec);
    let rules = spec.get("matchRules").filter(|rules| !rules.items().is_empty());
    plugin.remarks.extend(rules.map(|rules| Remark {
        place: text.place(rules.at),
        kind: Problem::ConfigurationForm,
        message: HIGRESS_RULES.to_owned(),
    }));
    match spec.get("defaultConfig") {
        Some(config) => plugin.with_tree(text, config),
        None => plugin.without(text, "missing `defaultConfig`"),
    }
}

/// A Wasm extension of an EnvoyExtensionPolicy (Envoy Gateway).
fn gateway(text: &Rc<Text>, object: &Node, wasm: &Node) -> Found {
    let code = wasm.get("code");
    let url = |kind: &str| code.and_then(|code| code.get(kind)).and_then(|kind| kind.get("url"));
    let names = [wasm.get("name"), wasm.get("rootID"), url("http"), url("image")];
    let mut plugin = kubernetes("EnvoyExtensionPolicy", object, names.into_iter().flatten());
    plugin.remarks = around::gateway(text, wasm);
    match wasm.get("config") {
        Some(config) => plugin.with_tree(text, config),
        None => plugin.without(text, "missing `config`"),
    }
}

fn kubernetes<'n>(
    kind: &str,
    object: &'n Node,
    names: impl Iterator<Item = &'n Node>,
) -> Plugin<'n> {
    let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
    let what = format!("{kind} {:?}", name.and_then(Node::text).unwrap_or("without a name"));
    let names = names.chain(name).filter_map(Node::text).collect();
    Plugin { what, names, at: object.at, remarks: Vec::new(), selected: None }
}

/// Searches the files in a ConfigMap.
fn config_map(text: &Rc<Text>, object: &Node, found: &mut Vec<Found>) {
    for (_, value) in object.get("data").map(Node::members).unwrap_or_default() {
        let Kind::Scalar(content, style) = &value.kind else { continue };
        let file = Rc::new(text.scalar(value.at, *style, content));
        // A file that is not YAML belongs to another program.
        for document in yaml::parse(&file).unwrap_or_default() {
            search(&file, &document, None, found);
        }
    }
}

/// Whether a document is a plugin configuration.
fn resembles_configuration(document: &Node) -> bool {
    let Kind::Mapping(members) = &document.kind else { return false };
    let has = |name: &str| document.get(name).is_some();
    if has("apiVersion") || has("static_resources") || has("@type") {
        return false;
    }
    let resembles =
        |name: &str| FIELDS.iter().any(|field| strsim::jaro_winkler(name, field) > 0.85);
    members.is_empty() || members.iter().any(|(key, _)| resembles(&key.name))
}

// === impl Plugin ===

impl Plugin<'_> {
    fn is_named_sa_authn(&self) -> bool {
        self.names.iter().any(|name| name.contains("sa-authn") || name.contains("sa_authn"))
    }

    fn found(self, text: Rc<Text>, at: usize, body: Body) -> Found {
        let Self { what, remarks, selected, .. } = self;
        let is_extension = what.starts_with("EnvoyExtensionPolicy ");
        Found { what, text, at, body, remarks, selected, is_extension }
    }

    fn without(self, text: &Rc<Text>, why: &'static str) -> Found {
        let at = self.at;
        let body = if self.is_named_sa_authn() { Body::Missing(why) } else { Body::Foreign };
        self.found(Rc::clone(text), at, body)
    }

    fn with_tree(self, text: &Rc<Text>, config: &Node) -> Found {
        let ours = self.is_named_sa_authn() || config.get("issuers").is_some();
        let body = if ours { Body::Tree(config.clone()) } else { Body::Foreign };
        self.found(Rc::clone(text), config.at, body)
    }

    fn with_scalar(self, text: &Rc<Text>, value: &Node) -> Found {
        let Kind::Scalar(content, style) = &value.kind else {
            return self.without(
                text,
                "`value` of a google.protobuf.StringValue must be a string with JSON, for example \
                 `value: |`",
            );
        };
        let json = Rc::new(text.scalar(value.at, *style, content));
        self.with_json(json)
    }

    fn with_base64(self, text: &Rc<Text>, value: &Node) -> Found {
        let decoded = value.text().and_then(|text| STANDARD.decode(text).ok());
        match decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(content) => {
                // The decoded text has no locations in the file.
                let json = Rc::new(text.opaque(value.at, content));
                self.with_json(json)
            }
            None => {
                self.without(text, "`value` of a google.protobuf.BytesValue must be JSON in base64")
            }
        }
    }

    fn with_json(self, json: Rc<Text>) -> Found {
        let trees = yaml::parse(&json).unwrap_or_default();
        let ours =
            self.is_named_sa_authn() || trees.iter().any(|tree| tree.get("issuers").is_some());
        let body = if ours { Body::Json } else { Body::Foreign };
        self.found(json, 0, body)
    }
}

const WASM_FILTER: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

const TEXT_CONFIG: &str = "`pluginConfig` must be an object, and this is a text; remove the `|` or the quotes, and write the \
     fields as YAML";

const HIGRESS_RULES: &str = "Higress passes `matchRules` to the plugin as a field `_rules_`, which the filter rejects; write the rules in \
                             `defaultConfig`";

const UNSUPPORTED_FORM: &str =
    "`configuration` must be a google.protobuf.StringValue or Struct with a `value`";

/// The top-level fields of a plugin configuration.
const FIELDS: [&str; 10] = [
    "issuers",
    "tokenFrom",
    "foreignTokens",
    "rules",
    "identityHeaders",
    "filterState",
    "forwardToken",
    "mode",
    "answers",
    "limits",
];
