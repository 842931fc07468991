//! The key cache of one issuer: a state machine driven by time and by responses of the key server.
//!
//! - A failed, empty, foreign or oversized response never replaces cached keys. Otherwise an API server that restarts would
//!   cause an outage of all services.
//! - An unknown key ID causes one fetch for all requests that wait for it, within the limits of a [`RefetchLimiter`]. Keys
//!   rotate, but callers can also invent key IDs.
//! - A token is rejected for an unknown key only after a fetch that ended after the request arrived, or, if the limiter
//!   allows no fetch, at most one second before.

mod generation;
mod outcome;

pub use outcome::{Cause, Lookup, Settled};

use super::fetch::{FetchFailure, FetchPlan, FetchStep, Fetched};
use super::jwk::Jwk;
use super::key_set::KeySet;
use super::refetch_limiter::RefetchLimiter;
use super::refresh_schedule::{Jitter, MAX_BACKOFF, RefreshSchedule, backoff};
use crate::callout::{CallFailure, Callout, CalloutId, Reply};
use crate::time::UnixTime;
use generation::Generation;
use std::rc::Rc;
use std::time::Duration;

/// The keys of one issuer, and the time of the next fetch.
#[derive(Debug)]
pub struct KeyCache {
    plan: FetchPlan,
    schedule: RefreshSchedule,
    state: State,
    limiter: RefetchLimiter,
    /// The path of the JWKS from discovery; cleared when a fetch from there fails.
    jwks_path: Option<String>,
    jitter: Jitter,
    generation: Generation,
    /// The number of lookups of unknown key IDs for which the limiter allowed no fetch.
    rate_limited: u64,
}

#[derive(Debug)]
enum State {
    /// No fetch has succeeded yet.
    Empty { next: UnixTime, failures: u32 },
    /// A call is running since `since`; `before` has the keys that remain valid until it ends.
    Fetching {
        id: CalloutId,
        since: UnixTime,
        step: FetchStep,
        before: Option<CachedKeys>,
        failures: u32,
    },
    /// The last fetch succeeded.
    Fresh { cached: CachedKeys, next: UnixTime },
    /// The last fetch failed; the keys of an earlier fetch remain valid.
    Stale { cached: CachedKeys, next: UnixTime, failures: u32 },
}

#[derive(Clone, Debug)]
struct CachedKeys {
    keys: KeySet,
    /// When the fetch of these keys ended.
    fetched: UnixTime,
}

// === impl KeyCache ===

impl KeyCache {
    /// An empty cache, which is due at once. `seed` differs between VMs.
    pub fn new(plan: FetchPlan, schedule: RefreshSchedule, seed: u64) -> Self {
        Self {
            plan,
            schedule,
            state: State::Empty { next: UnixTime::from_secs(0), failures: 0 },
            limiter: RefetchLimiter::new(schedule.min_refetch),
            jwks_path: None,
            jitter: Jitter::new(seed),
            generation: Generation::default(),
            rate_limited: 0,
        }
    }

    /// Takes the keys of an earlier configuration with the same key server, so that a configuration change needs no
    /// fetch and works during an outage of the key server.
    pub fn take_over(&mut self, earlier: &Self, now: UnixTime) {
        let State::Empty { .. } = self.state else { return };
        let Some(cached) = earlier.cached().filter(|_| self.plan == earlier.plan) else { return };
        self.generation.note(&cached.keys);
        self.jwks_path.clone_from(&earlier.jwks_path);
        // The refresh interval may have changed.
        let next = earlier.next_due().min(now.plus(self.jitter.spread(self.schedule.refresh)));
        self.state = State::Fresh { cached: cached.clone(), next };
    }

    /// The cached keys that may have signed a token. Never causes a fetch.
    pub fn at_hand(&self, kid: Option<&str>, alg: &str, now: UnixTime) -> Vec<Rc<Jwk>> {
        self.usable(now).map(|cached| cached.keys.candidates(kid, alg)).unwrap_or_default()
    }

    /// Whether the cache has keys that are not older than `maxStale`.
    pub fn has_keys(&self, now: UnixTime) -> bool {
        self.usable(now).is_some()
    }

    /// Changes when a key is added or removed. Tokens that were verified before must then be verified again.
    pub fn generation(&self) -> u64 {
        self.generation.count()
    }

    /// The number of lookups of unknown key IDs since the last call for which the limiter allowed no fetch.
    pub fn take_rate_limited(&mut self) -> u64 {
        std::mem::take(&mut self.rate_limited)
    }

    /// The keys that may have signed a token. `arrived` is the arrival time of the request.
    pub fn lookup(
        &mut self,
        kid: Option<&str>,
        alg: &str,
        arrived: UnixTime,
        now: UnixTime,
    ) -> Lookup {
        self.handle_clock_step_back(now);
        if kid.is_none() {
            // Every key of a fetched JWKS has a key ID, so no fetch can find a key for this token.
            return Lookup::Unknown;
        }
        let Some(cached) = self.usable(now) else { return self.without_keys(now) };
        let candidates = cached.keys.candidates(kid, alg);
        if !candidates.is_empty() {
            return Lookup::Found(candidates);
        }
        let fetched = cached.fetched;
        if fetched >= arrived {
            return Lookup::Unknown;
        }
        self.unknown_kid(fetched, arrived, now)
    }

