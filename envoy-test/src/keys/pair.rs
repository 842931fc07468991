//! Key pairs of each kind: signs and verifies JOSE signatures, and writes the public key as DER.

use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaEncoding, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::KeyKind;
#[cfg(feature = "full")]
use super::p521::P521Key;
use super::rsa::RsaKey;
use crate::der::{BIT_STRING, NULL, OID, sequence, tlv};

pub(super) enum KeyPair {
    Rsa(Box<RsaKey>),
    Ec {
        pair: Box<EcdsaKeyPair>,
        alg: &'static str,
        curve: &'static [u8],
    },
    #[cfg(feature = "full")]
    P521(Box<P521Key>),
}

// === impl KeyPair ===

impl KeyPair {
    pub(super) fn generate(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Rsa2048 => Self::rsa(2048),
            KeyKind::Rsa3072 => Self::rsa(3072),
            KeyKind::Rsa4096 => Self::rsa(4096),
            KeyKind::P256 => Self::ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "ES256", P256),
            KeyKind::P384 => Self::ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "ES384", P384),
            #[cfg(feature = "full")]
            KeyKind::P521 => Self::P521(Box::new(P521Key::generate())),
        }
    }

    fn rsa(bits: usize) -> Self {
        Self::Rsa(Box::new(RsaKey::generate(bits)))
    }

    fn ec(
        algorithm: &'static EcdsaSigningAlgorithm,
        alg: &'static str,
        curve: &'static [u8],
    ) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("EC key generation");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random);
        Self::Ec { pair: Box::new(pair.expect("ring reads its own key")), alg, curve }
    }

    pub(super) fn takes(&self, alg: &str) -> bool {
        match self {
            Self::Rsa(_) => rsa_encoding(alg).is_some(),
            Self::Ec { alg: own, .. } => *own == alg,
            #[cfg(feature = "full")]
            Self::P521(_) => alg == "ES512",
        }
    }

    pub(super) fn sign(&self, alg: &str, message: &[u8]) -> Option<Vec<u8>> {
        if !self.takes(alg) {
            return None;
        }
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.n.len()];
                key.pair.sign(rsa_encoding(alg)?, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec { pair, .. } => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            #[cfg(feature = "full")]
            Self::P521(key) => key.sign(message),
        }
    }

    pub(super) fn verify(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        self.takes(alg)
            && match self {
                #[cfg(feature = "full")]
                Self::P521(key) => key.verify(message, signature),
                Self::Rsa(_) | Self::Ec { .. } => verification(alg).is_some_and(|algorithm| {
                    UnparsedPublicKey::new(algorithm, self.public_bytes())
                        .verify(message, signature)
                        .is_ok()
                }),
            }
    }

    /// SubjectPublicKeyInfo (RFC 5280 section 4.1).
    pub(super) fn spki_der(&self) -> Vec<u8> {
        let algorithm = match self {
            Self::Rsa(_) => sequence(&[&tlv(OID, RSA_ENCRYPTION), NULL]),
            Self::Ec { curve, .. } => sequence(&[&tlv(OID, EC_PUBLIC_KEY), &tlv(OID, curve)]),
            #[cfg(feature = "full")]
            Self::P521(_) => sequence(&[&tlv(OID, EC_PUBLIC_KEY), &tlv(OID, P521)]),
        };
        let key = [&[0], self.public_bytes()].concat();
        sequence(&[&algorithm, &tlv(BIT_STRING, &key)])
    }

    pub(super) fn pkcs1_der(&self) -> Option<Vec<u8>> {
        let Self::Rsa(_) = self else { return None };
        Some(self.public_bytes().to_vec())
    }

    /// RSA: modulus and exponent, big endian without leading zeros.
    pub(super) fn modulus_and_exponent(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let Self::Rsa(key) = self else { return None };
        Some((key.n.clone(), key.e.clone()))
    }

    /// RSA: block to the power of the private exponent, as long as the modulus.
    #[cfg(feature = "full")]
    pub(super) fn rsa_private(&self, block: &[u8]) -> Option<Vec<u8>> {
        let Self::Rsa(key) = self else { return None };
        key.raise(block)
    }

    /// EC: the two coordinates, each of the curve's full length.
    pub(super) fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        if let Self::Rsa(_) = self {
            return None;
        }
        let (_uncompressed, point) = self.public_bytes().split_first()?;
        Some(point.split_at(point.len() / 2))
    }

    /// RSA: PKCS#1 RSAPublicKey. EC: the uncompressed point.
    fn public_bytes(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.pair.public_key().as_ref(),
            Self::Ec { pair, .. } => pair.public_key().as_ref(),
            #[cfg(feature = "full")]
            Self::P521(key) => key.public(),
        }
    }
}

// === private ===

fn rsa_encoding(alg: &str) -> Option<&'static dyn RsaEncoding> {
    Some(match alg {
        "RS256" => &signature::RSA_PKCS1_SHA256,
        "RS384" => &signature::RSA_PKCS1_SHA384,
        "RS512" => &signature::RSA_PKCS1_SHA512,
        "PS256" => &signature::RSA_PSS_SHA256,
        "PS384" => &signature::RSA_PSS_SHA384,
        "PS512" => &signature::RSA_PSS_SHA512,
        _ => return None,
    })
}

fn verification(alg: &str) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match alg {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        "ES256" => &signature::ECDSA_P256_SHA256_FIXED,
        "ES384" => &signature::ECDSA_P384_SHA384_FIXED,
        _ => return None,
    })
}

/// RFC 8017 appendix C.
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// RFC 5480 section 2.1.1.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[0x2b, 0x81, 4, 0, 0x22];
#[cfg(feature = "full")]
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];
