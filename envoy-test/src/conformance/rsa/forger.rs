//! Signatures without the private key, for exponents that are small enough for that.

use num_bigint::BigUint;

use super::hash::HASHES;
use super::{blocks, digest_info, modulus};
use crate::keys::SigningKey;

/// An attacker with only the public key.
pub(in crate::conformance) struct Forger {
    n: BigUint,
}

// === impl Forger ===

impl Forger {
    pub(in crate::conformance) fn of(key: &SigningKey) -> Self {
        Self { n: modulus(key) }
    }

    /// An RS256 signature for a verifier that takes this exponent and, unless it is 1, does not look at the
    /// end of the block: a root of a number that begins as a right block does (Bleichenbacher, 2006).
    pub(in crate::conformance) fn sign(&self, text: &[u8], e: u32) -> Vec<u8> {
        let info = digest_info::right(&HASHES[0], text);
        let root = match e {
            1 => BigUint::from_bytes_be(&blocks::right(&info)),
            _ => BigUint::from_bytes_be(&ending_in_ones(&info)).nth_root(e),
        };
        let bytes = root.to_bytes_be();
        [vec![0; BYTES - bytes.len()], bytes].concat()
    }

    /// Whether the forgery for this exponent is one.
    pub(in crate::conformance) fn would_fool(&self, e: u32) -> bool {
        let info = digest_info::right(&HASHES[0], b"text");
        let signature = BigUint::from_bytes_be(&self.sign(b"text", e));
        let block = signature.modpow(&BigUint::from(e), &self.n).to_bytes_be();
        // Without its first zero.
        let start = 2 + PADDING;
        block.len() == BYTES - 1
            && match e {
                1 => block.ends_with(&info),
                _ => block[start..].starts_with(&info) && block[..start - 1] == *START,
            }
    }
}

/// The largest number that begins as such a block.
fn ending_in_ones(info: &[u8]) -> Vec<u8> {
    let mut block = [&[0], START.as_slice(), &[0], info].concat();
    block.resize(BYTES, 0xff);
    block
}

/// 1 and eight bytes of padding.
const START: &[u8; 1 + PADDING] = b"\x01\xff\xff\xff\xff\xff\xff\xff\xff";
const PADDING: usize = 8;
const BYTES: usize = 256;
