//! Requests that wait, for keys or for a review: bounded in number and in time.
//!
//! They are counted separately for each thing they wait for, because a caller can invent key IDs, and for each source
//! address: one address has a quarter of the places, so that its flood leaves room for the others.

use crate::authn::keys::Cause;
use crate::callout::CalloutId;
use crate::time::UnixTime;
use crate::verdict::{Denial, Reason};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
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

/// The places that are taken, for each of these.
#[derive(Debug, Default)]
struct Taken {
    no_keys: Places,
    unknown_kids: Places,
    reviews: Places,
}

/// How many requests wait for one thing.
#[derive(Debug, Default)]
struct Places {
    all: usize,
    by_source: HashMap<Source, usize>,
}

/// Where a request came from, as far as its place depends on that.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The address of the connection, without its port.
    Address(Rc<str>),
    /// Envoy takes the address from a header that the caller can write (`x-forwarded-for`), or has none.
    Unknown,
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
    source: Source,
    arrived: UnixTime,
}

// === impl Waiting ===

impl Waiting {
    /// `capacity` is `limits.maxWaiting`, for each cause; `patience` is `limits.waitTimeout`.
    pub fn new(capacity: usize, patience: Duration) -> Self {
        Self { requests: BTreeMap::new(), taken: Taken::default(), capacity, patience }
    }

    /// Lets a request wait, if there is room. One that waits already keeps its deadline. `source` is only called for a
    /// request that does not wait yet.
    pub fn admit(
        &mut self,
        id: RequestId,
        hold: Hold,
        arrived: UnixTime,
        source: impl FnOnce() -> Source,
    ) -> Result<(), Denial> {
        let (arrived, source) = match self.take(id) {
            Some(entry) => (entry.arrived, entry.source),
            None => (arrived, source()),
        };
        let places = self.taken.by(&hold);
        if places.all >= self.capacity {
            let detail = format!("{} requests wait already", self.capacity);
            return Err(Reason::Overloaded.because(detail));
        }
        let of_source = places.by_source.entry(source.clone()).or_default();
        let share = self.capacity.div_ceil(SHARE);
        if *of_source >= share {
            let detail = format!("{share} requests from {source} wait already");
            return Err(Reason::Overloaded.because(detail));
        }
        *of_source += 1;
        places.all += 1;
        self.requests.insert(id, Entry { hold, source, arrived });
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
        self.taken.by(&entry.hold).release(&entry.source);
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
    fn by(&mut self, hold: &Hold) -> &mut Places {
        match hold {
            Hold::Keys { cause: Cause::NoKeys, .. } => &mut self.no_keys,
            Hold::Keys { cause: Cause::UnknownKid, .. } => &mut self.unknown_kids,
            Hold::Review(_) => &mut self.reviews,
        }
    }
}

// === impl Places ===

impl Places {
    fn release(&mut self, source: &Source) {
        self.all = self.all.saturating_sub(1);
        if let Some(count) = self.by_source.get_mut(source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_source.remove(source);
            }
        }
    }
}

// === impl Source ===

impl Source {
    /// Reads Envoy's `source.address`, such as `10.0.0.7:41234` or `[fd00::7]:41234`. Envoy gives port 0 to an address
    /// that it took from a header.
    pub fn of(address: Option<&str>) -> Self {
        let Some(address) = address else { return Self::Unknown };
        match address.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => Self::Unknown,
            Ok(address) => Self::Address(address.ip().to_string().into()),
            // A Unix domain socket's path.
            Err(_) => Self::Address(address.into()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.write_str(address),
            Self::Unknown => f.write_str("forwarded addresses"),
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

/// One address has one place in so many.
const SHARE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    fn hold(cause: Cause) -> Hold {
        Hold::Keys { issuers: vec![0], cause }
    }

    fn from(address: &str) -> Source {
        Source::of(Some(&format!("{address}:40000")))
    }

    /// Admits request `id`, from an address of its own.
    fn admit(waiting: &mut Waiting, id: RequestId, hold: Hold, secs: u64) -> Result<(), Denial> {
        waiting.admit(id, hold, at(secs), || from(&format!("10.0.0.{id}")))
    }

    #[test]
    fn unknown_kids_do_not_take_the_places_of_requests_without_keys() {
        let mut waiting = Waiting::new(2, Duration::from_secs(5));
        for id in 0..2 {
            assert_eq!(admit(&mut waiting, id, hold(Cause::UnknownKid), 0), Ok(()));
        }
        let refused = admit(&mut waiting, 2, hold(Cause::UnknownKid), 0).unwrap_err();
        assert_eq!(refused.reason(), Reason::Overloaded);
        assert_eq!(admit(&mut waiting, 3, hold(Cause::NoKeys), 0), Ok(()));
        assert_eq!(admit(&mut waiting, 4, Hold::Review(CalloutId(9)), 0), Ok(()));
        assert_eq!(waiting.for_review(CalloutId(9)), [4]);
    }

    #[test]
    fn one_address_holds_a_quarter_of_the_places_at_most() {
        let mut waiting = Waiting::new(1000, Duration::from_secs(5));
        let mut flood = |ids: std::ops::Range<RequestId>, address: &str| {
            let admit = |id: &RequestId| {
                waiting.admit(*id, hold(Cause::NoKeys), at(0), || from(address)).is_ok()
            };
            ids.filter(admit).count()
        };
        assert_eq!(flood(0..2000, "10.0.0.1"), 250);
        assert_eq!(flood(2000..2100, "10.0.0.2"), 100);
        waiting.forget(0);
        assert_eq!(waiting.admit(3000, hold(Cause::NoKeys), at(0), || from("10.0.0.1")), Ok(()));
        let denial =
            waiting.admit(3001, hold(Cause::NoKeys), at(0), || from("10.0.0.1")).unwrap_err();
        assert_eq!(denial.detail(), "250 requests from 10.0.0.1 wait already");
        (0..4000).for_each(|id| waiting.forget(id));
        assert!(waiting.is_empty() && waiting.taken.no_keys.by_source.is_empty(), "{waiting:?}");
    }

    #[test]
    fn addresses_that_a_caller_can_write_share_one_quarter() {
        assert_eq!(Source::of(Some("203.0.113.9:0")), Source::Unknown);
        assert_eq!(Source::of(None), Source::Unknown);
        assert_eq!(Source::of(Some("[fd00::7]:41234")), Source::Address("fd00::7".into()));
        assert_eq!(Source::of(Some("10.0.0.7:1")), Source::of(Some("10.0.0.7:65535")));
        assert_eq!(Source::of(Some("/run/app.sock")), Source::Address("/run/app.sock".into()));
    }

    #[test]
    fn a_request_that_waits_on_keeps_its_deadline() {
        let mut waiting = Waiting::new(1, Duration::from_secs(5));
        admit(&mut waiting, 7, hold(Cause::NoKeys), 0).unwrap();
        let next = Hold::Keys { issuers: vec![1], cause: Cause::UnknownKid };
        admit(&mut waiting, 7, next, 3).unwrap();
        assert!(waiting.overdue(at(4)).is_empty());
        assert_eq!(waiting.overdue(at(5)), [7]);
        assert_eq!((waiting.for_issuer(0), waiting.for_issuer(1)), (vec![], vec![7]));
        waiting.forget(7);
        assert!(waiting.is_empty());
    }
}
