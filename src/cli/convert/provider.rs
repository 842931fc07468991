//! Providers of Envoy's `jwt_authn`: issuers, and where their tokens are.

use super::draft::{Draft, account, duration, texts};
use super::keys;
use crate::cli::check::yaml::Node;
use serde_json::json;

/// The audiences and accounts of a provider.
pub struct Provider {
    /// Its own audiences.
    pub audiences: Vec<String>,
    /// Whether a rule permits audiences that the provider does not.
    pub is_widened: bool,
    /// The accounts that `subjects` permits.
    pub accounts: Option<Vec<String>>,
}

/// Adds the issuer of a provider.
pub fn provider(name: &str, node: &Node, draft: &mut Draft) -> Provider {
    let path = format!("providers.{name}");
    let audiences = texts(node.field("audiences"));
    let issuer = node.field("issuer").and_then(Node::text).unwrap_or_default();
    if issuer.is_empty() {
        draft.lose(
            node,
            format!("{path}.issuer"),
            "required by the plugin; set the `iss` of your cluster's tokens",
        );
    }
    if audiences.is_empty() {
        draft.lose(
            node,
            format!("{path}.audiences"),
            "jwt_authn does not check the audience without this field; the plugin requires it: list the \
             audience your callers request",
        );
    }
    let mut issuer = json!({ "name": name, "issuer": issuer, "audiences": audiences });
    let remote = node.field("remote_jwks").and_then(|remote| keys::remote(remote, &path, draft));
    let local = || node.field("local_jwks").and_then(|local| keys::local(local, &path, draft));
    if let Some(keys) = remote.or_else(local) {
        issuer["keys"] = keys;
    }
    for (field, ours) in [("clock_skew_seconds", "leeway"), ("max_lifetime", "maxLifetime")] {
        let value = node.field(field);
        let seconds = value.and_then(Node::text).and_then(|text| text.parse::<u64>().ok());
        let text =
            seconds.map(|seconds| format!("{seconds}s")).or_else(|| value.and_then(duration));
        if let Some(text) = text {
            issuer[ours] = json!(text);
        }
    }
    if let Some(lifetime) = node.field("max_lifetime") {
        draft.lose(
            lifetime,
            format!("{path}.max_lifetime"),
            "jwt_authn limits the remaining lifetime, and the plugin's maxLifetime the whole lifetime, \
             which is stricter",
        );
    }
    draft.issuers.push(issuer);
    sources(node, &path, draft);
    headers(node, &path, draft);
    let accounts = node.field("subjects").map(|subjects| subject_accounts(subjects, &path, draft));
    draft.lose_fields(node, &path, &[
        ("from_params", "tokens in query parameters end up in logs; send the token in a header"),
        ("from_cookies", "tokens in cookies are not supported; send the token in a header"),
        ("payload_in_metadata", "Wasm filters cannot write dynamic metadata; use `filterState`, or `identityHeaders`"),
        ("header_in_metadata", "Wasm filters cannot write dynamic metadata"),
        ("failed_status_in_metadata", "Wasm filters cannot write dynamic metadata"),
        ("normalize_payload_in_metadata", "Wasm filters cannot write dynamic metadata"),
        ("clear_route_cache", "the plugin does not select routes"),
    ]);
    Provider { audiences, is_widened: false, accounts }
}

/// The accounts that match `subjects`; none if it cannot be expressed.
fn subject_accounts(subjects: &Node, path: &str, draft: &mut Draft) -> Vec<String> {
    let exact = subjects.get("exact").and_then(Node::text).and_then(account);
    let namespace = subjects.get("prefix").and_then(Node::text).and_then(|prefix| {
        let namespace = prefix.strip_prefix("system:serviceaccount:")?.strip_suffix(':')?;
        (!namespace.contains(':')).then(|| format!("{namespace}/*"))
    });
    let every = subjects.get("prefix").and_then(Node::text) == Some("system:serviceaccount:");
    match exact.or(namespace).or_else(|| every.then(|| "*/*".to_owned())) {
        Some(account) => vec![account],
        None => {
            let why = "only `exact` with a service account, and `prefix` with a namespace, can be expressed; \
                       the provider's callers are denied";
            draft.lose(subjects, format!("{path}.subjects"), why);
            Vec::new()
        }
    }
}

fn sources(node: &Node, path: &str, draft: &mut Draft) {
    let headers = node.field("from_headers").map(Node::items).unwrap_or_default();
    for (at, header) in headers.iter().enumerate() {
        let name = header.get("name").and_then(Node::text).unwrap_or_default();
        match header.field("value_prefix").and_then(Node::text).unwrap_or_default() {
            "" => draft.add_token_source(json!({ "header": name })),
            prefix if prefix.ends_with(' ') => {
                draft.add_token_source(json!({ "header": name, "prefix": prefix }));
            }
            prefix => draft.lose(
                header,
                format!("{path}.from_headers[{at}]"),
                format!("the prefix {prefix:?} is not a scheme and one space, such as \"Bearer \""),
            ),
        }
    }
    if headers.is_empty()
        && node.field("from_params").is_none()
        && node.field("from_cookies").is_none()
    {
        draft.add_token_source(json!({ "header": "authorization", "prefix": "Bearer " }));
        draft.lose(
            node,
            format!("{path}: query parameter access_token"),
            "jwt_authn also reads the token there; tokens in query parameters end up in logs",
        );
    }
}

fn headers(node: &Node, path: &str, draft: &mut Draft) {
    if flag(node, "forward") {
        draft.members.insert("forwardToken".to_owned(), json!(true));
    }
    if let Some(header) = node.field("forward_payload_header").and_then(Node::text) {
        draft.add_identity_header(header, "payload");
    }
    if flag(node, "pad_forward_payload_header") {
        draft.lose(
            node,
            format!("{path}.pad_forward_payload_header"),
            "the plugin writes base64url without padding",
        );
    }
    let claims = node.field("claim_to_headers").map(Node::items).unwrap_or_default();
    for (at, claim) in claims.iter().enumerate() {
        let header = claim.field("header_name").and_then(Node::text).unwrap_or_default();
        let names = match claim.field("claim_path") {
            Some(path) => texts(Some(path)).join("/"),
            None => claim.field("claim_name").and_then(Node::text).unwrap_or_default().to_owned(),
        };
        match CLAIMS.iter().find(|(known, _)| *known == names) {
            Some((_, field)) => draft.add_identity_header(header, field),
            None => draft.lose(
                claim,
                format!("{path}.claim_to_headers[{at}]"),
                format!("the plugin has no identity field for the claim {names:?}"),
            ),
        }
    }
}

/// Whether a field is true.
pub fn flag(node: &Node, field: &str) -> bool {
    node.field(field).and_then(Node::text) == Some("true")
}

/// Claims by their path, with the identity field.
const CLAIMS: [(&str, &str); 10] = [
    ("sub", "subject"),
    ("aud", "audience"),
    ("jti", "jti"),
    ("kubernetes.io/namespace", "namespace"),
    ("kubernetes.io/serviceaccount/name", "name"),
    ("kubernetes.io/serviceaccount/uid", "uid"),
    ("kubernetes.io/pod/name", "pod.name"),
    ("kubernetes.io/pod/uid", "pod.uid"),
    ("kubernetes.io/node/name", "node.name"),
    ("kubernetes.io/node/uid", "node.uid"),
];
