//! kube-rbac-proxy: its flags, in a manifest or in a text.

use super::cover::{Allowed, Callers};
use super::draft::{Draft, account, texts, with_paths};
use crate::cli::check::yaml::Node;
use serde_json::{Map, Value, json};

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
    let ignored = list("ignore-paths");
    if !ignored.is_empty() {
        let paths = patterns(ignored, "--ignore-paths", arguments, draft);
        let (name, cover) = ("ignore-paths".to_owned(), with_paths(paths));
        draft.add_rule(&Allowed { name, cover, callers: Callers::Anyone });
    }
    let authorization = authorization.map(|file| file.get("authorization").unwrap_or(file));
    let accounts = authorization.map(|node| accounts(node, draft)).unwrap_or_default();
    let asked = match accounts.is_empty() {
        // The path would be another question than that of the file.
        true if authorization.is_none() && value("config-file").is_some() => {
            draft.lose(
                arguments,
                "--config-file",
                "the file is missing; name it as a further FILE",
            );
            None
        }
        true => question(authorization, draft),
        false => {
            draft.lose(
                arguments,
                "SubjectAccessReview",
                "a rule has either a list of accounts or kubernetesRBAC; callers that only RBAC allows are denied",
            );
            None
        }
    };
    let mut issuer = json!({
        "issuer": "https://kubernetes.default.svc.cluster.local",
        "audiences": audiences,
        "tokenReview": {
            "use": "instead", "cluster": "kube-apiserver", "authority": "kubernetes.default.svc",
        },
    });
    if asked.is_some() {
        issuer["subjectAccessReview"] =
            json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" });
    } else if accounts.is_empty() {
        draft.lose(
            arguments,
            "SubjectAccessReview",
            "list in `allow` the service accounts that RBAC allows. Until then, `allow` is empty and the \
             configuration is not valid",
        );
    }
    draft.issuers.push(issuer);
    let allowed = list("allow-paths");
    let allow = asked.unwrap_or_else(|| json!(accounts));
    let mut rule = json!({ "name": "all", "allow": allow });
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
fn accounts(authorization: &Node, draft: &mut Draft) -> Vec<Value> {
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
    accounts
}

/// What kube-rbac-proxy asks the API server (`pkg/proxy/proxy.go`); `None` if no rule can ask the same.
fn question(authorization: Option<&Node>, draft: &mut Draft) -> Option<Value> {
    let member = |name: &str| authorization.and_then(|node| node.get(name));
    let Some(attributes) = member("resourceAttributes") else {
        return Some(json!({ "kubernetesRBAC": { "nonResource": {}, "verbs": "kubeRbacProxy" } }));
    };
    let rewrites = member("rewrites");
    if let Some(header) = rewrites.and_then(|rewrites| rewrites.get("byHttpHeader")) {
        draft.lose(
            header,
            "authorization.rewrites.byHttpHeader",
            "the caller would choose the object by a header that the upstream may not read",
        );
    }
    let parameter = rewrites
        .and_then(|rewrites| rewrites.get("byQueryParameter")?.get("name")?.text())
        .filter(|name| !name.is_empty());
    let mut resource = Map::new();
    for field in FIELDS {
        let Some(node) = attributes.get(field) else { continue };
        let text = node.text().unwrap_or_default();
        let value = match (text.split_whitespace().collect::<String>().as_str(), parameter) {
            ("", _) => continue,
            _ if !text.contains("{{") => json!(text),
            ("{{.Value}}", Some(parameter)) => json!({ "query": parameter }),
            _ => {
                draft.lose(
                    node,
                    format!("authorization.resourceAttributes.{field}"),
                    "only the template `{{ .Value }}`, alone and with byQueryParameter, can be converted",
                );
                return None;
            }
        };
        resource.insert(field.to_owned(), value);
    }
    if rewrites.is_some() && resource.values().all(Value::is_string) {
        draft.lose(
            attributes,
            "authorization.rewrites",
            "no attribute has the value; kube-rbac-proxy denies requests without it, and the plugin would allow them",
        );
        return None;
    }
    Some(json!({ "kubernetesRBAC": { "resource": resource, "verbs": "kubeRbacProxy" } }))
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

/// The fields of `resourceAttributes`, which `kubernetesRBAC.resource` has, too.
const FIELDS: [&str; 6] =
    ["apiGroup", "apiVersion", "resource", "subresource", "namespace", "name"];
