//! Any bytes as a discovery document: the result is a path, and the document has the configured issuer.

use sa_authn::authn::keys::discovery::jwks_uri;
use serde_json::Value;

use super::Target;
use crate::genuine::{DISCOVERY, ISSUER};

/// The target.
pub const TARGET: Target = Target { name: "discovery", check, seeds };

fn check(bytes: &[u8]) {
    let issuers = [ISSUER.to_owned(), "https://alias.example".to_owned()];
    let Ok(uri) = jwks_uri(bytes, &issuers) else { return };
    let path = &uri.path;
    assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()), "{path:?}");
    assert!(!path.contains('#'), "{path:?}");
    let document: Value = serde_json::from_slice(bytes).expect("the core took it for JSON");
    let issuer = document["issuer"].as_str().expect("the core found an issuer");
    assert!(issuers.iter().any(|ours| ours == issuer), "{issuer:?}");
}

fn seeds() -> Vec<Vec<u8>> {
    vec![DISCOVERY.into()]
}
