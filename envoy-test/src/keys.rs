//! Signing keys of every kind, published as in Kubernetes.

#[cfg(feature = "full")]
mod foreign;
mod jwk;
#[cfg(feature = "full")]
mod p521;
mod pair;
pub(crate) mod rsa;
#[cfg(feature = "full")]
mod twin;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;

pub use jwk::jwks;
pub(crate) use jwk::jwks_text;
use pair::KeyPair;
#[cfg(feature = "full")]
pub use twin::twin;

/// The keys that a Kubernetes API server can sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, 2048 bits: what most clusters have.
    Rsa2048,
    /// RSA, 3072 bits.
    Rsa3072,
    /// RSA, 4096 bits: the largest that the filter takes.
    Rsa4096,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    #[cfg(feature = "full")]
    P521,
}

impl KeyKind {
    /// Whether this is one of the RSA sizes.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096)
    }
}

/// A key pair; clones share it.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    kind: KeyKind,
    pair: KeyPair,
    spki_der: Vec<u8>,
    kid: String,
}

// === impl SigningKey ===

impl SigningKey {
    /// Makes a new key.
    pub fn generate(kind: KeyKind) -> Self {
        let pair = KeyPair::generate(kind);
        let spki_der = pair.spki_der();
        let kid = kubernetes_kid(&spki_der);
        Self(Arc::new(Inner { kind, pair, spki_der, kid }))
    }

    /// The kind it was generated as.
    pub fn kind(&self) -> KeyKind {
        self.0.kind
    }

    /// The `kid` that Kubernetes derives: base64url(SHA-256(SubjectPublicKeyInfo)).
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The algorithm that the API server signs with: RS256 for RSA, the curve's for EC.
    pub fn alg(&self) -> &'static str {
        match self.0.kind {
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => "RS256",
            KeyKind::P256 => "ES256",
            KeyKind::P384 => "ES384",
            #[cfg(feature = "full")]
            KeyKind::P521 => "ES512",
        }
    }

    /// The public key as the API server prints it in its JWKS.
    pub fn jwk(&self) -> serde_json::Value {
        serde_json::to_value(jwk::Jwk::of(self)).expect("a Jwk is plain JSON")
    }

    /// The public key as DER SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.0.spki_der
    }

    /// The public key as PEM ("PUBLIC KEY").
    pub fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.0.spki_der)
    }

    /// An RSA public key as PKCS#1 PEM ("RSA PUBLIC KEY"); None for EC.
    pub fn pkcs1_pem(&self) -> Option<String> {
        self.0.pair.pkcs1_der().map(|der| pem("RSA PUBLIC KEY", &der))
    }

    /// Signs with [`SigningKey::alg`]; ECDSA signatures are r||s, as JOSE wants them.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.sign_as(self.alg(), message)
    }

    /// Signs with another algorithm of the same family, such as RS384 or PS256.
    ///
    /// # Panics
    /// If this key can't sign with `alg`.
    pub fn sign_as(&self, alg: &str, message: &[u8]) -> Vec<u8> {
        self.0
            .pair
            .sign(alg, message)
            .unwrap_or_else(|| panic!("{:?} can't sign {alg}", self.0.kind))
    }

    /// The arguments of Envoy's `verify_signature` with which it finds this key's signature of `message`
    /// genuine; `None` for curves other than P-256.
    #[cfg(feature = "full")]
    pub fn verify_arguments(&self, message: &[u8]) -> Option<Vec<u8>> {
        foreign::verify_arguments(self, message)
    }

    /// Whether `sign_as` would take `alg`.
    pub fn can_sign(&self, alg: &str) -> bool {
        self.0.pair.takes(alg)
    }

    /// An RSA key's modulus, big-endian; None for EC.
    #[cfg(feature = "full")]
    pub(crate) fn rsa_modulus(&self) -> Option<Vec<u8>> {
        self.0.pair.modulus_and_exponent().map(|(n, _)| n)
    }

    /// The bare RSA private key operation, on a block of any content; None for EC and for blocks that are
    /// not below the modulus.
    #[cfg(feature = "full")]
    pub(crate) fn rsa_private(&self, block: &[u8]) -> Option<Vec<u8>> {
        self.0.pair.rsa_private(block)
    }

    /// Whether `signature` (JOSE form) is this key's on `message`; false for algorithms it has not.
    pub fn verify(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        self.0.pair.verify(alg, message, signature)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({:?}, {})", self.0.kind, self.0.kid)
    }
}

// === private ===

fn kubernetes_kid(spki_der: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, spki_der))
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        (0..text.len()).step_by(64).map(|start| &text[start..text.len().min(start + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests;
