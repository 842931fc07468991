//! How often keys are fetched: intervals, backoff, and the spread that keeps proxies from asking together.

use std::time::Duration;

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

/// Spreads refreshes, so that ten thousand proxies that started together do not ask together.
#[derive(Debug)]
pub(super) struct Jitter(u64);

// === impl Pace ===

impl Pace {
    /// For how long a set is fresh whose server said `max-age` (RFC 9111 section 5.2.2.1). A server
    /// that says zero is not asked all the time.
    pub(super) fn fresh_for(&self, max_age: Option<Duration>) -> Duration {
        max_age.map_or(self.refresh, |age| age.min(self.refresh)).max(self.min_refetch)
    }
}

/// 1, 2, 4 ... 60 seconds.
pub(super) fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(LONGEST_BACKOFF)
}

// === impl Jitter ===

impl Jitter {
    /// `seed` differs between VMs.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Between nine tenths of `duration` and all of it (xorshift64: spread, not secrecy, is wanted).
    pub(super) fn spread(&mut self, duration: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let thousandths = u32::try_from(self.0 % 101).unwrap_or_default();
        duration - duration / 1000 * thousandths
    }
}

/// A server that comes back is noticed within a minute.
pub(super) const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
