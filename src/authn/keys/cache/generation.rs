//! When an issuer's keys became other ones.

use crate::authn::keys::algorithm::Algorithm;
use crate::authn::keys::key_set::KeySet;

/// Counts how often a set became another one. What was proven under an earlier count is proven anew, so
/// that a key that leaves takes its tokens along.
#[derive(Debug, Default)]
pub(super) struct Generation {
    count: u64,
    keys: Vec<Description>,
}

/// Kid, SHA-256 of the key, and what it signs with.
type Description = (String, [u8; 32], Algorithm);

// === impl Generation ===

impl Generation {
    /// How often.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// These are the keys now.
    pub(super) fn note(&mut self, set: &KeySet) {
        let describe = |key: &std::rc::Rc<crate::authn::keys::Jwk>| {
            (key.kid().to_owned(), key.fingerprint(), key.algorithm())
        };
        let keys: Vec<_> = set.keys().iter().map(describe).collect();
        if keys != self.keys {
            self.count = self.count.wrapping_add(1);
            self.keys = keys;
        }
    }
}
