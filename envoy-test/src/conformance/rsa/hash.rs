//! The hashes of RS256, RS384 and RS512, and others that they must not be taken for.

use aws_lc_rs::digest::{
    self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA3_256, SHA224, SHA256, SHA384, SHA512, SHA512_256,
};

/// A hash, with its object identifier.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    /// The JOSE algorithm that uses it, or what else it is called.
    pub(super) alg: &'static str,
    algorithm: &'static Algorithm,
    /// The content of its OID (RFC 8017 appendix B.1).
    pub(super) oid: &'static [u8],
}

// === impl Hash ===

impl Hash {
    pub(super) fn of(&self, text: &[u8]) -> Vec<u8> {
        digest::digest(self.algorithm, text).as_ref().to_vec()
    }
}

pub(super) static HASHES: [Hash; 3] = [
    Hash { alg: "RS256", algorithm: &SHA256, oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1] },
    Hash { alg: "RS384", algorithm: &SHA384, oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2] },
    Hash { alg: "RS512", algorithm: &SHA512, oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3] },
];

pub(super) static OTHERS: [Hash; 4] = [
    Hash { alg: "SHA-1", algorithm: &SHA1_FOR_LEGACY_USE_ONLY, oid: &[0x2b, 0x0e, 3, 2, 0x1a] },
    Hash { alg: "SHA-224", algorithm: &SHA224, oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4] },
    Hash {
        alg: "SHA-512/256",
        algorithm: &SHA512_256,
        oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 6],
    },
    Hash { alg: "SHA3-256", algorithm: &SHA3_256, oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 8] },
];
