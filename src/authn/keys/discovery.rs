//! An OIDC discovery document -> where the issuer's JWKS is (OpenID Connect Discovery 1.0 section 4).

use serde::Deserialize;
use std::fmt;

/// Where every issuer's document is. A trailing slash would be another path, which the API server's
/// RBAC does not open.
pub const PATH: &str = "/.well-known/openid-configuration";

/// The API server's document has no `authorization_endpoint`, so nothing else is asked for.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    jwks_uri: String,
}

/// Why a discovery document is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscoveryError {
    /// Not JSON, or without `issuer` or `jwks_uri`.
    NotADocument(String),
    /// It speaks for another issuer (section 4.3: it must be identical). What it says, cut short.
    OtherIssuer(String),
    /// A `jwks_uri` that is no http(s) URL.
    BadUri(String),
}

/// The path and query of `jwks_uri`, if the document speaks for one of `issuers`.
///
/// The host is left out on purpose: the API server names its own address there, often one that no
/// certificate covers, and which cluster is asked is for the configuration to say, not for a document.
pub fn jwks_path(json: &[u8], issuers: &[String]) -> Result<String, DiscoveryError> {
    let not_a_document = |why: String| DiscoveryError::NotADocument(why);
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| not_a_document(error.to_string()))?;
    if !value.is_object() {
        return Err(not_a_document("not an object".to_owned()));
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

/// What goes on the wire as `:path` must be what a request line can hold.
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
                "the document is for issuer {issuer:?}: set `issuer`, or add it to `aliases`"
            ),
            Self::BadUri(uri) => write!(f, "jwks_uri {uri:?} is no http(s) URL"),
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
    fn a_uri_that_cannot_be_a_path_is_refused() {
        for uri in
            ["'https://h/keys'", "/keys", "ftp://h/keys", "https://h/a b", "https://h/\u{fc}"]
        {
            assert_eq!(path("https://a", uri), Err(DiscoveryError::BadUri(uri.to_owned())));
        }
    }

    #[test]
    fn json_that_is_no_object_is_no_document() {
        for json in ["[]", "null", r#"["https://a","https://h/keys"]"#] {
            let expected = DiscoveryError::NotADocument("not an object".to_owned());
            assert_eq!(jwks_path(json.as_bytes(), &["https://a".to_owned()]), Err(expected));
        }
    }

    #[test]
    fn a_document_of_another_issuer_is_refused() {
        assert_eq!(
            path("https://a/", "https://h/keys"),
            Err(DiscoveryError::OtherIssuer("https://a/".to_owned()))
        );
    }
}
