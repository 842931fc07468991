//! The part of [`Authenticator`] that fetches keys.

use super::Authenticator;
use crate::authn::issuer::Issuer;
use crate::authn::keys::{KeyCache, Settled};
use crate::callout::{Callout, CalloutId, Reply};
use crate::time::UnixTime;
use std::rc::Rc;

/// The effect of a reply on an issuer's keys.
#[derive(Clone, Debug)]
pub struct KeysSettled {
    /// The issuer's index in the configuration.
    pub issuer: usize,
    /// Its name, for the log.
    pub name: String,
    /// The outcome.
    pub outcome: Settled,
}

// === impl Authenticator ===

impl Authenticator {
    /// Takes over state of an earlier configuration: the keys of issuers that fetch from the same place, and the tokens that
    /// an API server has rejected.
    pub fn take_over(&mut self, earlier: &mut Self, now: UnixTime) {
        self.reviews.rejected.take_over(&earlier.reviews.rejected, now);
        for earlier in earlier.issuers.iter_mut().filter_map(Issuer::cache) {
            for cache in self.issuers.iter_mut().filter_map(Issuer::cache) {
                cache.take_over(earlier, now);
            }
        }
    }

    /// How many lookups of unknown key IDs the rate limit denied a fetch since the last call, by the issuer's name.
    pub fn take_rate_limited(&mut self) -> Vec<(Rc<str>, u64)> {
        let counted = self.issuers.iter_mut().filter_map(|issuer| {
            let count = issuer.cache()?.take_rate_limited();
            Some((Rc::clone(&issuer.identity().name), count))
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// The next issuer whose keys must be fetched.
    pub(super) fn due(&mut self, now: UnixTime) -> Option<usize> {
        let mut issuers = self.issuers.iter_mut();
        issuers.position(|issuer| issuer.cache().is_some_and(|cache| cache.is_due(now)))
    }

    /// The call that fetches an issuer's keys.
    pub(super) fn fetch(&mut self, issuer: usize, now: UnixTime) -> Option<Callout> {
        let id = self.next_call();
        let callout = self.cache(issuer)?.fetch(id, now);
        self.calls.retain(|(_, at)| *at != issuer);
        self.calls.push((id, issuer));
        Some(callout)
    }

    pub(super) fn settle_keys(
        &mut self,
        issuer: usize,
        id: CalloutId,
        reply: Reply,
        now: UnixTime,
    ) -> Option<KeysSettled> {
        let outcome = self.cache(issuer)?.settle(id, reply, now)?;
        self.settled(issuer, outcome)
    }

    fn settled(&self, issuer: usize, outcome: Settled) -> Option<KeysSettled> {
        let name = self.issuers.get(issuer)?.identity().name.to_string();
        Some(KeysSettled { issuer, name, outcome })
    }

    fn cache(&mut self, issuer: usize) -> Option<&mut KeyCache> {
        self.issuers.get_mut(issuer)?.cache()
    }
}
