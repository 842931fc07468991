//! Sources of keys.

use super::draft::{Draft, duration};
use crate::cli::check::yaml::Node;
use serde_json::{Value, json};

/// `remote_jwks` of jwt_authn.
pub fn remote(remote: &Node, path: &str, draft: &mut Draft) -> Option<Value> {
    let http = remote.field("http_uri")?;
    let uri = http.get("uri").and_then(Node::text).unwrap_or_default();
    let cluster = http.get("cluster").and_then(Node::text).unwrap_or_default();
    let mut keys = of_uri(uri, cluster);
    for (field, ours) in
        [(http.get("timeout"), "timeout"), (remote.field("cache_duration"), "refreshInterval")]
    {
        if let (Some(text), Some(keys)) = (field.and_then(duration), keys.as_object_mut()) {
            keys.insert(ours.to_owned(), json!(text));
        }
    }
    draft.lose_fields(
        remote,
        &format!("{path}.remote_jwks"),
        &[("retry_policy", "the plugin has its own schedule for failed fetches")],
    );
    Some(keys)
}

/// Keys from a URL, through a cluster.
pub fn of_uri(uri: &str, cluster: &str) -> Value {
    let (_, rest) = uri.split_once("://").unwrap_or(("", uri));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    json!({ "jwks": { "cluster": cluster, "authority": authority, "path": format!("/{path}") } })
}

/// `local_jwks` of jwt_authn.
pub fn local(local: &Node, path: &str, draft: &mut Draft) -> Option<Value> {
    let inline = local.field("inline_string").and_then(Node::text);
    let path = format!("{path}.local_jwks");
    match inline {
        Some(text) => of_text(text, local, &path, draft),
        None => {
            let why = "the plugin cannot read files; write the JWKS into `keys.inline`, or the PEM text into \
                       `keys.pem`";
            draft.lose(local, path, why);
            None
        }
    }
}

/// A JWKS or PEM keys in the configuration.
pub fn of_text(text: &str, node: &Node, path: &str, draft: &mut Draft) -> Option<Value> {
    if text.contains(PEM) {
        let blocks = text.split(PEM).skip(1).map(|block| format!("{PEM}{}", block.trim_end()));
        return Some(json!({ "pem": blocks.collect::<Vec<_>>() }));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(keys) => Some(json!({ "inline": keys })),
        Err(error) => {
            draft.lose(node, path, format!("not a JWKS and not PEM: {error}"));
            None
        }
    }
}

const PEM: &str = "-----BEGIN ";
