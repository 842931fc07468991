//! RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2): signatures of invalid blocks.
//!
//! The blocks are put together here and the bare private key operation is applied to them, so that
//! each is exactly what the key's owner would have to be fooled into signing.

mod blocks;
mod digest_info;
mod forger;
mod hash;
mod numbers;

use num_bigint::BigUint;
use serde_json::json;

use super::{BAD_SIGNATURE, PASSES, Table, join, signing_input, token, with};
use crate::keys::{KeyKind, SigningKey};
pub(super) use forger::Forger;
use hash::{HASHES, Hash};

/// A key that is published for one of the hashes.
struct Suite<'k> {
    key: &'k SigningKey,
    hash: &'static Hash,
    /// The modulus.
    n: BigUint,
}

pub(super) fn table() -> Table {
    let mut table = Table::new("RSA");
    let key = roomy_key();
    let larger = [KeyKind::Rsa3072, KeyKind::Rsa4096].map(SigningKey::generate);
    let mut jwks = Vec::new();
    for hash in &HASHES {
        let suite = Suite { key: &key, hash, n: modulus(&key) };
        jwks.push(with(key.jwk(), &[("kid", json!(hash.alg)), ("alg", json!(hash.alg))]));
        suite.genuine(&mut table);
        suite.blocks(&mut table);
        suite.other_schemes(&mut table);
        numbers::add(&suite, &mut table);
        for key in &larger {
            let kid = format!("{} {:?}", hash.alg, key.kind());
            jwks.push(with(key.jwk(), &[("kid", json!(kid)), ("alg", json!(hash.alg))]));
            larger_key(hash, key, &kid, &mut table);
        }
    }
    table.publish(&jwks);
    table
}

/// A key whose modulus leaves room above it in as many bytes, for numbers that are too large by it.
pub(super) fn roomy_key() -> SigningKey {
    std::iter::repeat_with(|| SigningKey::generate(KeyKind::Rsa2048))
        .find(|key| modulus(key).to_bytes_be()[0] < 0xe0)
        .expect("moduli are spread evenly")
}

/// What the private key operation is applied to.
pub(super) fn right_block(alg: &str, input: &[u8]) -> Vec<u8> {
    let hash = HASHES.iter().find(|hash| hash.alg == alg).expect("an algorithm of RSA");
    blocks::right(&digest_info::right(hash, input))
}

pub(super) fn modulus(key: &SigningKey) -> BigUint {
    BigUint::from_bytes_be(&key.rsa_modulus().expect("an RSA key"))
}

// === impl Suite ===

impl Suite<'_> {
    fn name(&self, what: &str) -> String {
        format!("{}: {what}", self.hash.alg)
    }

    fn token(&self, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        token(self.hash.alg, self.hash.alg, sign)
    }

    fn genuine(&self, table: &mut Table) {
        let genuine = self.token(|input| self.key.sign_as(self.hash.alg, input));
        table.add(self.name("signed by a library"), genuine, PASSES);
        let ours = self.token(|input| self.raw(&blocks::right(&self.info(input))));
        table.add(self.name("signed by hand"), ours, PASSES);
    }

    fn blocks(&self, table: &mut Table) {
        let input = signing_input(self.hash.alg, self.hash.alg);
        let mut add = |what: &str, block: Vec<u8>| {
            let signed = join(&input, &self.raw(&block));
            table.add(self.name(what), signed, BAD_SIGNATURE);
        };
        for (what, block) in blocks::wrong(&self.info(input.as_bytes())) {
            add(what, block);
        }
        for (what, info) in digest_info::wrong(self.hash, input.as_bytes()) {
            add(&what, blocks::right(&info));
        }
        // Not signed at all: what a key with e = 1 would take.
        let bare = join(&input, &blocks::right(&self.info(input.as_bytes())));
        table.add(self.name("the block itself for a signature"), bare, BAD_SIGNATURE);
    }

    fn other_schemes(&self, table: &mut Table) {
        for other in ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"] {
            if other == self.hash.alg {
                continue;
            }
            let signed = self.token(|input| self.key.sign_as(other, input));
            table.add(self.name(&format!("a signature of {other}")), signed, BAD_SIGNATURE);
        }
        let another = SigningKey::generate(KeyKind::Rsa2048);
        let signed = self.token(|input| another.sign_as(self.hash.alg, input));
        table.add(self.name("signed by another key"), signed, BAD_SIGNATURE);
        let signed = self.token(|_| self.key.sign_as(self.hash.alg, b"another text"));
        table.add(self.name("a signature of another text"), signed, BAD_SIGNATURE);
    }

    fn info(&self, input: &[u8]) -> Vec<u8> {
        digest_info::right(self.hash, input)
    }

    fn raw(&self, block: &[u8]) -> Vec<u8> {
        self.key.rsa_private(block).expect("an RSA key, and a block below its modulus")
    }
}

fn larger_key(hash: &Hash, key: &SigningKey, kid: &str, table: &mut Table) {
    let genuine = token(hash.alg, kid, |input| key.sign_as(hash.alg, input));
    table.add(format!("{kid}: signed by a library"), genuine, PASSES);
    let shorter = SigningKey::generate(KeyKind::Rsa2048);
    let signed = token(hash.alg, kid, |input| shorter.sign_as(hash.alg, input));
    table.add(format!("{kid}: signed by a shorter key"), signed, BAD_SIGNATURE);
    let padded = token(hash.alg, kid, |input| {
        let signature = shorter.sign_as(hash.alg, input);
        let bytes = key.rsa_modulus().map_or(0, |n| n.len());
        [vec![0; bytes - signature.len()], signature].concat()
    });
    table.add(format!("{kid}: signed by a shorter key, and padded"), padded, BAD_SIGNATURE);
}
