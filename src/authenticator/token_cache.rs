//! What is known of tokens that were seen before: bounded, hashed with a key of this VM's own (nobody can
//! fill one bucket), and compared byte by byte (no hash is ever taken for a token).
//!
//! Eviction is quick_cache's (Clock-PRO with a memory of what was evicted): a token that comes again
//! outlives any number of tokens that come once, so that a flood of them pushes nobody out.

use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use std::fmt;

/// Facts about tokens, by their text.
pub(super) struct TokenCache<V> {
    /// `None` keeps nothing.
    cache: Option<Cache<Box<[u8]>, V, Weight>>,
}

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
        self.cache.as_ref()?.get(token)
    }

    /// Changes what is known of a token, where something is.
    pub(super) fn change(&mut self, token: &[u8], change: impl FnOnce(&mut V)) {
        if let Some(cache) = &mut self.cache
            && let Some(mut value) = cache.peek_mut(token)
        {
            change(&mut value);
        }
    }

    /// Knows this of a token from now on, if there is room for it.
    pub(super) fn insert(&mut self, token: &[u8], value: V) {
        if let Some(cache) = &mut self.cache {
            cache.insert(token.into(), value);
        }
    }

    /// Forgets a token.
    pub(super) fn remove(&mut self, token: &[u8]) {
        if let Some(cache) = &mut self.cache {
            cache.remove(token);
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

// === impl Weight ===

impl<V> Weighter<Box<[u8]>, V> for Weight {
    fn weight(&self, token: &Box<[u8]>, _: &V) -> u64 {
        // Besides its text there are a token's claims, which are some three quarters of it.
        (token.len() as u64).div_ceil(ORDINARY_BYTES).max(1)
    }
}

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
