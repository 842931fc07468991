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

use super::fetch::{FetchFailure, FetchPlan, FetchStep, Fetched, JwksPlace};
use super::jwk::Jwk;
use super::key_set::KeySet;
use super::refetch_limiter::{GAP, RefetchLimiter};
use super::refresh_schedule::{Jitter, MAX_BACKOFF, RefreshSchedule};
use super::retry::{Failed, Failures};
use crate::callout::{Callout, CalloutId, MAX_RETRY_AFTER, Reply};
use crate::time::UnixTime;
use generation::Generation;
use std::rc::Rc;
use std::time::Duration;

/// The keys of one issuer, and the time of the next fetch.
#[derive(Debug)]
pub struct KeyCache {
    plan: FetchPlan,
    schedule: RefreshSchedule,
    limiter: RefetchLimiter,
    jitter: Jitter,
    generation: Generation,
    cached: Option<CachedKeys>,
    /// The place of the JWKS, after a discovery.
    jwks: Option<JwksPlace>,
    /// When the next call is due, unless one is running.
    next: UnixTime,
    /// The next step of a fetch that has begun.
    continues: Option<FetchStep>,
    call: Option<Running>,
    /// The failures since the last success; `None` without a failure.
    failures: Option<Failures>,
    /// The number of lookups of unknown key IDs for which no fetch was allowed.
    rate_limited: u64,
}

