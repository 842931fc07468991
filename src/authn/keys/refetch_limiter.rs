//! Rate limit for JWKS refetches that unknown key IDs cause.

use crate::time::UnixTime;
use std::time::Duration;

/// A token bucket: a burst of three, at least a second apart, then one per interval. Replicas of an API server disagree for
/// about a second after a key rotation, and must not use up the burst in that time.
///
/// Unauthenticated callers can send unknown key IDs. Without a limit, an attacker controls the rate of fetches. Without
/// a burst, one invalid key ID just before a key rotation would delay the fetch of the new key.
#[derive(Debug)]
pub struct RefetchLimiter {
    interval: Duration,
    left: u32,
    /// When `left` was last updated.
    since: Option<UnixTime>,
    /// The time of the last fetch.
    last: Option<UnixTime>,
}

// === impl RefetchLimiter ===

impl RefetchLimiter {
    /// A full bucket, which gains one fetch per `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, left: BURST, since: None, last: None }
    }

    /// Takes one fetch, and returns when it may begin. `Err` has the time until the next one is available.
    pub fn take(&mut self, now: UnixTime) -> Result<UnixTime, Duration> {
        self.refill(now);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                let gap = GAP.min(self.interval);
                let last = self.last.filter(|last| *last <= now.plus(GAP));
                let begins = last.map_or(now, |last| last.plus(gap).max(now));
                self.last = Some(begins);
                Ok(begins)
            }
            None => {
                let waited = now.since(self.since.unwrap_or(now));
                Err(self.interval.saturating_sub(waited))
            }
        }
    }

    fn refill(&mut self, now: UnixTime) {
        let since = *self.since.get_or_insert(now);
        if since > now || self.left >= BURST {
            // The clock was set back, or the bucket is full: start a new interval.
            self.since = Some(now);
            return;
        }
        let mut at = since;
        while self.left < BURST && now.since(at) >= self.interval {
            at = at.plus(self.interval);
            self.left += 1;
        }
        self.since = Some(if self.left >= BURST { now } else { at });
    }
}

const BURST: u32 = 3;

/// The time between two fetches that unknown key IDs cause.
pub(super) const GAP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(2_000_000_000 + secs)
    }

    #[test]
    fn allows_a_burst_of_three_and_then_one_per_interval() {
        let mut limiter = RefetchLimiter::new(Duration::from_secs(10));
        let granted: Vec<_> = (0..100).filter_map(|_| limiter.take(at(0)).ok()).collect();
        assert_eq!(granted, [at(0), at(1), at(2)]);
        assert_eq!(limiter.take(at(4)), Err(Duration::from_secs(6)));
        assert_eq!(limiter.take(at(10)), Ok(at(10)));
        assert_eq!(limiter.take(at(10)), Err(Duration::from_secs(10)));
        let later = (0..1000).filter(|second| limiter.take(at(11 + second)).is_ok()).count();
        assert_eq!(later, 100);
    }

    #[test]
    fn idle_time_refills_only_the_burst() {
        let mut limiter = RefetchLimiter::new(Duration::from_secs(10));
        while limiter.take(at(0)).is_ok() {}
        assert_eq!((0..100).filter(|_| limiter.take(at(1000)).is_ok()).count(), 3);
    }

    #[test]
    fn clock_step_back_causes_neither_a_flood_nor_a_deadlock() {
        let mut limiter = RefetchLimiter::new(Duration::from_secs(10));
        while limiter.take(at(1000)).is_ok() {}
        assert_eq!(limiter.take(at(0)), Err(Duration::from_secs(10)));
        assert_eq!(limiter.take(at(10)), Ok(at(10)));
    }
}
