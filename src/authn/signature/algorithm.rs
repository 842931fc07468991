//! The signature algorithms of Kubernetes API servers (RFC 7518 sections 3.3 and 3.4).
//!
//! The enum excludes `none`, HMAC, PSS and EdDSA, so that algorithm confusion (RFC 8725 section 2.1) is not possible.

use super::public_key::{Curve, PublicKey};

/// A signature algorithm. It is a property of the key, not of the token (RFC 8725 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
}

/// The signature format of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// One number, with the length of the modulus.
    Rsa,
    /// r and s, each with the length of the curve's order.
    Ecdsa,
}

// === impl Algorithm ===

impl Algorithm {
    /// The algorithm with this JOSE name. Case matters.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The algorithm of a key without `alg`: the one that Kubernetes uses for such a key.
    pub fn default_for(key: &PublicKey) -> Self {
        match key {
            PublicKey::Rsa { .. } => Self::Rs256,
            PublicKey::Ec { curve: Curve::P256, .. } => Self::Es256,
            PublicKey::Ec { curve: Curve::P384, .. } => Self::Es384,
            PublicKey::Ec { curve: Curve::P521, .. } => Self::Es512,
        }
    }

    /// Whether `key` can be used with this algorithm.
    pub fn fits(self, key: &PublicKey) -> bool {
        match key {
            PublicKey::Rsa { .. } => self.family() == Family::Rsa,
            PublicKey::Ec { .. } => self == Self::default_for(key),
        }
    }

    /// The JOSE name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    /// The name of the hash in Envoy's `verify_signature`.
    pub const fn hash(self) -> &'static str {
        match self {
            Self::Rs256 | Self::Es256 => "sha256",
            Self::Rs384 | Self::Es384 => "sha384",
            Self::Rs512 | Self::Es512 => "sha512",
        }
    }

    /// The signature format.
    pub const fn family(self) -> Family {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 => Family::Rsa,
            Self::Es256 | Self::Es384 | Self::Es512 => Family::Ecdsa,
        }
    }

    const ALL: [Self; 6] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Es256, Self::Es384, Self::Es512];
}
