//! One fetch per Envoy, not per worker: the part of [`KeyCache`] that looks at the shared entry.
//!
//! Each VM looks before it fetches. A newer set is taken over; while another VM holds the lease, there is
//! nothing to do; otherwise the lease is claimed with compare-and-swap. What is read is checked as if it
//! came from the network, and whatever is odd about it ends in a fetch of our own.

use super::{Adopted, Consulted, Entry, KeyCache, KeySet, LOOK_AGAIN, Settled, SharedSet, State};
use crate::time::UnixTime;
use std::time::Duration;

/// How this cache shares its keys with those of the other VMs of this Envoy.
#[derive(Debug)]
pub(super) struct Sharing {
    /// The name of the entry in the host's shared data.
    pub(super) key: String,
    /// Which VM this is, among those that hold leases.
    pub(super) holder: u64,
    /// When the entry is to be looked at again.
    pub(super) next_look: UnixTime,
    /// How often in a row somebody else was faster in claiming the lease.
    pub(super) lost_claims: u32,
    /// What the last fetch brought, until it has been published.
    pub(super) fetched: Option<SharedSet>,
}

// === impl Sharing ===

impl Sharing {
    pub(super) fn new(key: String, holder: u64) -> Self {
        Self { key, holder, next_look: UnixTime::from_secs(0), lost_claims: 0, fetched: None }
    }
}

// === impl KeyCache ===

impl KeyCache {
    /// The name of the shared entry to look at before [`KeyCache::fetch`]; `None` when keys are not
    /// shared, or the lease is ours already.
    pub fn shared_key(&self) -> Option<&str> {
        match self.state {
            State::Fetching { .. } => None,
            _ => self.sharing.as_ref().map(|sharing| sharing.key.as_str()),
        }
    }

    /// Reads the shared entry, and says what to do.
    pub fn consult(&mut self, entry: Option<&[u8]>, now: UnixTime) -> Consulted {
        let entry = entry.and_then(Entry::decode).unwrap_or_default();
        let Some(sharing) = &mut self.sharing else { return Consulted::Fetch };
        sharing.next_look = now.plus(LOOK_AGAIN);
        if let Some(settled) = self.adopt(&entry, now) {
            return Consulted::Settled(settled);
        }
        if self.next_mut().is_some_and(|next| *next > now) {
            return Consulted::Wait;
        }
        self.take_turn(entry, now)
    }

    /// It is time to fetch, and nobody has published anything newer.
    fn take_turn(&mut self, mut entry: Entry, now: UnixTime) -> Consulted {
        let lease = self.plan.timeout + LEASE_MARGIN;
        let Some(sharing) = &mut self.sharing else { return Consulted::Fetch };
        // A lease that is longer than anyone would take one was not written by us.
        let held = entry.lease_until > now && entry.lease_until <= now.plus(lease);
        if held && entry.holder != sharing.holder {
            sharing.next_look = now.plus(LOOK_SOON);
            return Consulted::Wait;
        }
        if self.asked.is_some() {
            // The ration is this Envoy's, not this VM's; where nobody has used any, ours was taken.
            let shared = self.ration.follow(entry.ration_left, entry.ration_since, now);
            if shared && self.ration.take(now).is_err() {
                return Consulted::Settled(self.rationed());
            }
        }
        let Some(sharing) = &mut self.sharing else { return Consulted::Fetch };
        if sharing.lost_claims >= MAX_LOST_CLAIMS {
            sharing.lost_claims = 0;
            return Consulted::Fetch;
        }
        entry.holder = sharing.holder;
        entry.lease_until = now.plus(lease);
        (entry.ration_left, entry.ration_since) = self.ration.state(now);
        Consulted::Claim(entry.encode())
    }

    /// Somebody else claimed the lease first: look again soon.
    pub fn claim_lost(&mut self, now: UnixTime) {
        if let Some(sharing) = &mut self.sharing {
            sharing.lost_claims += 1;
            sharing.next_look = now.plus(LOOK_SOON);
        }
    }

    /// The name of the entry under which we may hold the lease, because a fetch is under way.
    pub fn leased_key(&self) -> Option<&str> {
        match self.state {
            State::Fetching { .. } => self.sharing.as_ref().map(|sharing| sharing.key.as_str()),
            _ => None,
        }
    }

    /// The entry without our lease, so that another VM may try; `None` when somebody else holds it.
    pub fn released(&self, entry: &[u8]) -> Option<Vec<u8>> {
        let entry = Entry::decode(entry)?;
        let ours = self.sharing.as_ref()?.holder == entry.holder;
        let lease_until = UnixTime::from_secs(0);
        (ours && entry.lease_until > lease_until).then(|| Entry { lease_until, ..entry }.encode())
    }

    /// What there is to publish: the entry's name and its new content, which also ends the lease.
    pub fn publication(&mut self, now: UnixTime) -> Option<(String, Vec<u8>)> {
        let sharing = self.sharing.as_mut()?;
        sharing.lost_claims = 0;
        let set = sharing.fetched.take()?;
        let (key, holder) = (sharing.key.clone(), sharing.holder);
        let (ration_left, ration_since) = self.ration.state(now);
        let lease_until = UnixTime::from_secs(0);
        let entry = Entry { holder, lease_until, ration_left, ration_since, set: Some(set) };
        Some((key, entry.encode()))
    }

    pub(super) fn keep_for_publication(&mut self, set: SharedSet) {
        if let Some(sharing) = &mut self.sharing {
            sharing.fetched = Some(set);
        }
    }

    pub(super) fn look_at(&mut self, time: UnixTime) {
        if let Some(sharing) = &mut self.sharing {
            sharing.next_look = time;
        }
    }

    /// Takes over a set that another VM fetched after ours, if it holds what a fetch would have to.
    fn adopt(&mut self, entry: &Entry, now: UnixTime) -> Option<Settled> {
        let set = entry.set.as_ref()?;
        let newer = self.held().is_none_or(|held| set.fetched > held.fetched);
        let plausible = set.fetched <= now && now < set.fetched.plus(self.pace.max_stale);
        // Nobody may say for longer than we would that there is nothing to fetch.
        let fresh_until = set.fresh_until.min(set.fetched.plus(self.pace.refresh));
        if !newer || !plausible {
            return None;
        }
        let keys = KeySet::parse(&set.body).ok()?;
        self.jwks_path = Some(set.path.clone());
        Some(self.renew(keys, Adopted(true), set.fetched, fresh_until, now))
    }

    fn rationed(&mut self) -> Settled {
        if let Some(scheduled) = self.asked.take()
            && let Some(next) = self.next_mut()
        {
            *next = scheduled;
        }
        Settled::Rationed
    }
}

/// How often one looks that waits for another VM's fetch.
const LOOK_SOON: Duration = Duration::from_millis(25);

/// A lease is for one call, and a moment for the VM to get to it.
const LEASE_MARGIN: Duration = Duration::from_secs(1);

/// Shared data that lets nobody claim the lease is not to be relied on.
const MAX_LOST_CLAIMS: u32 = 10;