    /// Handles a key ID that is not in the cache, if the cached keys are older than the request.
    fn unknown_kid(&mut self, fetched: UnixTime, arrived: UnixTime, now: UnixTime) -> Lookup {
        let fetch_is_near = match self.state {
            State::Fetching { .. } => true,
            State::Fresh { next, .. } | State::Empty { next, .. } => next <= now,
            State::Stale { next, .. } => next.since(now) <= MAX_WAIT_FOR_FETCH,
        };
        if !fetch_is_near {
            if let Err(wait) = self.limiter.take(now) {
                self.rate_limited += 1;
                return match fetched.plus(RECENT_FETCH) >= arrived {
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
                    soon if soon <= MAX_WAIT_FOR_FETCH => Lookup::Hold(Cause::NoKeys),
                    wait => Lookup::Unavailable(wait),
                }
            }
            _ => Lookup::Hold(Cause::NoKeys),
        }
    }

    /// Whether a fetch is due.
    pub fn is_due(&mut self, now: UnixTime) -> bool {
        self.handle_clock_step_back(now);
        now >= self.next_due()
    }

    /// When the next fetch is due.
    pub fn next_due(&self) -> UnixTime {
        match &self.state {
            // Envoy ends every call with a response or a failure. If it does not, the cache must still recover.
            State::Fetching { since, .. } => since.plus(self.plan.timeout).plus(LOST_CALL_GRACE),
            State::Empty { next, .. } | State::Fresh { next, .. } | State::Stale { next, .. } => {
                *next
            }
        }
    }

    /// The call that is due. The host sends it, and its response goes to [`Self::settle`].
    pub fn fetch(&mut self, id: CalloutId, now: UnixTime) -> Callout {
        let step = match &self.state {
            // Discovery has just succeeded, so fetch the JWKS at once.
            State::Fetching { step: step @ FetchStep::Jwks(_), .. } => step.clone(),
            _ => self.plan.first_step(self.jwks_path.as_ref()),
        };
        let (before, failures) = self.take_cached();
        let callout = self.plan.callout(id, &step);
        self.state = State::Fetching { id, since: now, step, before, failures };
        callout
    }

    /// Handles the response to a call; `None` if the cache no longer waits for this call.
    pub fn settle(&mut self, id: CalloutId, reply: Reply, now: UnixTime) -> Option<Settled> {
        let step = match &self.state {
            State::Fetching { id: expected, step, .. } if *expected == id => step.clone(),
            _ => return None,
        };
        let fetched = self.plan.read(&step, reply);
        let (before, failures) = self.take_cached();
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
        let next = now.plus(self.jitter.spread(self.schedule.fresh_for(max_age)));
        self.generation.note(&keys);
        self.state = State::Fresh { cached: CachedKeys { keys, fetched: now }, next };
        Settled::Renewed { keys: count, skipped }
    }

    fn fail(
        &mut self,
        failure: FetchFailure,
        before: Option<CachedKeys>,
        failures: u32,
        now: UnixTime,
    ) -> Settled {
        // The path of the JWKS may have changed.
        self.jwks_path = None;
        let (wait, failures) = match failure {
            // No request was sent, so no backoff is needed.
            FetchFailure::Call(CallFailure::UnknownCluster(_)) => (UNKNOWN_CLUSTER_RETRY, failures),
            // Without keys the filter rejects every token, so it retries sooner.
            _ if before.is_none() => {
                (backoff(failures).min(self.schedule.min_refetch), failures + 1)
            }
            _ => (backoff(failures), failures + 1),
        };
        let next = now.plus(self.jitter.spread(wait));
        self.state = match before {
            Some(cached) => State::Stale { cached, next, failures },
            None => State::Empty { next, failures },
        };
        Settled::Failed(failure)
    }

    /// Handles a clock that was set back: without this, the next fetch would be late by the same amount.
    fn handle_clock_step_back(&mut self, now: UnixTime) {
        let latest = now.plus(self.schedule.refresh.max(MAX_BACKOFF));
        if let Some(next) = self.next_mut().filter(|next| **next > latest) {
            *next = now;
        }
        if let State::Fresh { cached, .. } | State::Stale { cached, .. } = &mut self.state
            && cached.fetched > now
        {
            // The last fetch is not recent, so it must not decide on unknown key IDs.
            cached.fetched = UnixTime::from_millis(now.as_millis().saturating_sub(LONG_AGO_MS));
        }
    }

    fn usable(&self, now: UnixTime) -> Option<&CachedKeys> {
        self.cached().filter(|cached| now < cached.fetched.plus(self.schedule.max_stale))
    }

    fn cached(&self) -> Option<&CachedKeys> {
        match &self.state {
            State::Empty { .. } => None,
            State::Fetching { before, .. } => before.as_ref(),
            State::Fresh { cached, .. } | State::Stale { cached, .. } => Some(cached),
        }
    }

    fn take_cached(&mut self) -> (Option<CachedKeys>, u32) {
        let empty = State::Empty { next: UnixTime::from_secs(0), failures: 0 };
        match std::mem::replace(&mut self.state, empty) {
            State::Empty { failures, .. } => (None, failures),
            State::Fetching { before, failures, .. } => (before, failures),
            State::Fresh { cached, .. } => (Some(cached), 0),
            State::Stale { cached, failures, .. } => (Some(cached), failures),
        }
    }

    /// Makes the next fetch due now.
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

/// If the limiter allows no fetch, the last one decides if it ended at most this long before the request arrived. Most
/// unknown key IDs are wrong, so a rejection is better than a 503.
const RECENT_FETCH: Duration = Duration::from_secs(1);

/// More than [`RECENT_FETCH`].
const LONG_AGO_MS: u64 = 2000;

/// The retry interval while Envoy does not know the cluster, because then no request is sent.
const UNKNOWN_CLUSTER_RETRY: Duration = Duration::from_millis(100);

/// The maximum time until the next fetch for which a request is paused.
const MAX_WAIT_FOR_FETCH: Duration = Duration::from_secs(2);

/// How long after its timeout an unanswered call is considered lost.
const LOST_CALL_GRACE: Duration = Duration::from_secs(5);
