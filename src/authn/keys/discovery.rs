//! Evaluation of OIDC discovery documents (OpenID Connect Discovery 1.0 section 4).

use serde::Deserialize;
use std::fmt;

/// The path of the discovery document. The API server's ClusterRole system:service-account-issuer-discovery does not
/// allow the path with a trailing slash.
pub const PATH: &str = "/.well-known/openid-configuration";

/// The API server's document lacks `authorization_endpoint`, so only these members are required.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Why a discovery document is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoveryError {
    /// Not JSON, or without `issuer` or `jwks_uri`.
    NotADocument(String),
    /// The `issuer` differs (section 4.3: must be identical). Contains the first bytes of it.
    OtherIssuer(String),
    /// `jwks_uri` is not an http(s) URL.
    BadUri(String),
}

/// The path and query of `jwks_uri`, if the document's `issuer` is one of `issuers`.
///
/// The host of `jwks_uri` is ignored: it is often an address that the API server's certificate does not cover, and only
/// the configuration selects the cluster.
pub fn jwks_path(json: &[u8], issuers: &[String]) -> Result<String, DiscoveryError> {
    let not_a_document = |why: String| DiscoveryError::NotADocument(why);
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| not_a_document(error.to_string()))?;
    if !value.is_object() {
        return Err(not_a_document("not a JSON object".to_owned()));
    }
    let document =
        Document::deserialize(value).map_err(|error| not_a_document(error.to_string()))?;
    if !issuers.contains(&document.issuer) {
        return Err(DiscoveryError::OtherIssuer(cut(document.issuer)));
    }
    path_of(&document.jwks_uri)
        .ok_or_else(|| DiscoveryError::BadUri(cut(document.jwks_uri.clone())))
}

fn path_of(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
    let rest = rest.split('#').next()?;
    let path = match rest.find(['/', '?']) {
        Some(at) => rest.get(at..)?,
        None => "",
    };
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    checked_path(&path)
}

/// Rejects paths that cannot be sent as `:path`.
pub(super) fn checked_path(path: &str) -> Option<String> {
    let fits = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| path.to_owned())
}

fn cut(mut text: String) -> String {
    let end = (0..=MAX_SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    text.truncate(end);
    text
}

// === impl DiscoveryError ===

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADocument(why) => write!(f, "not a discovery document: {why}"),
            Self::OtherIssuer(issuer) => write!(
                f,
                "discovery document is for issuer {issuer:?}; set `issuer` to this value, or add it \
                 to `aliases`"
            ),
            Self::BadUri(uri) => write!(f, "jwks_uri {uri:?} is not an http or https URL"),
        }
    }
}

const MAX_SHOWN: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(issuer: &str, jwks_uri: &str) -> Result<String, DiscoveryError> {
        let json = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}"}}"#);
        jwks_path(json.as_bytes(), &["https://a".to_owned(), "https://b".to_owned()])
    }

    #[test]
    fn only_path_and_query_of_the_uri_are_taken() {
        for (uri, expected) in [
            ("https://192.168.49.2:8443/openid/v1/jwks", "/openid/v1/jwks"),
            ("https://h/keys?v=1#part", "/keys?v=1"),
            ("https://h?v=1", "/?v=1"),
            ("http://h", "/"),
        ] {
            assert_eq!(path("https://b", uri), Ok(expected.to_owned()), "{uri}");
        }
    }

    #[test]
    fn uri_without_a_valid_path_is_rejected() {
        for uri in
            ["'https://h/keys'", "/keys", "ftp://h/keys", "https://h/a b", "https://h/\u{fc}"]
        {
            assert_eq!(path("https://a", uri), Err(DiscoveryError::BadUri(uri.to_owned())));
        }
    }

    #[test]
    fn json_that_is_no_object_is_no_document() {
        for json in ["[]", "null", r#"["https://a","https://h/keys"]"#] {
            let expected = DiscoveryError::NotADocument("not a JSON object".to_owned());
            assert_eq!(jwks_path(json.as_bytes(), &["https://a".to_owned()]), Err(expected));
        }
    }

    #[test]
    fn document_of_another_issuer_is_rejected() {
        assert_eq!(
            path("https://a/", "https://h/keys"),
            Err(DiscoveryError::OtherIssuer("https://a/".to_owned()))
        );
    }
}
