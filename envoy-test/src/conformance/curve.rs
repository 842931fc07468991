//! The NIST curves: their numbers, and public keys that make any r and s a signature of any text.

use num_bigint::BigUint;
use p256::ecdsa::RecoveryId;
use ring::digest::{self, Algorithm, SHA256, SHA384, SHA512};
use serde_json::{Value, json};

use super::encode;
use crate::keys::KeyKind;

/// A curve, with the algorithm that signs on it.
pub(super) struct Curve {
    pub(super) alg: &'static str,
    pub(super) crv: &'static str,
    pub(super) kind: KeyKind,
    /// How many bytes a coordinate has, and each half of a signature.
    pub(super) bytes: usize,
    hash: &'static Algorithm,
    order: &'static str,
    prime: &'static str,
    recover: Recover,
}

/// Hash, r || s, and whether r is an x that was reduced by the order -> the point of the key.
type Recover = fn(&[u8], &[u8], bool) -> Option<Vec<u8>>;

macro_rules! recover {
    ($curve:ident) => {
        |hash, signature, reduced| {
            use $curve::ecdsa::{Signature, VerifyingKey};
            let signature = Signature::from_slice(signature).ok()?;
            let id = RecoveryId::new(false, reduced);
            let key = VerifyingKey::recover_from_prehash(hash, &signature, id).ok()?;
            Some(key.to_sec1_point(false).as_bytes().to_vec())
        }
    };
}

// === impl Curve ===

impl Curve {
    /// The order n of the base point.
    pub(super) fn order(&self) -> BigUint {
        number(self.order)
    }

    /// The prime p of the field.
    pub(super) fn prime(&self) -> BigUint {
        number(self.prime)
    }

    pub(super) fn digest(&self, text: &[u8]) -> Vec<u8> {
        digest::digest(self.hash, text).as_ref().to_vec()
    }

    /// In as many bytes as a coordinate; `None` where it needs more.
    pub(super) fn fixed(&self, number: &BigUint) -> Option<Vec<u8>> {
        let bytes = number.to_bytes_be();
        let zeros = self.bytes.checked_sub(bytes.len())?;
        Some([vec![0; zeros], bytes].concat())
    }

    /// r || s, as JOSE has it.
    pub(super) fn signature(&self, r: &BigUint, s: &BigUint) -> Option<Vec<u8>> {
        Some([self.fixed(r)?, self.fixed(s)?].concat())
    }

    /// The key, as a JWK, of which (r, s) is a signature on `digest`; `None` where r is no point's x.
    ///
    /// Q = (sR - zG) / r: its private key is unknown, and not needed.
    pub(super) fn key_for(&self, digest: &[u8], r: &BigUint, s: &BigUint) -> Option<Value> {
        self.recovered(digest, r, s, false)
    }

    /// The same where r is the x of a point beyond the order, less the order.
    pub(super) fn key_beyond(&self, digest: &[u8], r: &BigUint, s: &BigUint) -> Option<Value> {
        self.recovered(digest, r, s, true)
    }

    fn recovered(&self, digest: &[u8], r: &BigUint, s: &BigUint, reduced: bool) -> Option<Value> {
        let point = (self.recover)(digest, &self.signature(r, s)?, reduced)?;
        let (_uncompressed, point) = point.split_first()?;
        let (x, y) = point.split_at(self.bytes);
        Some(self.jwk(x, y))
    }

    pub(super) fn jwk(&self, x: &[u8], y: &[u8]) -> Value {
        json!({ "kty": "EC", "use": "sig", "crv": self.crv, "x": encode(x), "y": encode(y) })
    }
}

fn number(hexadecimal: &str) -> BigUint {
    BigUint::parse_bytes(hexadecimal.as_bytes(), 16).expect("hexadecimal")
}

/// FIPS 186-4 appendix D.1.2.
pub(super) static CURVES: [Curve; 3] = [
    Curve {
        alg: "ES256",
        crv: "P-256",
        kind: KeyKind::P256,
        bytes: 32,
        hash: &SHA256,
        order: "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        prime: "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
        recover: recover!(p256),
    },
    Curve {
        alg: "ES384",
        crv: "P-384",
        kind: KeyKind::P384,
        bytes: 48,
        hash: &SHA384,
        order: "ffffffffffffffffffffffffffffffffffffffffffffffff\
                c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        prime: "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe\
                ffffffff0000000000000000ffffffff",
        recover: recover!(p384),
    },
    Curve {
        alg: "ES512",
        crv: "P-521",
        kind: KeyKind::P521,
        bytes: 66,
        hash: &SHA512,
        order: "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa\
                51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        prime: "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
                ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        recover: recover!(p521),
    },
];
