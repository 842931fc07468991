//! A document -> the configurations of our plugin in it: Envoy's own (a bootstrap, a listener, an EnvoyFilter), a
//! WasmPlugin, a TrafficExtension, an EnvoyExtensionPolicy, a ConfigMap that holds one of these, or the plugin's alone.
//!
//! Which of several Wasm filters is ours only its author knows for sure. One is taken for ours when one of its
//! names says `sa-authn` or `sa_authn` (the filter's, the plugin's, root_id, vm_id, the module's file or
//! address), or when its configuration has `issuers`. What was left out is reported too.

use super::text::Text;
use super::yaml::{self, Kind, Node};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::rc::Rc;

/// Something of a document that has to do with us, or could.
#[derive(Debug)]
pub struct Found {
    /// What it is called there, such as `HTTP filter "sa-authn"`.
    pub what: String,
    /// The text that it stands in.
    pub text: Rc<Text>,
    /// Where it begins.
    pub at: usize,
    /// Its configuration.
    pub body: Body,
}

/// A configuration as it stands there.
#[derive(Debug)]
pub enum Body {
    /// As JSON text: the whole of [`Found::text`].
    Json,
    /// As a part of the document.
    Tree(Node),
    /// There is none, or none that Envoy would hand to the plugin; why.
    Missing(&'static str),
    /// Another plugin's.
    Foreign,
}

/// A Wasm plugin as it stands in a document.
struct Plugin<'n> {
    what: String,
    names: Vec<&'n str>,
    at: usize,
}

/// Searches a document.
pub fn find(text: &Rc<Text>, document: &Node) -> Vec<Found> {
    let mut found = Vec::new();
    search(text, document, None, &mut found);
    if found.is_empty() && resembles_configuration(document) {
        let (what, body) = ("plugin configuration".to_owned(), Body::Tree(document.clone()));
        found.push(Found { what, text: Rc::clone(text), at: document.at, body });
    }
    found
}

fn search(text: &Rc<Text>, node: &Node, name: Option<&str>, found: &mut Vec<Found>) {
    let type_url = node.get("@type").and_then(Node::text).unwrap_or_default();
    let spec = node.get("spec");
    match (node.get("kind").and_then(Node::text), spec) {
        (Some("WasmPlugin"), Some(spec)) => {
            return found.push(istio(text, "WasmPlugin", node, spec));
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
    let plugin = Plugin { what, names: names.into_iter().flatten().collect(), at: node.at };
    let Some(value) = config.and_then(|config| config.get("configuration")) else {
        return plugin.without(text, "has no `config.configuration`");
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
        (Some(_), _) => plugin.without(text, NOT_HANDED_OVER),
        (None, _) => plugin.without(
            text,
            "`configuration` needs an \"@type\": google.protobuf.StringValue or Struct",
        ),
    }
}

fn istio(text: &Rc<Text>, kind: &str, object: &Node, spec: &Node) -> Found {
    let names = [spec.get("pluginName"), spec.get("url")];
    let plugin = kubernetes(kind, object, names.into_iter().flatten());
    match spec.get("pluginConfig") {
        Some(config) => plugin.with_tree(text, config),
        None => plugin.without(text, "has no `pluginConfig`"),
    }
}

/// Envoy Gateway's.
fn gateway(text: &Rc<Text>, object: &Node, wasm: &Node) -> Found {
    let code = wasm.get("code");
    let url = |kind: &str| code.and_then(|code| code.get(kind)).and_then(|kind| kind.get("url"));
    let names = [wasm.get("name"), wasm.get("rootID"), url("http"), url("image")];
    let plugin = kubernetes("EnvoyExtensionPolicy", object, names.into_iter().flatten());
    match wasm.get("config") {
        Some(config) => plugin.with_tree(text, config),
        None => plugin.without(text, "has no `config`"),
    }
}

fn kubernetes<'n>(
    kind: &str,
    object: &'n Node,
    names: impl Iterator<Item = &'n Node>,
) -> Plugin<'n> {
    let name = object.get("metadata").and_then(|metadata| metadata.get("name"));
    let what = format!("{kind} {:?}", name.and_then(Node::text).unwrap_or("without a name"));
    Plugin { what, names: names.chain(name).filter_map(Node::text).collect(), at: object.at }
}

/// Files in a ConfigMap are searched as files are.
fn config_map(text: &Rc<Text>, object: &Node, found: &mut Vec<Found>) {
    for (_, value) in object.get("data").map(Node::members).unwrap_or_default() {
        let Kind::Scalar(content, style) = &value.kind else { continue };
        let file = Rc::new(text.scalar(value.at, *style, content));
        // What is no YAML is another program's.
        for document in yaml::parse(&file).unwrap_or_default() {
            search(&file, &document, None, found);
        }
    }
}

/// Whether a document is a plugin configuration and nothing else.
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
    fn is_named_ours(&self) -> bool {
        self.names.iter().any(|name| name.contains("sa-authn") || name.contains("sa_authn"))
    }

    fn found(self, text: Rc<Text>, at: usize, body: Body) -> Found {
        Found { what: self.what, text, at, body }
    }

    fn without(self, text: &Rc<Text>, why: &'static str) -> Found {
        let at = self.at;
        let body = if self.is_named_ours() { Body::Missing(why) } else { Body::Foreign };
        self.found(Rc::clone(text), at, body)
    }

    fn with_tree(self, text: &Rc<Text>, config: &Node) -> Found {
        let ours = self.is_named_ours() || config.get("issuers").is_some();
        let body = if ours { Body::Tree(config.clone()) } else { Body::Foreign };
        self.found(Rc::clone(text), config.at, body)
    }

    fn with_scalar(self, text: &Rc<Text>, value: &Node) -> Found {
        let Kind::Scalar(content, style) = &value.kind else {
            return self.without(text, "`value` of a google.protobuf.StringValue must be JSON as a string, such as `value: |`");
        };
        let json = Rc::new(text.scalar(value.at, *style, content));
        self.with_json(json)
    }

    fn with_base64(self, text: &Rc<Text>, value: &Node) -> Found {
        let decoded = value.text().and_then(|text| STANDARD.decode(text).ok());
        match decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(content) => {
                // Nothing in it has a place of its own.
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
        let ours = self.is_named_ours() || trees.iter().any(|tree| tree.get("issuers").is_some());
        let body = if ours { Body::Json } else { Body::Foreign };
        self.found(json, 0, body)
    }
}

const WASM_FILTER: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

const NOT_HANDED_OVER: &str =
    "`configuration` must be a google.protobuf.StringValue or Struct with a `value`";

/// What a plugin configuration has at its top.
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
