//! The keys of one issuer over time: fetched, refreshed, kept while the server is down.
//!
//! A state machine that is driven by the time and by replies. Its rules, and the outage behind each:
//! - a failed, empty, foreign or oversized answer never replaces keys that work (an API server that is
//!   being restarted would lock everyone out);
//! - an unknown kid makes one fetch, for all who wait for it, within a [`Ration`] (keys rotate; and
//!   anybody can invent a kid);
//! - a token is refused for an unknown key only by a fetch that ended after it came; or a second before,
//!   when the ration has no other.

mod generation;
mod outcome;

pub use outcome::{Cause, Lookup, Settled};

use super::fetch::{FetchFailure, FetchPlan, FetchStep, Fetched};
use super::jwk::Jwk;
use super::key_set::KeySet;
use super::pace::{Jitter, LONGEST_BACKOFF, Pace, backoff};
use super::ration::Ration;
use crate::callout::{CallFailure, Callout, CalloutId, Reply};
use crate::time::UnixTime;
use generation::Generation;
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
    generation: Generation,
    /// How many look-ups of unknown kids the ration has denied a fetch.
    rationed: u64,
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

#[derive(Clone, Debug)]
struct Held {
    keys: KeySet,
    /// When the fetch that brought them ended.
    fetched: UnixTime,
}

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
            jitter: Jitter::new(seed),
            generation: Generation::default(),
            rationed: 0,
        }
    }

    /// Takes over the keys of an earlier configuration that fetches from the same place, so that a change of the
    /// configuration needs no fetch, and works during an outage of the key server.
    pub fn take_over(&mut self, earlier: &Self, now: UnixTime) {
        let State::Empty { .. } = self.state else { return };
        let Some(held) = earlier.held().filter(|_| self.plan == earlier.plan) else { return };
        self.generation.note(&held.keys);
        self.jwks_path.clone_from(&earlier.jwks_path);
        // The refresh interval may have changed.
        let next = earlier.next_due().min(now.plus(self.jitter.spread(self.pace.refresh)));
        self.state = State::Fresh { held: held.clone(), next };
    }

    /// The keys at hand that may have signed a token; asks for nothing.
    pub fn at_hand(&self, kid: Option<&str>, alg: &str, now: UnixTime) -> Vec<Rc<Jwk>> {
        self.usable(now).map(|held| held.keys.candidates(kid, alg)).unwrap_or_default()
    }

    /// Whether there are keys, and none too old to be used.
    pub fn has_keys(&self, now: UnixTime) -> bool {
        self.usable(now).is_some()
    }

    /// Changes whenever a key comes or leaves: what was proven before must then be proven again.
    pub fn generation(&self) -> u64 {
        self.generation.count()
    }

    /// How many look-ups of unknown kids the ration has denied a fetch since the last call.
    pub fn take_rationed(&mut self) -> u64 {
        std::mem::take(&mut self.rationed)
    }

    /// The keys that may have signed a token. `arrived` is when its request came.
    pub fn lookup(
        &mut self,
        kid: Option<&str>,
        alg: &str,
        arrived: UnixTime,
        now: UnixTime,
    ) -> Lookup {
        self.mind_the_clock(now);
        if kid.is_none() {
            // A JWKS that is fetched has a kid for each key, and no fetch brings one for this token.
            return Lookup::Unknown;
        }
        let Some(held) = self.usable(now) else { return self.without_keys(now) };
        let candidates = held.keys.candidates(kid, alg);
        if !candidates.is_empty() {
            return Lookup::Found(candidates);
        }
        let fetched = held.fetched;
        if fetched >= arrived {
            return Lookup::Unknown;
        }
        self.unknown_kid(fetched, arrived, now)
    }

    /// A token's key is not there, and the keys are older than the token's request.
    fn unknown_kid(&mut self, fetched: UnixTime, arrived: UnixTime, now: UnixTime) -> Lookup {
        let fetch_is_near = match self.state {
            State::Fetching { .. } => true,
            State::Fresh { next, .. } | State::Empty { next, .. } => next <= now,
            State::Stale { next, .. } => next.since(now) <= WORTH_WAITING,
        };
        if !fetch_is_near {
            if let Err(wait) = self.ration.take(now) {
                self.rationed += 1;
                return match fetched.plus(RECENT) >= arrived {
                    true => Lookup::Unknown,
                    false => Lookup::Unavailable(wait),
                };
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

    /// Whether a fetch is due.
    pub fn is_due(&mut self, now: UnixTime) -> bool {
        self.mind_the_clock(now);
        now >= self.next_due()
    }

    /// When the next fetch is due.
    pub fn next_due(&self) -> UnixTime {
        match &self.state {
            // Envoy answers every call in the end; should it not, the keys must not depend on it.
            State::Fetching { since, .. } => since.plus(self.plan.timeout).plus(LOST_CALL),
            State::Empty { next, .. } | State::Fresh { next, .. } | State::Stale { next, .. } => {
                *next
            }
        }
    }

    /// The call that is due. The shell sends it and brings the reply to [`Self::settle`].
    pub fn fetch(&mut self, id: CalloutId, now: UnixTime) -> Callout {
        let step = match &self.state {
            // Discovery has just answered: its JWKS follows at once.
            State::Fetching { step: step @ FetchStep::Jwks(_), .. } => step.clone(),
            _ => self.plan.first_step(self.jwks_path.as_ref()),
        };
        let (before, failures) = self.take_held();
        let callout = self.plan.callout(id, &step);
        self.state = State::Fetching { id, since: now, step, before, failures };
        callout
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
        let next = now.plus(self.jitter.spread(self.pace.fresh_for(max_age)));
        self.generation.note(&keys);
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
        let (wait, failures) = match failure {
            // Nothing was asked, so nothing is to be spared.
            FetchFailure::Call(CallFailure::UnknownCluster(_)) => (AT_ONCE, failures),
            // Without any keys nobody gets in: that is worth a call every now and then.
            _ if before.is_none() => (backoff(failures).min(self.pace.min_refetch), failures + 1),
            _ => (backoff(failures), failures + 1),
        };
        let next = now.plus(self.jitter.spread(wait));
        self.state = match before {
            Some(held) => State::Stale { held, next, failures },
            None => State::Empty { next, failures },
        };
        Settled::Failed(failure)
    }

    /// A clock that was set back must not put everything off by as much.
    fn mind_the_clock(&mut self, now: UnixTime) {
        let latest = now.plus(self.pace.refresh.max(LONGEST_BACKOFF));
        if let Some(next) = self.next_mut().filter(|next| **next > latest) {
            *next = now;
        }
        if let State::Fresh { held, .. } | State::Stale { held, .. } = &mut self.state
            && held.fetched > now
        {
            // Nothing was fetched just now, so no unknown kid may be refused by it.
            held.fetched = UnixTime::from_millis(now.as_millis().saturating_sub(LONG_AGO_MS));
        }
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

    /// Has a fetch begin at once.
    fn make_due(&mut self, now: UnixTime) {
        if let Some(next) = self.next_mut() {
            *next = now;
        }
    }

    fn next_mut(&mut self) -> Option<&mut UnixTime> {
        match &mut self.state {
            State::Empty { next, .. } | State::Fresh { next, .. } | State::Stale { next, .. } => {
                Some(next)
            }
            State::Fetching { .. } => None,
        }
    }
}

/// When the ration is used up, a fetch that ended just before a request came counts for it: most of what
/// has an unknown kid has a wrong one, and is to be told so.
const RECENT: Duration = Duration::from_secs(1);

/// More than [`RECENT`].
const LONG_AGO_MS: u64 = 2000;

/// While the cluster is unknown, nothing is sent: asking again costs nothing.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A request is worth holding for a fetch this near.
const WORTH_WAITING: Duration = Duration::from_secs(2);

/// How long after its timeout a call that was never answered is given up.
const LOST_CALL: Duration = Duration::from_secs(5);
