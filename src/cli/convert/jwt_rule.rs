//! `jwtRules` of Istio's RequestAuthentication.

use super::draft::{Draft, texts};
use super::keys;
use crate::cli::check::yaml::Node;
use serde_json::json;

/// Adds the issuer of a rule.
pub fn issuer(rule: &Node, path: &str, draft: &mut Draft) {
    let iss = rule.get("issuer").and_then(Node::text).unwrap_or_default();
    let audiences = texts(rule.get("audiences"));
    if audiences.is_empty() {
        draft.lose(
            rule,
            format!("{path}.audiences"),
            "Istio does not check the audience without this field; the plugin requires it: list the audience \
             your callers request",
        );
    }
    let mut issuer = json!({ "issuer": iss, "audiences": audiences });
    let inline = rule.get("jwks").and_then(Node::text);
    let inline = inline.and_then(|text| keys::of_text(text, rule, &format!("{path}.jwks"), draft));
    let fetched = || {
        let uri = rule.get("jwksUri").and_then(Node::text).unwrap_or_default();
        let is_api_server =
            uri.is_empty() || uri.contains("kubernetes.default.svc") || uri.starts_with(iss);
        let api_server = json!({ "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" } });
        if is_api_server { api_server } else { keys::of_uri(uri, "jwks-server") }
    };
    let keys = inline.unwrap_or_else(fetched);
    if keys.get("discovery").is_some() {
        draft.lose(
            rule,
            format!("{path}.jwksUri"),
            "istiod fetches the keys; the plugin fetches them through the cluster kube-apiserver, which \
             istio/api-server-sidecar.yaml adds to the proxy",
        );
    } else if keys.get("jwks").is_some() {
        draft.lose(
            rule,
            format!("{path}.jwksUri"),
            "istiod fetches the keys; the plugin needs a cluster of the proxy: replace \"jwks-server\" by its name",
        );
    }
    issuer["keys"] = keys;
    draft.issuers.push(issuer);
    for header in rule.get("fromHeaders").map(Node::items).unwrap_or_default() {
        let name = header.get("name").and_then(Node::text).unwrap_or_default();
        match header.get("prefix").and_then(Node::text) {
            None | Some("") => draft.add_token_source(json!({ "header": name })),
            Some(prefix) if prefix.ends_with(' ') => {
                draft.add_token_source(json!({ "header": name, "prefix": prefix }));
            }
            Some(prefix) => draft.lose(
                header,
                format!("{path}.fromHeaders"),
                format!("the prefix {prefix:?} is not a scheme and one space, such as \"Bearer \""),
            ),
        }
    }
    if ["fromHeaders", "fromParams", "fromCookies"].iter().all(|field| rule.get(field).is_none()) {
        draft.add_token_source(json!({ "header": "authorization", "prefix": "Bearer " }));
        let what = format!("{path}: query parameter access_token");
        draft.lose(
            rule,
            what,
            "Istio also reads the token there; tokens in query parameters end up in logs",
        );
    }
    if rule.get("forwardOriginalToken").and_then(Node::text) == Some("true") {
        draft.members.insert("forwardToken".to_owned(), json!(true));
    }
    if let Some(header) = rule.get("outputPayloadToHeader").and_then(Node::text) {
        draft.add_identity_header(header, "payload");
    }
    for claim in rule.get("outputClaimToHeaders").map(Node::items).unwrap_or_default() {
        let header = claim.get("header").and_then(Node::text).unwrap_or_default();
        match claim.get("claim").and_then(Node::text) {
            Some("sub") => draft.add_identity_header(header, "subject"),
            Some("aud") => draft.add_identity_header(header, "audience"),
            Some("jti") => draft.add_identity_header(header, "jti"),
            claim_name => draft.lose(
                claim,
                format!("{path}.outputClaimToHeaders"),
                format!(
                    "the plugin has no identity field for the claim {:?}",
                    claim_name.unwrap_or_default()
                ),
            ),
        }
    }
    draft.lose_fields(
        rule,
        path,
        &[
            ("fromParams", "tokens in query parameters end up in logs; send the token in a header"),
            ("fromCookies", "tokens in cookies are not supported; send the token in a header"),
            ("timeout", "set `keys.timeout`; Istio's value is for istiod"),
            ("spaceDelimitedClaims", "service accounts' tokens have no such claims"),
        ],
    );
}
