//! The bounds and defaults of numbers and durations. The checks, their messages, the JSON Schema and the reference use
//! this table.

use super::duration::{self, HOUR, MINUTE, SECOND, WireDuration};
use super::problems::Problems;
use std::time::Duration;

/// The bounds and the default of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The path of the field, as in the schema.
    pub(crate) path: &'static str,
    pub(crate) unit: Unit,
    pub(crate) least: u64,
    /// [`NO_LIMIT`] if there is none.
    pub(crate) most: u64,
    /// The value of a field that is absent; `None` if it depends on other fields, or if an absent field means no limit.
    pub(crate) default: Option<u64>,
    /// The end of the message about a value out of bounds.
    why: &'static str,
}

/// The unit of the numbers in [`Bounds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    Millis,
}

// === impl Bounds ===

impl Bounds {
    const fn count(path: &'static str, least: u64, most: u64, default: u64) -> Self {
        Self { path, unit: Unit::Count, least, most, default: Some(default), why: "" }
    }

    const fn millis(path: &'static str, least: u64, most: u64, default: Option<u64>) -> Self {
        Self { path, unit: Unit::Millis, least, most, default, why: "" }
    }

    const fn why(self, why: &'static str) -> Self {
        Self { why, ..self }
    }

    /// The number in the configuration, or the default. `parent` is the path of the object that has the field.
    pub(super) fn number(
        &self,
        parent: &str,
        wire: Option<usize>,
        problems: &mut Problems,
    ) -> usize {
        let value = wire.map(|value| value as u64).or(self.default).unwrap_or(self.least);
        self.check(parent, value, problems);
        usize::try_from(value).unwrap_or(usize::MAX)
    }

    /// The duration in the configuration, or the default.
    pub(super) fn duration(
        &self,
        parent: &str,
        wire: Option<WireDuration>,
        problems: &mut Problems,
    ) -> Duration {
        let default = self.default.unwrap_or(self.least);
        let value = wire.map_or(Duration::from_millis(default), |duration| duration.0);
        self.check(parent, millis(value), problems);
        value
    }

    fn check(&self, parent: &str, value: u64, problems: &mut Problems) {
        if (self.least..=self.most).contains(&value) {
            return;
        }
        let name = self.path.rsplit('.').next().unwrap_or_default();
        let [least, most, found] = [self.least, self.most, value].map(|value| self.text(value));
        let range = match (self.least, self.most) {
            (0, _) => format!("at most {most}"),
            (_, NO_LIMIT) => format!("at least {least}"),
            _ => format!("from {least} to {most}"),
        };
        problems
            .add(format!("{parent}.{name}"), format!("must be {range}, found {found}{}", self.why));
    }

    /// A value as it is written in a configuration.
    pub(crate) fn text(&self, value: u64) -> String {
        match self.unit {
            Unit::Count => value.to_string(),
            Unit::Millis => duration::text(value),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) const NO_LIMIT: u64 = u64::MAX;

pub(super) const MAX_TOKEN_BYTES: Bounds =
    Bounds::count("limits.maxTokenBytes", 256, 1024 * 1024, 16 * 1024);
pub(super) const MAX_WAITING: Bounds = Bounds::count("limits.maxWaiting", 1, 100_000, 1000);
pub(super) const WAIT_TIMEOUT: Bounds =
    Bounds::millis("limits.waitTimeout", 1, MINUTE, Some(5 * SECOND));
pub(super) const TOKEN_CACHE_ENTRIES: Bounds =
    Bounds::count("limits.tokenCacheEntries", 0, 1_000_000, 10_000);
pub(super) const MAX_REVIEWS: Bounds = Bounds::count("limits.maxReviews", 1, 1000, 64);

/// The API server's own leeway: `jwt.DefaultLeeway` of go-jose, by kubernetes/pkg/serviceaccount/claims.go.
pub(super) const LEEWAY: Bounds =
    Bounds::millis("issuers[].leeway", 0, 10 * MINUTE, Some(60 * SECOND))
        .why("; expired tokens stay valid for this long");
pub(super) const MAX_LIFETIME: Bounds = Bounds::millis("issuers[].maxLifetime", 1, NO_LIMIT, None)
    .why("; Kubernetes issues tokens for at least 10m");

pub(super) const REFRESH_INTERVAL: Bounds =
    Bounds::millis("issuers[].keys.refreshInterval", 0, NO_LIMIT, Some(10 * MINUTE));
pub(super) const MIN_REFETCH_INTERVAL: Bounds =
    Bounds::millis("issuers[].keys.minRefetchInterval", 100, NO_LIMIT, Some(10 * SECOND));
pub(super) const MAX_STALE: Bounds =
    Bounds::millis("issuers[].keys.maxStale", 0, NO_LIMIT, Some(24 * HOUR));
pub(super) const KEYS_TIMEOUT: Bounds =
    Bounds::millis("issuers[].keys.timeout", 1, MINUTE, Some(5 * SECOND));

pub(super) const REVIEW_TIMEOUT: Bounds =
    Bounds::millis("issuers[].tokenReview.timeout", 1, MINUTE, Some(5 * SECOND));
pub(super) const CACHE_TTL: Bounds =
    Bounds::millis("issuers[].tokenReview.cacheTtl", 0, HOUR, Some(30 * SECOND))
        .why("; deleted pods' tokens stay accepted for this long");

/// Each of them, for the schema.
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub(super) const ALL: [Bounds; 13] = [
    MAX_TOKEN_BYTES,
    MAX_WAITING,
    WAIT_TIMEOUT,
    TOKEN_CACHE_ENTRIES,
    MAX_REVIEWS,
    LEEWAY,
    MAX_LIFETIME,
    REFRESH_INTERVAL,
    MIN_REFETCH_INTERVAL,
    MAX_STALE,
    KEYS_TIMEOUT,
    REVIEW_TIMEOUT,
    CACHE_TTL,
];

/// The longest name of a header in the configuration.
pub(super) const HEADER_NAME_BYTES: usize = 64;
