//! What is known of tokens that were seen before: bounded, hashed by their last bytes with a key of this
//! VM's own, and compared whole (no hash is ever taken for a token).
//!
//! Eviction is quick_cache's (Clock-PRO with a memory of what was evicted): a token that comes again
//! outlives any number of tokens that come once, so that a flood of them pushes nobody out.

use quick_cache::unsync::Cache;
use quick_cache::{Equivalent, Weighter};
use std::fmt;
use std::hash::{Hash, Hasher};

/// Facts about tokens, by their text.
pub(super) struct TokenCache<V> {
    /// `None` keeps nothing.
    cache: Option<Cache<Text, V, Weight>>,
}

/// The whole text of a token.
struct Text(Box<[u8]>);

/// A token that is looked for.
struct Wanted<'t>(&'t [u8]);

/// What an entry takes of the cache's capacity, which is a number of entries of ordinary size.
#[derive(Clone)]
struct Weight;

// === impl TokenCache ===

impl<V> TokenCache<V> {
    /// Keeps at most `entries` of them, and fewer when they are large.
    pub(super) fn new(entries: usize) -> Self {
        let new = || Cache::with_weighter(entries, entries as u64, Weight);
        Self { cache: (entries > 0).then(new) }
    }

    /// What is known of a token.
    pub(super) fn get(&self, token: &[u8]) -> Option<&V> {
        self.cache.as_ref()?.get(&Wanted(token))
    }

    /// Changes what is known of a token, where something is.
    pub(super) fn change(&mut self, token: &[u8], change: impl FnOnce(&mut V)) {
        if let Some(cache) = &mut self.cache
            && let Some(mut value) = cache.peek_mut(&Wanted(token))
        {
            change(&mut value);
        }
    }

    /// Knows this of a token from now on, if there is room for it.
    pub(super) fn insert(&mut self, token: &[u8], value: V) {
        if let Some(cache) = &mut self.cache {
            cache.insert(Text(token.into()), value);
        }
    }

    /// Forgets a token.
    pub(super) fn remove(&mut self, token: &[u8]) {
        if let Some(cache) = &mut self.cache {
            cache.remove(&Wanted(token));
        }
    }

    /// How many tokens something is known of.
    pub(super) fn len(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::len)
    }
}

impl<V> fmt::Debug for TokenCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenCache({} tokens)", self.len())
    }
}

// === impl Text, Wanted ===

/// The signature is there, which differs where tokens do. Whoever makes the last bytes of many tokens equal
/// fills one bucket with them, and makes none but those slower to find.
fn hash_tail<H: Hasher>(token: &[u8], state: &mut H) {
    let tail = token.len().saturating_sub(HASHED_BYTES);
    state.write(token.get(tail..).unwrap_or_default());
}

/// Eight bytes at a time: what comes with the platform goes byte by byte over a thousand of them.
fn are_same(one: &[u8], other: &[u8]) -> bool {
    let ((one, one_rest), (other, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let same =
        |(one, other): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*one) == u64::from_le_bytes(*other);
    one.len() == other.len() && one_rest == other_rest && one.iter().zip(other).all(same)
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_tail(&self.0, state);
    }
}

impl Hash for Wanted<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_tail(self.0, state);
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        are_same(&self.0, &other.0)
    }
}

impl Eq for Text {}

impl Equivalent<Text> for Wanted<'_> {
    fn equivalent(&self, text: &Text) -> bool {
        are_same(self.0, &text.0)
    }
}

// === impl Weight ===

impl<V> Weighter<Text, V> for Weight {
    fn weight(&self, Text(token): &Text, _: &V) -> u64 {
        // Besides its text there are a token's claims, which are some three quarters of it.
        (token.len() as u64).div_ceil(ORDINARY_BYTES).max(1)
    }
}

/// Of an RSA signature too much entropy to guess, and all that hashing costs.
const HASHED_BYTES: usize = 32;

/// The API server's tokens have 600 to 1,130 bytes.
const ORDINARY_BYTES: u64 = 1536;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(n: usize) -> Vec<u8> {
        format!("{n:064}").into_bytes()
    }

    #[test]
    fn two_tokens_with_one_signature_are_two_tokens() {
        let mut cache = TokenCache::new(10);
        cache.insert(b"header.claims.the-same-signature-of-both", 1);
        cache.insert(b"header.CLAIMS.the-same-signature-of-both", 2);
        assert_eq!(cache.get(b"header.claims.the-same-signature-of-both"), Some(&1));
        assert_eq!(cache.get(b"header.CLAIMS.the-same-signature-of-both"), Some(&2));
        assert_eq!(cache.get(b"header.Claims.the-same-signature-of-both"), None);
    }

    #[test]
    fn every_byte_of_a_token_counts() {
        let mut cache = TokenCache::new(10);
        let token = token(7);
        cache.insert(&token, ());
        for at in 0..token.len() {
            let mut other = token.clone();
            other[at] ^= 1;
            assert_eq!(cache.get(&other), None, "byte {at}");
            assert_eq!(cache.get(&token[at + 1..]), None, "without {at} bytes");
        }
        assert_eq!(cache.get(&token), Some(&()));
    }

    #[test]
    fn tokens_that_come_again_outlive_a_flood_of_tokens_that_come_once() {
        let mut cache = TokenCache::new(100);
        for steady in 0..50 {
            cache.insert(&token(steady), steady);
        }
        let mut lost = 0;
        for stray in 1_000..101_000 {
            if cache.get(&token(stray)).is_none() {
                cache.insert(&token(stray), stray);
            }
            let steady = stray % 50;
            if cache.get(&token(steady)).is_none() {
                lost += 1;
                cache.insert(&token(steady), steady);
            }
        }
        assert_eq!(lost, 0);
        assert!(cache.len() <= 100, "{cache:?}");
    }

    #[test]
    fn large_tokens_take_the_place_of_several() {
        let mut cache = TokenCache::new(10);
        for n in 0..10 {
            cache.insert(&[token(n), vec![b'x'; 16 * 1024]].concat(), n);
        }
        assert!(cache.len() <= 1, "{cache:?}");
    }

    #[test]
    fn a_cache_of_no_entries_keeps_nothing() {
        let mut cache = TokenCache::new(0);
        cache.insert(b"a.b.c", 1);
        cache.change(b"a.b.c", |value| *value = 2);
        cache.remove(b"a.b.c");
        assert_eq!((cache.get(b"a.b.c"), cache.len()), (None, 0));
    }
}
