//! Points in time and tolerances. The core has no clock: the shell hands the time in with every input.

use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(u64);

/// How far the clocks of the issuer and of this proxy may differ (the API server itself allows 60 s).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leeway(pub Duration);

// === impl UnixTime ===

impl UnixTime {
    /// A NumericDate of RFC 7519: whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// What the host's clock gives.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos / 1_000_000)
    }

    /// Whole seconds, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This time and `duration` more; far beyond any token's expiry it saturates.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// `duration` before this time, or 1970.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long after `earlier` this is; zero when it is not after it (clocks can be set back).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// A clock that has not been set must judge no token: with it, nothing would ever expire.
    pub const fn is_plausible(self) -> bool {
        self.0 >= YEAR_2020.0
    }
}

fn millis(duration: Duration) -> u64 {
    // `as_millis` calculates with 128 bits.
    duration.as_secs().saturating_mul(1000).saturating_add(duration.subsec_millis().into())
}

const YEAR_2020: UnixTime = UnixTime::from_secs(1_577_836_800);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_numeric_date_fits() {
        let latest = UnixTime::from_secs(1 << 53);
        assert_eq!(latest.as_secs(), 1 << 53);
        assert!(latest.plus(Duration::from_secs(60)) > latest);
    }

    #[test]
    fn a_clock_that_was_set_back_gives_no_negative_age() {
        let (early, late) = (UnixTime::from_secs(10), UnixTime::from_secs(20));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(late.since(early), Duration::from_secs(10));
    }

    #[test]
    fn a_clock_before_2020_is_not_plausible() {
        assert!(!UnixTime::from_secs(1_577_836_799).is_plausible());
        assert!(UnixTime::from_secs(1_577_836_800).is_plausible());
    }
}
