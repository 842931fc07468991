//! A PKCS#8 key and a block come in; the bare RSA private key operation on the block goes out.
//!
//! Libraries sign what they have padded themselves, and rightly so. Tests need to sign what is padded wrongly.

use der::asn1::{AnyRef, OctetStringRef, UintRef};
use der::{Decode, Sequence};
use num_bigint::BigUint;

/// RFC 5958 section 2.
#[derive(Sequence)]
struct PrivateKeyInfo<'a> {
    version: u8,
    algorithm: AnyRef<'a>,
    key: &'a OctetStringRef,
}

/// RFC 8017 appendix A.1.2.
#[derive(Sequence)]
struct RsaPrivateKey<'a> {
    version: u8,
    n: UintRef<'a>,
    e: UintRef<'a>,
    d: UintRef<'a>,
    p: UintRef<'a>,
    q: UintRef<'a>,
    dp: UintRef<'a>,
    dq: UintRef<'a>,
    qi: UintRef<'a>,
}

/// `None` where the block is not below the modulus.
pub(super) fn power(pkcs8: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let info = PrivateKeyInfo::from_der(pkcs8).expect("PKCS#8");
    let key = RsaPrivateKey::from_der(info.key.as_bytes()).expect("PKCS#1");
    raise(key.n.as_bytes(), key.d.as_bytes(), block)
}

/// The same with the numbers of a key.
pub(crate) fn raise(n: &[u8], d: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let [modulus, exponent, block] = [n, d, block].map(BigUint::from_bytes_be);
    if block >= modulus {
        return None;
    }
    let power = block.modpow(&exponent, &modulus).to_bytes_be();
    Some([vec![0; n.len() - power.len()], power].concat())
}
