//! The keys of one issuer over time: fetched, refreshed, kept while the server is down.
//!
//! A state machine that is driven by the time and by replies. Its rules, and the outage behind each:
//! - a failed, empty, foreign or oversized answer never replaces keys that work (an API server that is
//!   being restarted would lock everyone out);
//! - an unknown kid makes one fetch, for all who wait for it, within a [`Ration`] (keys rotate; and
//!   anybody can invent a kid);
//! - a token is refused for an unknown key only by a fetch that ended after it came, or a second before.

use super::fetch::{FetchFailure, FetchPlan, FetchStep, Fetched};
use super::jwk::Jwk;
use super::key_set::KeySet;
use super::ration::Ration;
use crate::callout::{Callout, CalloutId, Reply};
use crate::time::UnixTime;
use std::rc::Rc;
use std::time::Duration;

/// The keys of one issuer, and when to ask for them again.
#[derive(Debug)]
pub struct KeyCache {
    plan: FetchPlan,
    pace: Pace,
    state: State,
    ration: Ration,
    /// Where discovery found the JWKS; forgotten when fetching from there fails.
    jwks_path: Option<String>,
    jitter: Jitter,
}

/// How often keys are fetched, and for how long they count (`keys` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// `refreshInterval`: at the latest after this long, sooner if `max-age` says so.
    pub refresh: Duration,
    /// `minRefetchInterval`: how often unknown kids may cause a fetch.
    pub min_refetch: Duration,
    /// `maxStale`: for how long after the last success the keys still count.
    pub max_stale: Duration,
}

/// What the cache says of a token's key.
#[derive(Debug)]
pub enum Lookup {
    /// One of these may have signed it; never empty.
    Found(Vec<Rc<Jwk>>),
    /// A fetch is under way or due, and its result decides.
    Hold(Cause),
    /// The issuer does not publish such a key.
    Unknown,
    /// Nobody can say now; after this long it is worth asking again.
    Unavailable(Duration),
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// There are no keys yet.
    NoKeys,
    /// There are keys, but not with this kid.
    UnknownKid,
}

/// What a reply did.
#[derive(Debug)]
pub enum Settled {
    /// Nothing for anyone who waits: another call follows.
    Continues,
    /// There are fresh keys: so many, and so many skipped.
    Renewed {
        /// Keys that can be used.
        keys: usize,
        /// Keys of kinds that we do not take.
        skipped: usize,
    },
    /// The fetch failed; whatever keys there were are still there.
    Failed(FetchFailure),
}

#[derive(Debug)]
enum State {
    /// Never had any keys.
    Empty { next: UnixTime, failures: u32 },
    /// A call is under way, begun at `since`; `before` is what still counts meanwhile.
    Fetching {
        id: CalloutId,
        since: UnixTime,
        step: FetchStep,
        before: Option<Held>,
        failures: u32,
    },
    /// The last fetch worked.
    Fresh { held: Held, next: UnixTime },
    /// The last fetch failed; the keys of an earlier one go on.
    Stale { held: Held, next: UnixTime, failures: u32 },
}

#[derive(Debug)]
struct Held {
    keys: KeySet,
    /// When the fetch that brought them ended.
    fetched: UnixTime,
}

/// Spreads refreshes, so that ten thousand proxies that started together do not ask together.
#[derive(Debug)]
struct Jitter(u64);

// === impl KeyCache ===

impl KeyCache {
    /// An empty cache, due at once. `seed` differs between VMs.
    pub fn new(plan: FetchPlan, pace: Pace, seed: u64) -> Self {
        Self {
            plan,
            pace,
            state: State::Empty { next: UnixTime::from_secs(0), failures: 0 },
            ration: Ration::new(pace.min_refetch),
            jwks_path: None,
            jitter: Jitter(seed | 1),
        }
    }

    /// The keys that may have signed a token. `arrived` is when its request came.
    pub fn lookup(
        &mut self,
        kid: Option<&str>,
        alg: &str,
        arrived: UnixTime,
        now: UnixTime,
    ) -> Lookup {
        let Some(held) = self.usable(now) else { return self.without_keys(now) };
        let candidates = held.keys.candidates(kid, alg);
        if !candidates.is_empty() {
            return Lookup::Found(candidates);
        }
        if held.fetched.plus(RECENT) >= arrived {
            return Lookup::Unknown;
        }
        self.unknown_kid(now)
    }

    /// A token's key is not there, and the keys are older than the token's request.
    fn unknown_kid(&mut self, now: UnixTime) -> Lookup {
        let retry_is_near = match self.state {
            State::Fetching { .. } => true,
            State::Stale { next, .. } => next.since(now) <= WORTH_WAITING,
            State::Empty { .. } | State::Fresh { .. } => false,
        };
        if !retry_is_near {
            if let Err(wait) = self.ration.take(now) {
                return Lookup::Unavailable(wait);
            }
            self.make_due(now);
        }
        Lookup::Hold(Cause::UnknownKid)
    }

    fn without_keys(&self, now: UnixTime) -> Lookup {
        match self.state {
            State::Empty { next, failures: 1.. } | State::Stale { next, .. } if next > now => {
                match next.since(now) {
                    soon if soon <= WORTH_WAITING => Lookup::Hold(Cause::NoKeys),
                    wait => Lookup::Unavailable(wait),
                }
            }
            _ => Lookup::Hold(Cause::NoKeys),
        }
    }

