//! Public keys as JWK and JWKS (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::{KeyKind, SigningKey};

/// The members in the order in which the API server prints them.
#[derive(Serialize)]
pub(super) struct Jwk<'k> {
    #[serde(rename = "use")]
    usage: &'static str,
    kty: &'static str,
    kid: &'k str,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<&'static str>,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

#[derive(Serialize)]
struct Jwks<'k> {
    keys: Vec<Jwk<'k>>,
}

// === impl Jwk ===

impl<'k> Jwk<'k> {
    pub(super) fn of(key: &'k SigningKey) -> Self {
        let (n, e) = key.0.pair.modulus_and_exponent().map(both).unzip();
        let (x, y) = key.0.pair.coordinates().map(both).unzip();
        let kty = if key.kind().is_rsa() { "RSA" } else { "EC" };
        let crv = curve(key.kind());
        Self { usage: "sig", kty, kid: key.kid(), crv, alg: key.alg(), n, e, x, y }
    }
}

/// The JWKS of these keys.
pub fn jwks(keys: &[&SigningKey]) -> serde_json::Value {
    serde_json::json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() })
}

/// The JWKS as the API server writes it, byte for byte.
pub(crate) fn jwks_text(keys: &[SigningKey]) -> String {
    let keys = keys.iter().map(Jwk::of).collect();
    serde_json::to_string(&Jwks { keys }).expect("a JWKS is plain JSON")
}

// === private ===

fn curve(kind: KeyKind) -> Option<&'static str> {
    match kind {
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => None,
        KeyKind::P256 => Some("P-256"),
        KeyKind::P384 => Some("P-384"),
        #[cfg(feature = "full")]
        KeyKind::P521 => Some("P-521"),
    }
}

fn both<B: AsRef<[u8]>>((first, second): (B, B)) -> (String, String) {
    (URL_SAFE_NO_PAD.encode(first), URL_SAFE_NO_PAD.encode(second))
}
