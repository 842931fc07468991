//! A configuration under construction, with the list of what it cannot express.

use super::cover::{Allowed, Cover};
use crate::cli::check::yaml::Node;
use serde_json::{Map, Value, json};

/// The plugin's configuration so far.
#[derive(Debug, Default)]
pub struct Draft {
    /// The issuers.
    pub issuers: Vec<Value>,
    /// The rules, in order. `None`: every service account of the issuers may send every request.
    pub rules: Option<Vec<Value>>,
    /// The other members.
    pub members: Map<String, Value>,
    /// What the configuration does not have.
    pub lost: Vec<Lost>,
}

/// A part of the source that was not carried over.
#[derive(Clone, Debug)]
pub struct Lost {
    /// The index of its first character.
    pub at: usize,
    /// The name.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// Why a path cannot be converted to patterns, or its patterns.
pub enum Paths {
    /// The patterns match the same paths.
    Same(Vec<String>),
    /// The patterns match fewer paths: not those that continue the last segment.
    Fewer(Vec<String>),
    /// Every path.
    All,
}

// === impl Draft ===

impl Draft {
    /// Notes a part that is not carried over.
    pub fn lose(&mut self, node: &Node, what: impl Into<String>, why: impl Into<String>) {
        self.lost.push(Lost { at: node.at, what: what.into(), why: why.into() });
    }

    /// Notes each of these fields that an object has.
    pub fn lose_fields(&mut self, node: &Node, path: &str, fields: &[(&str, &str)]) {
        for (field, why) in fields {
            if let Some(value) = node.field(field) {
                self.lose(value, format!("{path}.{field}"), *why);
            }
        }
    }

    /// Adds a rule at the end.
    pub fn add_rule(&mut self, rule: &Allowed) {
        self.rules.get_or_insert_default().push(rule.to_json());
    }

    /// Sets a header of `identityHeaders`.
    pub fn add_identity_header(&mut self, header: &str, field: &str) {
        let headers = self.members.entry("identityHeaders").or_insert_with(|| json!({}));
        if let Some(headers) = headers.as_object_mut() {
            headers.insert(header.to_ascii_lowercase(), json!(field));
        }
    }

    /// Adds a header that may contain the token.
    pub fn add_token_source(&mut self, source: Value) {
        let sources = self.members.entry("tokenFrom").or_insert_with(|| json!([]));
        if let Some(sources) = sources.as_array_mut()
            && !sources.contains(&source)
        {
            sources.push(source);
        }
    }

    /// The configuration.
    pub fn to_json(&self) -> Value {
        let mut config = Map::new();
        config.insert("issuers".to_owned(), json!(self.issuers));
        config.extend(self.members.clone());
        if let Some(rules) = &self.rules {
            config.insert("rules".to_owned(), json!(rules));
        }
        Value::Object(config)
    }
}

/// The path patterns for a prefix of the path, byte for byte.
pub fn prefix(prefix: &str) -> Paths {
    match prefix {
        "" | "/" => Paths::All,
        // Envoy's `/a/` matches `/a/` and what is below it, and so does `/a/*`.
        _ if prefix.ends_with('/') => Paths::Same(vec![format!("{prefix}*")]),
        _ => Paths::Fewer(vec![prefix.to_owned(), format!("{prefix}/*")]),
    }
}

/// A cover with these paths.
pub fn with_paths(paths: Vec<String>) -> Cover {
    Cover { paths: Some(paths), ..Cover::default() }
}

/// The texts of a list, or of one scalar.
pub fn texts(node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else { return Vec::new() };
    let items = node.items().iter().filter_map(Node::text).map(str::to_owned);
    node.text().map(str::to_owned).into_iter().chain(items).collect()
}

/// `namespace/name` for the subject of a service account's token.
pub fn account(subject: &str) -> Option<String> {
    let (namespace, name) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
    (!name.contains(':') && !name.is_empty()).then(|| format!("{namespace}/{name}"))
}

/// A duration of protobuf (`5s`, `0.5s`, `{seconds: 5}`) or of Go (`5m`), for the plugin.
pub fn duration(node: &Node) -> Option<String> {
    let millis = |seconds: f64| (seconds * 1000.0).round();
    let millis = match (node.text(), node.get("seconds").and_then(Node::text)) {
        (_, Some(seconds)) => millis(seconds.parse().ok()?),
        (Some(text), _) => {
            let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
            let (number, unit) = text.split_at_checked(unit_at)?;
            let number: f64 = number.parse().ok()?;
            match unit {
                "s" => millis(number),
                "ms" => number.round(),
                "m" => millis(number * 60.0),
                "h" => millis(number * 3600.0),
                _ => return None,
            }
        }
        _ => return None,
    };
    if !(1.0..=1e12).contains(&millis) {
        return None;
    }
    let text = format!("{millis}");
    Some(match text.strip_suffix("000") {
        Some(seconds) if !seconds.is_empty() => format!("{seconds}s"),
        _ => format!("{text}ms"),
    })
}
