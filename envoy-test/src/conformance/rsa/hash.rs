//! The hashes of RS256, RS384 and RS512, and others that they must not be taken for.

use ring::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, SHA512_256};
use sha2::Sha224;
use sha3::{Digest, Sha3_256};

/// A hash, with its object identifier.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    /// The JOSE algorithm that uses it, or what else it is called.
    pub(super) alg: &'static str,
    digest: Digested,
    /// The content of its OID (RFC 8017 appendix B.1).
    pub(super) oid: &'static [u8],
}

/// ring's, and two that ring does not have.
#[derive(Clone, Copy)]
enum Digested {
    By(&'static Algorithm),
    Sha224,
    Sha3_256,
}

// === impl Hash ===

impl Hash {
    pub(super) fn of(&self, text: &[u8]) -> Vec<u8> {
        match self.digest {
            Digested::By(algorithm) => digest::digest(algorithm, text).as_ref().to_vec(),
            Digested::Sha224 => Sha224::digest(text).to_vec(),
            Digested::Sha3_256 => Sha3_256::digest(text).to_vec(),
        }
    }
}

pub(super) static HASHES: [Hash; 3] = [
    Hash {
        alg: "RS256",
        digest: Digested::By(&SHA256),
        oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1],
    },
    Hash {
        alg: "RS384",
        digest: Digested::By(&SHA384),
        oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2],
    },
    Hash {
        alg: "RS512",
        digest: Digested::By(&SHA512),
        oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3],
    },
];

pub(super) static OTHERS: [Hash; 4] = [
    Hash {
        alg: "SHA-1",
        digest: Digested::By(&SHA1_FOR_LEGACY_USE_ONLY),
        oid: &[0x2b, 0x0e, 3, 2, 0x1a],
    },
    Hash {
        alg: "SHA-224",
        digest: Digested::Sha224,
        oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4],
    },
    Hash {
        alg: "SHA-512/256",
        digest: Digested::By(&SHA512_256),
        oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 6],
    },
    Hash {
        alg: "SHA3-256",
        digest: Digested::Sha3_256,
        oid: &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 8],
    },
];
