//! Rate limit for JWKS refetches that unknown key IDs cause.

use crate::time::UnixTime;
use std::time::Duration;

/// A token bucket: a burst of three, then one per interval.
///
/// Unauthenticated callers can send unknown key IDs. Without a limit, an attacker controls the rate of fetches. Without
/// a burst, one invalid key ID just before a key rotation would delay the fetch of the new key.
#[derive(Debug)]
pub struct RefetchLimiter {
    interval: Duration,
    left: u32,
    /// When `left` was last updated.
    since: Option<UnixTime>,
}

// === impl RefetchLimiter ===

impl RefetchLimiter {
    /// A full bucket, which gains one fetch per `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, left: BURST, since: None }
    }

    /// Takes one fetch, or returns the time until the next one is available.
    pub fn take(&mut self, now: UnixTime) -> Result<(), Duration> {
        self.refill(now);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(2_000_000_000 + secs)
    }

    #[test]
    fn allows_a_burst_of_three_and_then_one_per_interval() {
        let mut limiter = RefetchLimiter::new(Duration::from_secs(10));
        let granted = (0..100).filter(|_| limiter.take(at(0)).is_ok()).count();
        assert_eq!(granted, 3);
        assert_eq!(limiter.take(at(4)), Err(Duration::from_secs(6)));
        assert_eq!(limiter.take(at(10)), Ok(()));
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
        assert_eq!(limiter.take(at(10)), Ok(()));
    }
}
