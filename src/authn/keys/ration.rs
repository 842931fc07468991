//! How often somebody's word alone may make us ask a key server.

use crate::time::UnixTime;
use std::time::Duration;

/// A token bucket: a burst of three, then one per interval.
///
/// Anybody can send a kid that nobody knows. Without a ration an attacker sets the rate of our
/// fetches; with one and no burst, a stray kid just before a rotation would cost the callers with the
/// new key their fetch.
#[derive(Debug)]
pub struct Ration {
    interval: Duration,
    left: u32,
    /// Since when `left` counts.
    since: Option<UnixTime>,
}

// === impl Ration ===

impl Ration {
    /// A full bucket that gains one fetch per `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, left: BURST, since: None }
    }

    /// Takes one, if there is one; otherwise says how long until there is.
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
            // The clock was set back, or nothing was missing: count from here.
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
    fn three_at_once_and_then_one_per_interval() {
        let mut ration = Ration::new(Duration::from_secs(10));
        let granted = (0..100).filter(|_| ration.take(at(0)).is_ok()).count();
        assert_eq!(granted, 3);
        assert_eq!(ration.take(at(4)), Err(Duration::from_secs(6)));
        assert_eq!(ration.take(at(10)), Ok(()));
        assert_eq!(ration.take(at(10)), Err(Duration::from_secs(10)));
        let later = (0..1000).filter(|second| ration.take(at(11 + second)).is_ok()).count();
        assert_eq!(later, 100);
    }

    #[test]
    fn rest_fills_the_burst_again_and_no_more() {
        let mut ration = Ration::new(Duration::from_secs(10));
        while ration.take(at(0)).is_ok() {}
        assert_eq!((0..100).filter(|_| ration.take(at(1000)).is_ok()).count(), 3);
    }

    #[test]
    fn a_clock_that_was_set_back_neither_floods_nor_starves() {
        let mut ration = Ration::new(Duration::from_secs(10));
        while ration.take(at(1000)).is_ok() {}
        assert_eq!(ration.take(at(0)), Err(Duration::from_secs(10)));
        assert_eq!(ration.take(at(10)), Ok(()));
    }
}
