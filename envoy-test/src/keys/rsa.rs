//! RSA keys made of stored primes: the search for primes takes seconds in unoptimised code.
//!
//! Any two primes of a size make a key, so that a process has 2016 different keys of 2048 bits, 66 of 3072 bits and
//! 120 of 4096 bits; after that they repeat. The primes are public: these keys are for tests only.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use num_bigint::BigUint;
use ring::rand::{SecureRandom, SystemRandom};
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::RsaKeyPair;

/// A key pair that also performs the bare private key operation.
pub(super) struct RsaKey {
    pub(super) pair: RsaKeyPair,
    pub(super) n: Vec<u8>,
    pub(super) e: Vec<u8>,
    #[cfg(feature = "full")]
    d: Vec<u8>,
}

// === impl RsaKey ===

impl RsaKey {
    /// A key that this process has not used yet.
    pub(super) fn generate(bits: usize) -> Self {
        let primes: Vec<&BigUint> =
            PRIMES.iter().filter(|prime| prime.bits() == bits as u64 / 2).collect();
        let (greater, smaller) = nth_pair(primes.len(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self::of(primes[greater], primes[smaller])
    }

    fn of(one: &BigUint, other: &BigUint) -> Self {
        let (p, q) = (one.max(other), one.min(other));
        let (p1, q1) = (p - 1u32, q - 1u32);
        let e = BigUint::from(PUBLIC_EXPONENT);
        let d = e.modinv(&(&p1 * &q1)).expect("the stored primes suit the exponent");
        let q_inv = q.modinv(p).expect("two different primes");
        let bytes = BigUint::to_bytes_be;
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n: bytes(&(p * q)), e: bytes(&e) },
            d: bytes(&d),
            p: bytes(p),
            q: bytes(q),
            dP: bytes(&(&d % &p1)),
            dQ: bytes(&(&d % &q1)),
            qInv: bytes(&q_inv),
        };
        let pair = RsaKeyPair::from_components(&components).expect("the numbers belong together");
        let PublicKeyComponents { n, e } = components.public_key;
        Self {
            pair,
            n,
            e,
            #[cfg(feature = "full")]
            d: components.d,
        }
    }

    /// The block to the power of the private exponent, as long as the modulus; `None` where the block is not below
    /// the modulus. Libraries sign only what they padded themselves; tests need to sign what is padded wrongly.
    #[cfg(feature = "full")]
    pub(super) fn raise(&self, block: &[u8]) -> Option<Vec<u8>> {
        raise(&self.n, &self.d, block)
    }
}

/// The same with the numbers of any key.
#[cfg(feature = "full")]
pub(crate) fn raise(n: &[u8], d: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let [modulus, exponent, block] = [n, d, block].map(BigUint::from_bytes_be);
    if block >= modulus {
        return None;
    }
    let power = block.modpow(&exponent, &modulus).to_bytes_be();
    Some([vec![0; n.len() - power.len()], power].concat())
}

// === private ===

/// Different pairs for `count * (count - 1) / 2` consecutive numbers.
fn nth_pair(count: usize, number: usize) -> (usize, usize) {
    let mut left = number % (count * (count - 1) / 2);
    let mut greater = 1;
    while left >= greater {
        left -= greater;
        greater += 1;
    }
    (greater, left)
}

/// A process that starts again, such as the API server of docker-compose.yaml, has other keys than before.
static NEXT: LazyLock<AtomicUsize> = LazyLock::new(|| {
    let mut start = [0; 4];
    SystemRandom::new().fill(&mut start).expect("the system has random numbers");
    AtomicUsize::new(u32::from_be_bytes(start) as usize)
});

/// testdata/README.md says how they were made.
static PRIMES: LazyLock<Vec<BigUint>> = LazyLock::new(|| {
    let lines = include_str!("../../testdata/rsa_primes.txt").lines();
    let number = |line: &str| BigUint::parse_bytes(line.as_bytes(), 16).expect("hexadecimal");
    lines.map(number).collect()
});

const PUBLIC_EXPONENT: u32 = 65537;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_of_one_size_differ_until_the_pairs_are_used_up() {
        for count in [2, 12, 16, 64] {
            let pairs = count * (count - 1) / 2;
            let all: BTreeSet<_> = (7..7 + pairs).map(|number| nth_pair(count, number)).collect();
            assert_eq!(all.len(), pairs);
            assert!(all.iter().all(|(greater, smaller)| smaller < greater && *greater < count));
        }
    }

    #[test]
    fn any_two_primes_of_a_size_form_a_key_of_full_length() {
        for bits in [2048, 3072, 4096] {
            let primes: Vec<_> = PRIMES.iter().filter(|p| p.bits() == bits / 2).collect();
            assert_eq!(primes.iter().collect::<BTreeSet<_>>().len(), primes.len());
            for pair in primes.windows(2) {
                assert_eq!((pair[0] * pair[1]).bits(), bits);
                let key = RsaKey::of(pair[0], pair[1]);
                assert_eq!(key.pair.public().modulus_len() as u64, bits / 8);
            }
        }
    }
}
