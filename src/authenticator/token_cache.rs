//! Bounded cache of tokens, hashed with a key of the VM's own. Entries are compared by the whole token.
//!
//! Eviction is quick_cache's (Clock-PRO with a memory of evicted entries): a flood of tokens that are used once does not
//! evict tokens that are used again.

use foldhash::fast::FixedState;
use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::marker::PhantomData;

/// Values by token.
pub(super) struct TokenCache<V, O: Origin = Verified> {
    /// `None` caches nothing.
    cache: Option<Cache<Key<O>, V, Weight, O::State>>,
}

/// Which tokens are cached, and so how they may be hashed.
pub(super) trait Origin {
    /// Makes the hashes.
    type State: BuildHasher + Clone;

    /// With a key that no caller knows.
    fn state() -> Self::State;

    /// The part of a token that is hashed.
    fn hashed(token: &[u8]) -> &[u8];
}

/// Verified tokens. Their last bytes are part of the signature, which differs between tokens and which only the issuer can
/// make.
pub(super) struct Verified;

/// Tokens that any caller may have made: many with the same end would fill one bucket, and each lookup would compare them
/// all.
pub(super) struct Untrusted;

/// The whole text of a token.
struct Key<O>(Box<[u8]>, PhantomData<O>);

/// A token that is looked up.
struct Query<'t, O>(&'t [u8], PhantomData<O>);

/// The share of the cache's capacity that an entry takes. The capacity is a number of entries of ordinary size.
#[derive(Clone)]
struct Weight;

// === impl TokenCache ===

impl<V, O: Origin> TokenCache<V, O> {
    /// Holds at most `entries` tokens, and fewer if they are large.
    pub(super) fn new(entries: usize) -> Self {
        let new = || {
            let (weight, lifecycle) = (entries as u64, DefaultLifecycle::default());
            Cache::with(entries, weight, Weight, O::state(), lifecycle)
        };
        Self { cache: (entries > 0).then(new) }
    }

    /// The value of a token.
    pub(super) fn get(&self, token: &[u8]) -> Option<&V> {
        self.cache.as_ref()?.get(&Query::<O>(token, PhantomData))
    }

    /// Changes the value of a token, if it is cached.
    pub(super) fn change(&mut self, token: &[u8], change: impl FnOnce(&mut V)) {
        if let Some(cache) = &mut self.cache
            && let Some(mut value) = cache.peek_mut(&Query::<O>(token, PhantomData))
        {
            change(&mut value);
        }
    }

    /// Caches a token, if there is room for it.
    pub(super) fn insert(&mut self, token: &[u8], value: V) {
        if let Some(cache) = &mut self.cache {
            cache.insert(Key(token.into(), PhantomData), value);
        }
    }

    /// Removes a token.
    pub(super) fn remove(&mut self, token: &[u8]) {
        if let Some(cache) = &mut self.cache {
            cache.remove(&Query::<O>(token, PhantomData));
        }
    }

    /// How many tokens are cached.
    pub(super) fn len(&self) -> usize {
        self.cache.as_ref().map_or(0, Cache::len)
    }
}

impl<V, O: Origin> fmt::Debug for TokenCache<V, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenCache({} tokens)", self.len())
    }
}

// === impl Origin ===

impl Origin for Verified {
    type State = FixedState;

    /// Callers know it as little as the seeds of std's own hasher, and it is far less code.
    fn state() -> FixedState {
        FixedState::with_seed(RandomState::new().hash_one(0))
    }

    fn hashed(token: &[u8]) -> &[u8] {
        let tail = token.len().saturating_sub(HASHED_BYTES);
        token.get(tail..).unwrap_or_default()
    }
}

impl Origin for Untrusted {
    type State = RandomState;

    fn state() -> RandomState {
        RandomState::new()
    }

    fn hashed(token: &[u8]) -> &[u8] {
        token
    }
}

// === impl Key, Query ===

/// A word at a time: the platform's comparison goes byte by byte over a thousand bytes. It always compares
/// to the end, so the time it takes does not tell where two tokens differ.
fn are_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let differences = words.iter().zip(other_words).fold(0, |differences, (word, other)| {
        differences | (u64::from_le_bytes(*word) ^ u64::from_le_bytes(*other))
    });
    rest == other_rest && differences == 0
}

impl<O: Origin> Hash for Key<O> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(O::hashed(&self.0));
    }
}

impl<O: Origin> Hash for Query<'_, O> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(O::hashed(self.0));
    }
}

impl<O> PartialEq for Key<O> {
    fn eq(&self, other: &Self) -> bool {
        are_same(&self.0, &other.0)
    }
}

impl<O> Eq for Key<O> {}

impl<O> Equivalent<Key<O>> for Query<'_, O> {
    fn equivalent(&self, text: &Key<O>) -> bool {
        are_same(self.0, &text.0)
    }
}

// === impl Weight ===

impl<V, O> Weighter<Key<O>, V> for Weight {
    fn weight(&self, Key(token, _): &Key<O>, _: &V) -> u64 {
        // Besides the token, the entry holds its claims, which are about three quarters of it.
        (token.len() as u64).div_ceil(ORDINARY_BYTES).max(1)
    }
}

/// 96 bits of the signature: no two genuine tokens share them, and so few bytes are hashed quickly.
const HASHED_BYTES: usize = 16;

/// The API server's tokens have 600 to 1,130 bytes.
const ORDINARY_BYTES: u64 = 1536;

#[cfg(test)]
mod tests {
    use super::*;

    type TokenCache<V> = super::TokenCache<V, Verified>;

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
    fn tokens_that_end_alike_share_no_hash_where_anybody_may_make_them() {
        let state = Untrusted::state();
        let hash = |n: usize| {
            let text = format!("{n:064}the-same-end-of-all").into_bytes();
            state.hash_one(Query::<Untrusted>(&text, PhantomData))
        };
        let hashes: std::collections::BTreeSet<_> = (0..1000).map(hash).collect();
        assert_eq!(hashes.len(), 1000);
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