/// A call without an answer so far.
#[derive(Debug)]
struct Running {
    id: CalloutId,
    since: UnixTime,
    step: FetchStep,
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
            limiter: RefetchLimiter::new(schedule.min_refetch),
            jitter: Jitter::new(seed),
            generation: Generation::default(),
            cached: None,
            jwks: None,
            next: NOW,
            continues: None,
            call: None,
            failures: None,
            rate_limited: 0,
        }
    }

    /// Takes the keys of an earlier configuration with the same key server, so that a configuration change needs no
    /// fetch and works during an outage of the key server. A server that refuses is not asked sooner, either.
    pub fn take_over(&mut self, earlier: &Self, now: UnixTime) {
        let is_new = self.cached.is_none() && self.call.is_none() && self.failures.is_none();
        let knows = earlier.cached.is_some() || earlier.failures.is_some();
        if !is_new || !knows || self.plan != earlier.plan {
            return;
        }
        if let Some(cached) = &earlier.cached {
            self.generation.note(&cached.keys);
        }
        self.cached.clone_from(&earlier.cached);
        self.jwks.clone_from(&earlier.jwks);
        self.failures.clone_from(&earlier.failures);
        // The refresh interval may have changed.
        let longest = match self.failures {
            Some(_) => MAX_RETRY_AFTER,
            None => self.jitter.spread(self.schedule.refresh),
        };
        self.next = earlier.next_due().min(now.plus(longest));
    }

    /// The cached keys that may have signed a token. Never causes a fetch.
    pub fn at_hand(&self, kid: Option<&str>, alg: &str, now: UnixTime) -> Vec<Rc<Jwk>> {
        self.usable(now).map(|cached| cached.keys.candidates(kid, alg)).unwrap_or_default()
    }

    /// The keys of the last fetch.
    pub fn keys(&self) -> Option<&KeySet> {
        self.cached.as_ref().map(|cached| &cached.keys)
    }

    /// Whether the cache has keys that are not older than `maxStale`.
    pub fn has_keys(&self, now: UnixTime) -> bool {
        self.usable(now).is_some()
    }

    /// Changes when a key is added or removed. Tokens that were verified before must then be verified again.
    pub fn generation(&self) -> u64 {
        self.generation.count()
    }

    /// The number of lookups of unknown key IDs since the last call for which no fetch was allowed.
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
        let Some(cached) = self.usable(now) else {
            return self
                .fetch_soon(now)
                .map_or_else(Lookup::Unavailable, |()| Lookup::Hold(Cause::NoKeys));
        };
        let candidates = cached.keys.candidates(kid, alg);
        if !candidates.is_empty() {
            return Lookup::Found(candidates);
        }
        let fetched = cached.fetched;
        // A fetch would bring the same unusable key.
        if fetched >= arrived || kid.is_some_and(|kid| cached.keys.why_skipped(kid).is_some()) {
            return Lookup::Unknown;
        }
        match self.fetch_soon(now) {
            Ok(()) => Lookup::Hold(Cause::UnknownKid),
            Err(wait) => {
                self.rate_limited += 1;
                match fetched.plus(RECENT_FETCH) >= arrived {
                    true => Lookup::Unknown,
                    false => Lookup::Unavailable(wait),
                }
            }
        }
    }

    /// Sees to it that a fetch is running or begins soon, within the limiter. `Err` has the time until one is allowed.
    fn fetch_soon(&mut self, now: UnixTime) -> Result<(), Duration> {
        let scheduled = self.next.since(now);
        let soon = self.failures.as_ref().map_or(GAP, |_| MAX_WAIT_FOR_FETCH);
        if self.call.is_some() || scheduled <= soon {
            return Ok(());
        }
        let earliest = self.failures.as_ref().map_or(Some(now), |failures| failures.earliest(now));
        let earliest = earliest.ok_or(scheduled)?;
        let begins = self.limiter.take(now).map_err(|wait| wait.min(scheduled))?;
        self.next = earliest.max(begins);
        Ok(())
    }

    /// Whether a fetch is due.
    pub fn is_due(&mut self, now: UnixTime) -> bool {
        self.handle_clock_step_back(now);
        now >= self.next_due()
    }

    /// When the next fetch is due.
    pub fn next_due(&self) -> UnixTime {
        // Envoy ends every call with a response or a failure. If it does not, the cache must still recover.
        let lost = |call: &Running| call.since.plus(self.plan.timeout).plus(LOST_CALL_GRACE);
        self.call.as_ref().map_or(self.next, lost)
    }

    /// The call that is due. The host sends it, and its response goes to [`Self::settle`].
    pub fn fetch(&mut self, id: CalloutId, now: UnixTime) -> Callout {
        let lost = self.call.take().map(|call| call.step);
        let step = self.continues.take().or(lost);
        let step = step.unwrap_or_else(|| self.plan.first_step(self.jwks.as_ref()));
        let callout = self.plan.callout(id, &step);
        self.call = Some(Running { id, since: now, step });
        callout
    }

    /// Handles the response to a call; `None` if the cache no longer waits for this call.
    pub fn settle(&mut self, id: CalloutId, reply: Reply, now: UnixTime) -> Option<Settled> {
        let Running { step, .. } = self.call.take_if(|call| call.id == id)?;
        Some(match self.plan.read(&step, reply) {
            Ok(Fetched::Place(place)) => self.go_on(place),
            Ok(Fetched::Keys(keys, max_age)) => self.renew(keys, max_age, now),
            Err(failure) => match self.plan.fallback(&step, &failure) {
                Some(place) => self.go_on(place),
                None => self.fail(failure, now),
            },
        })
    }

    /// Has the next call fetch the JWKS from this place.
    fn go_on(&mut self, place: JwksPlace) -> Settled {
        self.jwks = Some(place.clone());
        self.continues = Some(FetchStep::Jwks(place));
        self.next = NOW;
        Settled::Continues
    }

    fn renew(&mut self, keys: KeySet, max_age: Option<Duration>, now: UnixTime) -> Settled {
        let (count, skipped, remarks) = (keys.keys().len(), keys.skipped().len(), keys.remarks());
        self.next = now.plus(self.jitter.spread(self.schedule.fresh_for(max_age)));
        self.generation.note(&keys);
        self.cached = Some(CachedKeys { keys, fetched: now });
        self.failures = None;
        Settled::Renewed { keys: count, skipped, remarks }
    }

    fn fail(&mut self, failure: FetchFailure, now: UnixTime) -> Settled {
        let failed = failure.failed();
        let failures = self.failures.get_or_insert_default();
        let wait = failures.add(failed, now);
        let refused = matches!(failed, Failed::Refused { .. });
        if failure.says_gone() || refused && failures.suggest_a_move() {
            self.jwks = None;
        }
        self.next = now.plus(match failed {
            // Never before the server's Retry-After.
            Failed::Refused { retry_after: Some(at_least), .. } if at_least >= wait => {
                self.jitter.spread(wait + wait / 9).max(wait)
            }
            _ => self.jitter.spread(wait),
        });
        Settled::Failed(failure)
    }

    /// Handles a clock that was set back: without this, the next fetch would be late by the same amount.
    fn handle_clock_step_back(&mut self, now: UnixTime) {
        let longest = match self.failures {
            Some(_) => MAX_RETRY_AFTER + MAX_RETRY_AFTER / 9,
            None => self.schedule.refresh,
        };
        if self.next > now.plus(longest.max(MAX_BACKOFF)) {
            self.next = now;
        }
        if self.call.is_none()
            && let Some(cached) = self.cached.as_mut().filter(|cached| cached.fetched > now)
        {
            // The last fetch is not recent, so it must not decide on unknown key IDs.
            cached.fetched = UnixTime::from_millis(now.as_millis().saturating_sub(LONG_AGO_MS));
        }
    }

    fn usable(&self, now: UnixTime) -> Option<&CachedKeys> {
        let valid = |cached: &&CachedKeys| now < cached.fetched.plus(self.schedule.max_stale);
        self.cached.as_ref().filter(valid)
    }
}

/// Due at once.
const NOW: UnixTime = UnixTime::from_secs(0);

/// If no fetch is allowed, the last one decides if it ended at most this long before the request arrived. Most unknown
/// key IDs are wrong, so a rejection is better than a 503.
const RECENT_FETCH: Duration = Duration::from_secs(1);

/// More than [`RECENT_FETCH`].
const LONG_AGO_MS: u64 = 2000;

/// The maximum time until the next fetch for which a request is paused.
const MAX_WAIT_FOR_FETCH: Duration = Duration::from_secs(2);

/// How long after its timeout an unanswered call is considered lost.
const LOST_CALL_GRACE: Duration = Duration::from_secs(5);
