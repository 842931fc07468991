//! The part of [`Authenticator`] that gets keys: what is due, what to send, and what came back.

use super::Authenticator;
use crate::authn::issuer::Issuer;
use crate::authn::keys::{Consulted, KeyCache, Settled};
use crate::callout::{Callout, CalloutId, Reply};
use crate::time::UnixTime;

/// What a reply did to an issuer's keys.
#[derive(Debug)]
pub struct KeysSettled {
    /// Which issuer, for [`crate::waiting::Waiting::for_issuer`].
    pub issuer: usize,
    /// Its name, for the log.
    pub name: String,
    /// What happened.
    pub outcome: Settled,
}

/// An issuer whose keys need something.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// Which one.
    pub issuer: usize,
    /// The entry of the host's shared data to look at first; `None`: fetch.
    pub shared_key: Option<String>,
}

/// What the shared entry says is to be done.
#[derive(Debug)]
pub enum Consultation {
    /// Keys were taken over, or are not to be had: wake who waits.
    Settled(KeysSettled),
    /// Nothing now.
    Wait,
    /// Fetch, if this entry can replace the one that was read.
    Claim(Vec<u8>),
    /// Fetch.
    Fetch,
}

// === impl Authenticator ===

impl Authenticator {
    /// Shares fetched keys with the other VMs of this Envoy; `holder` names this one.
    pub fn share_keys(&mut self, holder: u64) {
        self.issuers.iter_mut().filter_map(Issuer::cache).for_each(|cache| cache.share(holder));
    }

    /// The next thing that is due. Ask until there is none.
    pub fn due(&mut self, now: UnixTime) -> Option<Due> {
        self.issuers.iter_mut().enumerate().find_map(|(at, issuer)| {
            let cache = issuer.cache()?;
            if !cache.is_due(now) {
                return None;
            }
            Some(Due { issuer: at, shared_key: cache.shared_key().map(str::to_owned) })
        })
    }

    /// Says what to do about an issuer whose shared entry was read; `None` as the entry for none.
    pub fn consult(&mut self, issuer: usize, entry: Option<&[u8]>, now: UnixTime) -> Consultation {
        let Some(cache) = self.cache(issuer) else { return Consultation::Wait };
        match cache.consult(entry, now) {
            Consulted::Settled(outcome) => match self.settled(issuer, outcome) {
                Some(settled) => Consultation::Settled(settled),
                None => Consultation::Wait,
            },
            Consulted::Wait => Consultation::Wait,
            Consulted::Claim(entry) => Consultation::Claim(entry),
            Consulted::Fetch => Consultation::Fetch,
        }
    }

    /// Somebody else changed the shared entry before we could claim it.
    pub fn claim_lost(&mut self, issuer: usize, now: UnixTime) {
        if let Some(cache) = self.cache(issuer) {
            cache.claim_lost(now);
        }
    }

    /// What an issuer's last fetch has for the other VMs: the name of the entry, and its content.
    pub fn publication(&mut self, issuer: usize, now: UnixTime) -> Option<(String, Vec<u8>)> {
        self.cache(issuer)?.publication(now)
    }

    /// The name of an issuer's shared entry, where there is one.
    pub fn shared_key(&mut self, issuer: usize) -> Option<String> {
        self.cache(issuer)?.shared_key().map(str::to_owned)
    }

    /// The shared entries that we may hold a lease of, each with its issuer.
    pub fn leases(&mut self) -> Vec<(usize, String)> {
        let caches = self.issuers.iter_mut().enumerate();
        let leased =
            caches.filter_map(|(at, issuer)| Some((at, issuer.cache()?.leased_key()?.to_owned())));
        leased.collect()
    }

    /// The shared entry without our lease, after a fetch that failed; `None` when it is not ours.
    pub fn released(&mut self, issuer: usize, entry: &[u8]) -> Option<Vec<u8>> {
        self.cache(issuer)?.released(entry)
    }

    /// The call that an issuer's keys need.
    pub fn fetch(&mut self, issuer: usize, now: UnixTime) -> Option<Callout> {
        let id = self.next_call();
        let callout = self.cache(issuer)?.fetch(id, now);
        self.calls.retain(|_, at| *at != issuer);
        self.calls.insert(id, issuer);
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