    /// The next call, if one is due. The shell sends it and brings the reply to [`Self::settle`].
    pub fn poll(&mut self, id: CalloutId, now: UnixTime) -> Option<Callout> {
        if now < self.next_poll() {
            return None;
        }
        let step = match &self.state {
            // Discovery has just answered: its JWKS follows at once.
            State::Fetching { step: step @ FetchStep::Jwks(_), .. } => step.clone(),
            _ => self.plan.first_step(self.jwks_path.as_ref()),
        };
        let (before, failures) = self.take_held();
        let callout = self.plan.callout(id, &step);
        self.state = State::Fetching { id, since: now, step, before, failures };
        Some(callout)
    }

    /// When [`Self::poll`] has something to send.
    pub fn next_poll(&self) -> UnixTime {
        match &self.state {
            State::Empty { next, .. } | State::Fresh { next, .. } | State::Stale { next, .. } => {
                *next
            }
            // Envoy answers every call in the end; should it not, the keys must not depend on it.
            State::Fetching { since, .. } => since.plus(self.plan.timeout).plus(LOST_CALL),
        }
    }

    /// Takes the reply to a call; `None` when the cache does not wait for this one any more.
    pub fn settle(&mut self, id: CalloutId, reply: Reply, now: UnixTime) -> Option<Settled> {
        let step = match &self.state {
            State::Fetching { id: expected, step, .. } if *expected == id => step.clone(),
            _ => return None,
        };
        let fetched = self.plan.read(&step, reply);
        let (before, failures) = self.take_held();
        Some(match fetched {
            Ok(Fetched::Path(path)) => {
                self.jwks_path = Some(path.clone());
                let (step, since) = (FetchStep::Jwks(path), UnixTime::from_secs(0));
                self.state = State::Fetching { id, since, step, before, failures };
                Settled::Continues
            }
            Ok(Fetched::Keys(keys, max_age)) => self.renew(keys, max_age, now),
            Err(failure) => self.fail(failure, before, failures, now),
        })
    }

    fn renew(&mut self, keys: KeySet, max_age: Option<Duration>, now: UnixTime) -> Settled {
        let (count, skipped) = (keys.keys().len(), keys.skipped().len());
        let fresh_for = max_age.map_or(self.pace.refresh, |age| age.min(self.pace.refresh));
        let next = now.plus(self.jitter.spread(fresh_for.max(self.pace.min_refetch)));
        self.state = State::Fresh { held: Held { keys, fetched: now }, next };
        Settled::Renewed { keys: count, skipped }
    }

    fn fail(
        &mut self,
        failure: FetchFailure,
        before: Option<Held>,
        failures: u32,
        now: UnixTime,
    ) -> Settled {
        // The server may have moved its JWKS.
        self.jwks_path = None;
        let wait = match failure {
            FetchFailure::UnknownCluster => AT_ONCE,
            _ => self.jitter.spread(backoff(failures)),
        };
        let (next, failures) = (now.plus(wait), failures.saturating_add(1));
        self.state = match before {
            Some(held) => State::Stale { held, next, failures },
            None => State::Empty { next, failures },
        };
        Settled::Failed(failure)
    }

    /// How long ago the keys were fetched, and how many there are.
    pub fn age(&self, now: UnixTime) -> Option<(Duration, usize)> {
        self.held().map(|held| (now.since(held.fetched), held.keys.keys().len()))
    }

    fn usable(&self, now: UnixTime) -> Option<&Held> {
        self.held().filter(|held| now < held.fetched.plus(self.pace.max_stale))
    }

    fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Empty { .. } => None,
            State::Fetching { before, .. } => before.as_ref(),
            State::Fresh { held, .. } | State::Stale { held, .. } => Some(held),
        }
    }

    fn take_held(&mut self) -> (Option<Held>, u32) {
        let empty = State::Empty { next: UnixTime::from_secs(0), failures: 0 };
        match std::mem::replace(&mut self.state, empty) {
            State::Empty { failures, .. } => (None, failures),
            State::Fetching { before, failures, .. } => (before, failures),
            State::Fresh { held, .. } => (Some(held), 0),
            State::Stale { held, failures, .. } => (Some(held), failures),
        }
    }

    fn make_due(&mut self, now: UnixTime) {
        if let State::Empty { next, .. } | State::Fresh { next, .. } | State::Stale { next, .. } =
            &mut self.state
        {
            *next = now.min(*next);
        }
    }
}

/// 1, 2, 4 ... 60 seconds.
fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(LONGEST_BACKOFF)
}

// === impl Jitter ===

impl Jitter {
    /// Between nine tenths of `duration` and all of it (xorshift64: spread, not secrecy, is wanted).
    fn spread(&mut self, duration: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let thousandths = u32::try_from(self.0 % 101).unwrap_or_default();
        duration - duration / 1000 * thousandths
    }
}

/// A fetch that ended just before a request came counts for it, so that a flood of unknown kids is
/// refused by one fetch.
const RECENT: Duration = Duration::from_secs(1);

/// While the cluster is unknown, nothing is sent: asking again costs nothing.
const AT_ONCE: Duration = Duration::from_millis(100);

const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// A request is worth holding for a fetch this near.
const WORTH_WAITING: Duration = Duration::from_secs(2);

/// How long after its timeout a call that was never answered is given up.
const LOST_CALL: Duration = Duration::from_secs(5);
