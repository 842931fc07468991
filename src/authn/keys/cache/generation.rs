//! Detection of changes in an issuer's key set.

use crate::authn::keys::key_set::KeySet;
use crate::authn::signature::Algorithm;

/// Counts the changes of a key set. Tokens that were verified under an earlier count are verified again, so that a
/// removed key no longer verifies cached tokens.
#[derive(Debug, Default)]
pub(super) struct Generation {
    count: u64,
    keys: Vec<Description>,
}

/// Key ID, SHA-256 of the key, and algorithm.
type Description = (String, [u8; 32], Algorithm);

// === impl Generation ===

impl Generation {
    /// The number of changes.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Compares the new key set with the last one.
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
