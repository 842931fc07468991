//! kube-rbac-proxy: its flags, in a manifest or in a text.

use super::cover::{Allowed, Callers};
use super::draft::{Draft, account, texts, with_paths};
use crate::cli::check::yaml::Node;
use serde_json::{Value, json};

/// The flags of a container that runs kube-rbac-proxy.
pub fn container(node: &Node) -> Option<&Node> {
    let image = node.get("image").and_then(Node::text).unwrap_or_default();
    let is_proxy = image.contains("kube-rbac-proxy") && node.get("args").is_some();
    if is_proxy {
        return node.get("args");
    }
    let members = node.members().iter().map(|(_, value)| value);
    members.chain(node.items()).find_map(container)
}

/// Converts the flags. `authorization` is the content of the ConfigMap or file of `--config-file`.
pub fn convert(arguments: &Node, authorization: Option<&Node>, draft: &mut Draft) {
    let flags = texts(Some(arguments));
    let value = |name: &str| {
        let start = format!("--{name}=");
        flags.iter().find_map(|flag| flag.strip_prefix(&start))
    };
    let list = |name: &str| {
        let items = value(name).unwrap_or_default().split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let audiences = list("auth-token-audiences");
    if audiences.is_empty() {
        draft.lose(
            arguments,
            "--auth-token-audiences",
            "kube-rbac-proxy accepts tokens for the API server without this flag; the plugin requires an audience: \
             list the one your callers request",
        );
    }
    draft.lose(
        arguments,
        "issuer",
        "kube-rbac-proxy does not know the issuer; compare it with `kubectl get --raw \
         /.well-known/openid-configuration`",
    );
    draft.issuers.push(json!({
        "issuer": "https://kubernetes.default.svc.cluster.local",
        "audiences": audiences,
        "tokenReview": {
            "use": "instead", "cluster": "kube-apiserver", "authority": "kubernetes.default.svc",
        },
    }));
    let ignored = list("ignore-paths");
    if !ignored.is_empty() {
        let paths = patterns(ignored, "--ignore-paths", arguments, draft);
        let (name, cover) = ("ignore-paths".to_owned(), with_paths(paths));
        draft.add_rule(&Allowed { name, cover, callers: Callers::Anyone });
    }
    let accounts = authorization.map(|node| accounts(node, draft)).unwrap_or_default();
    if accounts.is_empty() {
        draft.lose(
            arguments,
            "SubjectAccessReview",
            "the plugin does not ask for RBAC: list in `allow` the service accounts that RBAC allows. Until then, \
             `allow` is empty and the configuration is not valid",
        );
    }
    let allowed = list("allow-paths");
    let mut rule = json!({ "name": "all", "allow": accounts });
    if !allowed.is_empty() {
        rule["paths"] = json!(patterns(allowed, "--allow-paths", arguments, draft));
        draft.lose(
            arguments,
            "--allow-paths",
            "kube-rbac-proxy answers other paths with 404, and the plugin with 403",
        );
    }
    draft.rules.get_or_insert_default().push(rule);
    if flags.iter().any(|flag| {
        flag == "--auth-header-fields-enabled" || flag == "--auth-header-fields-enabled=true"
    }) {
        let header = value("auth-header-user-field-name").unwrap_or("x-remote-user");
        draft.add_identity_header(header, "subject");
        draft.lose(
            arguments,
            "--auth-header-groups-field-name",
            "the plugin does not write groups; use `namespace`",
        );
    }
    for flag in &flags {
        let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
        if let Some((_, why)) = LOST.iter().find(|(start, _)| name.starts_with(start)) {
            draft.lose(arguments, format!("--{name}"), *why);
        }
    }
}

/// Accounts that `authorization.static` allows for every path.
fn accounts(file: &Node, draft: &mut Draft) -> Vec<Value> {
    let authorization = file.get("authorization").unwrap_or(file);
    let mut accounts = Vec::new();
    for entry in authorization.get("static").map(Node::items).unwrap_or_default() {
        let user = entry.get("user").and_then(|user| user.get("name")).and_then(Node::text);
        let is_whole = entry.get("path").is_none()
            && entry.get("verb").is_none()
            && entry.get("resource").is_none();
        match user.and_then(account).filter(|_| is_whole) {
            Some(account) => accounts.push(json!(account)),
            None => draft.lose(
                entry,
                "authorization.static",
                "only an entry for a service account, without further fields, can be converted",
            ),
        }
    }
    if let Some(attributes) = authorization.get("resourceAttributes") {
        draft.lose(
            attributes,
            "authorization.resourceAttributes",
            "the plugin does not send SubjectAccessReviews",
        );
    }
    accounts
}

/// Go's `path.Match`: `*` matches within a segment.
fn patterns(paths: Vec<String>, flag: &str, node: &Node, draft: &mut Draft) -> Vec<String> {
    let mut patterns = Vec::new();
    for path in paths {
        let mut segments = path.split('/').skip(1).peekable();
        let mut fits = path.starts_with('/');
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            // At the end, the plugin's `*` stands for any number of segments.
            fits &= (segment == "*" && !is_last) || !segment.contains(['*', '?', '[', '\\']);
        }
        if fits {
            patterns.push(path);
        } else {
            let why = format!("the pattern {path:?} cannot be expressed; its requests are denied");
            draft.lose(node, flag, why);
        }
    }
    patterns
}

/// Flags, by the beginning of their names, and why they are not carried over.
const LOST: [(&str, &str); 9] = [
    (
        "client-ca-file",
        "the plugin authenticates tokens only; client certificates are Envoy's own: `require_client_certificate`",
    ),
    ("oidc-", "the plugin accepts service accounts' tokens only"),
    ("upstream", "Envoy's cluster of the upstream"),
    ("secure-listen-address", "Envoy's listener"),
    ("insecure-listen-address", "Envoy's listener"),
    ("tls-", "Envoy's `DownstreamTlsContext`"),
    ("proxy-endpoints-port", "Envoy's admin address"),
    ("http2-", "Envoy's `http2_protocol_options`"),
    ("kubeconfig", "Envoy's cluster kube-apiserver and its credential"),
];
