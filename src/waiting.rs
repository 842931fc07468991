//! Requests that wait, for keys or for a review: bounded in number and in time.
//!
//! They are counted apart by what they wait for: anybody can invent a kid, and a flood of those must not
//! take the places of callers who wait for an issuer's first keys, or for the API server.

use crate::authn::keys::Cause;
use crate::callout::CalloutId;
use crate::time::UnixTime;
use crate::verdict::{Denial, Reason};
use std::collections::BTreeMap;
use std::time::Duration;

/// Names a request to the shell (proxy-wasm's context id).
pub type RequestId = u32;

/// What a request waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Keys.
    Keys {
        /// Of any of these issuers, as the configuration numbers them.
        issuers: Vec<usize>,
        /// Which keys.
        cause: Cause,
    },
    /// The answer to this call.
    Review(CalloutId),
}

/// How many wait for each of these.
#[derive(Debug, Default)]
struct Taken {
    no_keys: usize,
    unknown_kids: usize,
    reviews: usize,
}

/// The requests of one VM that wait.
#[derive(Debug)]
pub struct Waiting {
    requests: BTreeMap<RequestId, Entry>,
    taken: Taken,
    capacity: usize,
    patience: Duration,
}

#[derive(Debug)]
struct Entry {
    hold: Hold,
    arrived: UnixTime,
}

// === impl Waiting ===

impl Waiting {
    /// `capacity` is `limits.maxWaiting`, for each cause; `patience` is `limits.waitTimeout`.
    pub fn new(capacity: usize, patience: Duration) -> Self {
        Self { requests: BTreeMap::new(), taken: Taken::default(), capacity, patience }
    }

    /// Lets a request wait, if there is room. One that waits already keeps its deadline.
    pub fn admit(&mut self, id: RequestId, hold: Hold, arrived: UnixTime) -> Result<(), Denial> {
        // One that waits already keeps its place.
        let arrived = self.take(id).map_or(arrived, |entry| entry.arrived);
        let taken = self.taken.by(&hold);
        if *taken >= self.capacity {
            let detail = format!("{} requests wait already", self.capacity);
            return Err(Reason::Overloaded.because(detail));
        }
        *taken += 1;
        self.requests.insert(id, Entry { hold, arrived });
        Ok(())
    }

    /// Forgets a request: it has its verdict, or its caller hung up.
    pub fn forget(&mut self, id: RequestId) {
        if !self.requests.is_empty() {
            self.take(id);
        }
    }

    fn take(&mut self, id: RequestId) -> Option<Entry> {
        let entry = self.requests.remove(&id)?;
        let taken = self.taken.by(&entry.hold);
        *taken = taken.saturating_sub(1);
        Some(entry)
    }

    /// Who waits for keys of this issuer.
    pub fn for_issuer(&self, issuer: usize) -> Vec<RequestId> {
        self.matching(
            |hold| matches!(hold, Hold::Keys { issuers, .. } if issuers.contains(&issuer)),
        )
    }

    /// Who waits for the answer to this call.
    pub fn for_review(&self, call: CalloutId) -> Vec<RequestId> {
        self.matching(|hold| *hold == Hold::Review(call))
    }

    fn matching(&self, matches: impl Fn(&Hold) -> bool) -> Vec<RequestId> {
        let waiting = self.requests.iter().filter(|(_, entry)| matches(&entry.hold));
        waiting.map(|(id, _)| *id).collect()
    }

    /// Whose time is up. A clock that was set back makes nobody wait longer.
    pub fn overdue(&self, now: UnixTime) -> Vec<RequestId> {
        let overdue =
            |entry: &Entry| entry.arrived > now || entry.arrived.plus(self.patience) <= now;
        let overdue = self.requests.iter().filter(|(_, entry)| overdue(entry));
        overdue.map(|(id, _)| *id).collect()
    }

    /// When the next request's time is up.
    pub fn next_deadline(&self) -> Option<UnixTime> {
        self.requests.values().map(|entry| entry.arrived.plus(self.patience)).min()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }
}

// === impl Taken ===

impl Taken {
    fn by(&mut self, hold: &Hold) -> &mut usize {
        match hold {
            Hold::Keys { cause: Cause::NoKeys, .. } => &mut self.no_keys,
            Hold::Keys { cause: Cause::UnknownKid, .. } => &mut self.unknown_kids,
            Hold::Review(_) => &mut self.reviews,
        }
    }
}

// === impl Hold ===

impl Hold {
    /// What to say to a request that cannot wait, or not any longer.
    pub fn unavailable(&self, why: &'static str) -> Denial {
        match self {
            Self::Keys { .. } => Reason::KeysUnavailable.because(format!("keys {why}")),
            Self::Review(_) => Reason::ReviewUnavailable.because(format!("the review {why}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    fn hold(cause: Cause) -> Hold {
        Hold::Keys { issuers: vec![0], cause }
    }

    #[test]
    fn a_flood_of_unknown_kids_takes_no_place_from_those_without_keys() {
        let mut waiting = Waiting::new(2, Duration::from_secs(5));
        for id in 0..2 {
            assert_eq!(waiting.admit(id, hold(Cause::UnknownKid), at(0)), Ok(()));
        }
        let refused = waiting.admit(2, hold(Cause::UnknownKid), at(0)).unwrap_err();
        assert_eq!(refused.reason(), Reason::Overloaded);
        assert_eq!(waiting.admit(3, hold(Cause::NoKeys), at(0)), Ok(()));
        assert_eq!(waiting.admit(4, Hold::Review(CalloutId(9)), at(0)), Ok(()));
        assert_eq!(waiting.for_review(CalloutId(9)), [4]);
    }

    #[test]
    fn a_request_that_waits_on_keeps_its_deadline() {
        let mut waiting = Waiting::new(1, Duration::from_secs(5));
        waiting.admit(7, hold(Cause::NoKeys), at(0)).unwrap();
        waiting.admit(7, Hold::Keys { issuers: vec![1], cause: Cause::UnknownKid }, at(3)).unwrap();
        assert!(waiting.overdue(at(4)).is_empty());
        assert_eq!(waiting.overdue(at(5)), [7]);
        assert_eq!((waiting.for_issuer(0), waiting.for_issuer(1)), (vec![], vec![7]));
        waiting.forget(7);
        assert!(waiting.is_empty());
    }
}
