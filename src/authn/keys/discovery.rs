//! Evaluation of OIDC discovery documents (OpenID Connect Discovery 1.0 section 4).

use crate::callout::what_is;
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

/// The `jwks_uri` of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksUri {
    /// The URI, cut for messages.
    pub text: String,
    /// Path and query.
    pub path: String,
    authority: String,
}

/// The `jwks_uri`, if the document's `issuer` is one of `issuers`.
pub fn jwks_uri(json: &[u8], issuers: &[String]) -> Result<JwksUri, DiscoveryError> {
    let not_a_document =
        |why: String| DiscoveryError::NotADocument(what_is(json).map_or(why, str::to_owned));
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
    JwksUri::parse(&document.jwks_uri)
        .ok_or_else(|| DiscoveryError::BadUri(cut(document.jwks_uri.clone())))
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

/// Host and port in lower case, with the default port.
fn canonical(authority: &str) -> String {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port = authority.rsplit_once(':').filter(|(_, port)| is_port(port));
    let port = if port.is_some() { "" } else { ":443" };
    format!("{}{port}", authority.to_ascii_lowercase())
}

// === impl JwksUri ===

impl JwksUri {
    fn parse(uri: &str) -> Option<Self> {
        let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
        let rest = rest.split('#').next()?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = checked_path(&format!("{slash}{path}"))?;
        Some(Self { text: cut(uri.to_owned()), path, authority: canonical(authority) })
    }

    /// Whether it is on the server with this `:authority`.
    pub fn is_at(&self, authority: &str) -> bool {
        self.authority == canonical(authority)
    }
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

    fn path(issuer: &str, uri: &str) -> Result<String, DiscoveryError> {
        uri_of(issuer, uri).map(|uri| uri.path)
    }

    fn uri_of(issuer: &str, jwks_uri: &str) -> Result<JwksUri, DiscoveryError> {
        let json = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}"}}"#);
        super::jwks_uri(json.as_bytes(), &["https://a".to_owned(), "https://b".to_owned()])
    }

    #[test]
    fn hosts_are_compared_in_lower_case_with_443_as_default_port() {
        for (uri, authority, same) in [
            ("https://h/k", "h", true),
            ("https://H.Example/k", "h.example:443", true),
            ("https://h:443/k", "H", true),
            ("https://h:6443/k", "h:6443", true),
            ("https://h:6443/k", "h", false),
            ("https://h.example/k", "h", false),
            ("https://[::1]/k", "[::1]:443", true),
            ("https://[::1]:6443/k", "[::1]", false),
            ("https://h?k=h2", "h", true),
            ("https://h@evil/k", "h", false),
        ] {
            assert_eq!(
                uri_of("https://a", uri).unwrap().is_at(authority),
                same,
                "{uri} {authority}"
            );
        }
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
            assert_eq!(super::jwks_uri(json.as_bytes(), &["https://a".to_owned()]), Err(expected));
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
