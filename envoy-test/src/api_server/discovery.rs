//! The discovery document and the JWKS.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::keys::jwks_text;
use crate::lock::lock;

use super::answer::Answer;
use super::cluster::Cluster;

/// The document's members in the order in which the API server prints them.
#[derive(Serialize)]
struct Document<'a> {
    issuer: &'a str,
    jwks_uri: String,
    response_types_supported: [&'static str; 1],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: BTreeSet<&'static str>,
}

/// `/.well-known/openid-configuration`
pub(super) fn document(cluster: &Cluster, accept: Option<&str>) -> Answer {
    answer(cluster, accept, "application/json", || {
        // The API server writes its own address here, not the issuer's, which may be unreachable.
        let own = || format!("https://127.0.0.1:{}/openid/v1/jwks", cluster.port());
        let document = Document {
            issuer: &cluster.options.issuer,
            jwks_uri: cluster.options.jwks_uri.clone().unwrap_or_else(own),
            response_types_supported: ["id_token"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: algorithms(cluster),
        };
        serde_json::to_string(&document).expect("a discovery document is plain JSON")
    })
}

/// `/openid/v1/jwks`
pub(super) fn jwks(cluster: &Cluster, accept: Option<&str>) -> Answer {
    answer(cluster, accept, "application/jwk-set+json", || {
        jwks_text(&lock(&cluster.keys).published)
    })
}

// === private ===

fn answer(
    cluster: &Cluster,
    accept: Option<&str>,
    content_type: &str,
    body: impl FnOnce() -> String,
) -> Answer {
    // Without a URL for an issuer the API server doesn't install the two documents at all.
    if !cluster.options.issuer.starts_with("https://") {
        return Answer::not_found();
    }
    if !accepts(accept, content_type) {
        return Answer::not_acceptable(content_type);
    }
    Answer::document(content_type, body())
}

fn accepts(accept: Option<&str>, content_type: &str) -> bool {
    let Some(accept) = accept else { return true };
    accept
        .split(',')
        .filter_map(|part| part.split(';').next())
        .any(|range| matches!(range.trim(), "*/*") || range.trim() == content_type)
}

fn algorithms(cluster: &Cluster) -> BTreeSet<&'static str> {
    lock(&cluster.keys).published.iter().map(|key| key.alg()).collect()
}
