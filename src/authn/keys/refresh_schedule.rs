//! The intervals, backoff and jitter of key fetches.

use std::time::Duration;

/// When keys are fetched, and how long they remain valid (`keys` in the configuration).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshSchedule {
    /// `refreshInterval`: the interval between fetches, unless the server's `max-age` is shorter.
    pub refresh: Duration,
    /// `minRefetchInterval`: the minimum interval between refetches for unknown key IDs.
    pub min_refetch: Duration,
    /// `maxStale`: how long keys remain valid after the last successful fetch.
    pub max_stale: Duration,
}

/// Spreads the fetches of proxies that started at the same time.
#[derive(Debug)]
pub(super) struct Jitter(u64);

// === impl RefreshSchedule ===

impl RefreshSchedule {
    /// The time until the next fetch, for a response with this `max-age` (RFC 9111 section 5.2.2.1). `max-age=0` does
    /// not cause a fetch for each request.
    pub(super) fn fresh_for(&self, max_age: Option<Duration>) -> Duration {
        max_age.map_or(self.refresh, |age| age.min(self.refresh)).max(self.min_refetch)
    }
}

/// 1, 2, 4 ... 60 seconds.
pub(super) fn backoff(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(MAX_BACKOFF)
}

// === impl Jitter ===

impl Jitter {
    /// `seed` differs between VMs.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Between 90% and 100% of `duration`. xorshift64 suffices, because the value need not be unpredictable.
    pub(super) fn spread(&mut self, duration: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let thousandths = u32::try_from(self.0 % 101).unwrap_or_default();
        duration - duration / 1000 * thousandths
    }
}

/// The filter uses a recovered server within a minute.
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(60);
