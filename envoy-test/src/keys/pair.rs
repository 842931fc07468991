//! A key kind, an algorithm and a message come in; JOSE signatures and DER public keys go out.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaEncoding, UnparsedPublicKey,
    VerificationAlgorithm,
};

use super::KeyKind;

pub(super) enum KeyPair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>, &'static str),
}

// === impl KeyPair ===

impl KeyPair {
    pub(super) fn generate(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Rsa2048 => Self::rsa(KeySize::Rsa2048),
            KeyKind::Rsa3072 => Self::rsa(KeySize::Rsa3072),
            KeyKind::Rsa4096 => Self::rsa(KeySize::Rsa4096),
            KeyKind::P256 => Self::ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "ES256"),
            KeyKind::P384 => Self::ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "ES384"),
            KeyKind::P521 => Self::ec(&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "ES512"),
        }
    }

    fn rsa(size: KeySize) -> Self {
        Self::Rsa(Box::new(RsaKeyPair::generate(size).expect("RSA key generation")))
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, alg: &'static str) -> Self {
        Self::Ec(Box::new(EcdsaKeyPair::generate(algorithm).expect("EC key generation")), alg)
    }

    pub(super) fn takes(&self, alg: &str) -> bool {
        match self {
            Self::Rsa(_) => rsa_encoding(alg).is_some(),
            Self::Ec(_, own) => *own == alg,
        }
    }

    pub(super) fn sign(&self, alg: &str, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa_encoding(alg)?, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(pair, own) if *own == alg => {
                Some(pair.sign(&random, message).ok()?.as_ref().to_vec())
            }
            Self::Ec(..) => None,
        }
    }

    pub(super) fn verify(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        self.takes(alg)
            && verification(alg).is_some_and(|algorithm| {
                UnparsedPublicKey::new(algorithm, self.public_bytes())
                    .verify(message, signature)
                    .is_ok()
            })
    }

    pub(super) fn spki_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Rsa(pair) => pair.public_key().as_der().expect("an RSA key has a DER form"),
            Self::Ec(pair, _) => pair.public_key().as_der().expect("an EC key has a DER form"),
        };
        der.as_ref().to_vec()
    }

    pub(super) fn pkcs1_der(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(_) => Some(self.public_bytes().to_vec()),
            Self::Ec(..) => None,
        }
    }

    /// RSA: modulus and exponent, big endian without leading zeros.
    pub(super) fn modulus_and_exponent(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let Self::Rsa(pair) = self else { return None };
        let public = pair.public_key();
        let bytes = |part: &[u8]| part.to_vec();
        Some((
            bytes(public.modulus().big_endian_without_leading_zero()),
            bytes(public.exponent().big_endian_without_leading_zero()),
        ))
    }

    /// RSA: block to the power of the private exponent, as long as the modulus.
    pub(super) fn rsa_private(&self, block: &[u8]) -> Option<Vec<u8>> {
        let Self::Rsa(pair) = self else { return None };
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("an RSA key has a PKCS#8 form");
        super::private::power(der.as_ref(), block)
    }

    /// EC: the two coordinates, each of the curve's full length.
    pub(super) fn coordinates(&self) -> Option<(&[u8], &[u8])> {
        let Self::Ec(pair, _) = self else { return None };
        let (_uncompressed, point) = pair.public_key().as_ref().split_first()?;
        Some(point.split_at(point.len() / 2))
    }

    fn public_bytes(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ec(pair, _) => pair.public_key().as_ref(),
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
        "ES512" => &signature::ECDSA_P521_SHA512_FIXED,
        _ => return None,
    })
}
