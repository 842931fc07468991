//! Verifies a token with the cluster's keys, and returns its claims.
//!
//! As lenient as the API server itself: stray bits in base64url, any algorithm of the key's family,
//! a missing kid.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use crate::keys::SigningKey;

use super::Refusal;

pub(super) struct Jws<'t> {
    pub(super) claims: Value,
    header: Value,
    input: &'t str,
    signature: Vec<u8>,
}

// === impl Jws ===

impl<'t> Jws<'t> {
    pub(super) fn parse(token: &'t str) -> Option<Self> {
        let (input, signature) = token.rsplit_once('.')?;
        let (header, payload) = input.split_once('.')?;
        let decode = |part: &str| LENIENT.decode(part).ok();
        Some(Self {
            claims: serde_json::from_slice(&decode(payload)?).ok()?,
            header: serde_json::from_slice(&decode(header)?).ok()?,
            input,
            signature: decode(signature)?,
        })
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.claims["iss"].as_str()
    }

    pub(super) fn verify(&self, keys: &[SigningKey]) -> Result<(), Refusal> {
        let kid = self.header["kid"].as_str();
        let fits = |key: &&SigningKey| kid.is_none_or(|kid| key.kid() == kid);
        let candidates: Vec<_> = keys.iter().filter(fits).collect();
        if candidates.is_empty() {
            return Err("invalid signature, no keys found".to_owned());
        }
        let alg = self.header["alg"].as_str().unwrap_or_default();
        let genuine = |key: &&SigningKey| key.verify(alg, self.input.as_bytes(), &self.signature);
        if self.header.get("crit").is_some() || !candidates.iter().any(genuine) {
            return Err("go-jose/go-jose: error in cryptographic primitive".to_owned());
        }
        Ok(())
    }
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);
