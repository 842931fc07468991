//! The bounds and defaults of numbers and durations. The checks, their messages, the JSON Schema and the reference use
//! this table.

use super::duration::{self, WireDuration};
use super::problems::Problems;
use std::time::Duration;

/// The bounds and the default of a field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) least: u32,
    /// [`NO_LIMIT`] if there is none.
    pub(crate) most: u32,
    /// The value of a field that is absent; `None` if it depends on other fields, or if an absent field means no limit.
    pub(crate) default: Option<u32>,
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

// Not inlined: the module would have each of them once for each field.
impl Bounds {
    const fn count(name: &'static str, least: u32, most: u32, default: u32) -> Self {
        Self { name, unit: Unit::Count, least, most, default: Some(default), why: "" }
    }

    const fn millis(name: &'static str, least: u32, most: u32, default: Option<u32>) -> Self {
        Self { name, unit: Unit::Millis, least, most, default, why: "" }
    }

    const fn why(self, why: &'static str) -> Self {
        Self { why, ..self }
    }

    /// The number in the configuration, or the default. `parent` is the path of the object that has the field.
    #[inline(never)]
    pub(super) fn number(
        &self,
        parent: &str,
        wire: Option<usize>,
        problems: &mut Problems,
    ) -> usize {
        let value = wire.unwrap_or(self.default.unwrap_or(self.least) as usize);
        self.check(parent, value as u64, problems);
        value
    }

    /// The duration in the configuration, or the default.
    #[inline(never)]
    pub(super) fn duration(
        &self,
        parent: &str,
        wire: Option<WireDuration>,
        problems: &mut Problems,
    ) -> Duration {
        let default = self.default.unwrap_or(self.least);
        let value = wire.map_or(Duration::from_millis(default.into()), |duration| duration.0);
        self.check(parent, value.as_millis() as u64, problems);
        value
    }

    #[inline(never)]
    fn check(&self, parent: &str, value: u64, problems: &mut Problems) {
        let (least, most) = (u64::from(self.least), u64::from(self.most));
        if value >= least && (value <= most || self.most == NO_LIMIT) {
            return;
        }
        let [least, most, found] = [least, most, value].map(|value| self.text(value));
        let range: [&str; 4] = match (self.least, self.most) {
            (0, _) => ["at most ", &most, "", ""],
            (_, NO_LIMIT) => ["at least ", &least, "", ""],
            _ => ["from ", &least, " to ", &most],
        };
        let message = ["must be ", &range.concat(), ", found ", &found, self.why].concat();
        problems.add([parent, ".", self.name].concat(), message);
    }

    /// A value as it is written in a configuration.
    pub(crate) fn text(&self, value: u64) -> String {
        match self.unit {
            Unit::Count => value.to_string(),
            Unit::Millis => duration::text(value),
        }
    }
}

pub(crate) const NO_LIMIT: u32 = u32::MAX;

const SECOND: u32 = 1000;
const MINUTE: u32 = 60 * SECOND;
const HOUR: u32 = 60 * MINUTE;

pub(super) static MAX_TOKEN_BYTES: Bounds =
    Bounds::count("maxTokenBytes", 256, 1024 * 1024, 16 * 1024);
pub(super) static MAX_WAITING: Bounds = Bounds::count("maxWaiting", 1, 100_000, 1000);
pub(super) static WAIT_TIMEOUT: Bounds = Bounds::millis("waitTimeout", 1, MINUTE, Some(5 * SECOND));
pub(super) static TOKEN_CACHE_ENTRIES: Bounds =
    Bounds::count("tokenCacheEntries", 0, 1_000_000, 10_000);
pub(super) static MAX_REVIEWS: Bounds = Bounds::count("maxReviews", 1, 1000, 64);

/// The API server's own leeway: `jwt.DefaultLeeway` of go-jose, by kubernetes/pkg/serviceaccount/claims.go.
pub(super) static LEEWAY: Bounds = Bounds::millis("leeway", 0, 10 * MINUTE, Some(60 * SECOND))
    .why("; expired tokens stay valid for this long");
pub(super) static MAX_LIFETIME: Bounds = Bounds::millis("maxLifetime", 1, NO_LIMIT, None)
    .why("; Kubernetes issues tokens for at least 10m");

pub(super) static REFRESH_INTERVAL: Bounds =
    Bounds::millis("refreshInterval", 0, NO_LIMIT, Some(10 * MINUTE));
pub(super) static MIN_REFETCH_INTERVAL: Bounds =
    Bounds::millis("minRefetchInterval", 100, NO_LIMIT, Some(10 * SECOND));
pub(super) static MAX_STALE: Bounds = Bounds::millis("maxStale", 0, NO_LIMIT, Some(24 * HOUR));
pub(super) static KEYS_TIMEOUT: Bounds = Bounds::millis("timeout", 1, MINUTE, Some(5 * SECOND));

pub(super) static REVIEW_TIMEOUT: Bounds = Bounds::millis("timeout", 1, MINUTE, Some(5 * SECOND));
pub(super) static CACHE_TTL: Bounds = Bounds::millis("cacheTtl", 0, HOUR, Some(30 * SECOND))
    .why("; deleted pods' tokens stay accepted for this long");

pub(super) static ACCESS_TIMEOUT: Bounds = Bounds::millis("timeout", 1, MINUTE, Some(5 * SECOND));
/// The defaults of Kubernetes' own webhook authorizer (kubernetes:pkg/kubeapiserver/options/authorization.go), and of
/// kube-rbac-proxy (pkg/authz/auth.go).
pub(super) static ALLOWED_TTL: Bounds =
    Bounds::millis("allowedTtl", 0, HOUR, Some(5 * MINUTE)).why(UNCHANGED);
pub(super) static DENIED_TTL: Bounds =
    Bounds::millis("deniedTtl", 0, HOUR, Some(30 * SECOND)).why(UNCHANGED);
const UNCHANGED: &str = "; a changed role binding has no effect for this long";

/// Each of them with its path, for the schema.
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub(super) static ALL: [(&str, &Bounds); 16] = [
    ("limits.maxTokenBytes", &MAX_TOKEN_BYTES),
    ("limits.maxWaiting", &MAX_WAITING),
    ("limits.waitTimeout", &WAIT_TIMEOUT),
    ("limits.tokenCacheEntries", &TOKEN_CACHE_ENTRIES),
    ("limits.maxReviews", &MAX_REVIEWS),
    ("issuers[].leeway", &LEEWAY),
    ("issuers[].maxLifetime", &MAX_LIFETIME),
    ("issuers[].keys.refreshInterval", &REFRESH_INTERVAL),
    ("issuers[].keys.minRefetchInterval", &MIN_REFETCH_INTERVAL),
    ("issuers[].keys.maxStale", &MAX_STALE),
    ("issuers[].keys.timeout", &KEYS_TIMEOUT),
    ("issuers[].tokenReview.timeout", &REVIEW_TIMEOUT),
    ("issuers[].tokenReview.cacheTtl", &CACHE_TTL),
    ("issuers[].subjectAccessReview.timeout", &ACCESS_TIMEOUT),
    ("issuers[].subjectAccessReview.allowedTtl", &ALLOWED_TTL),
    ("issuers[].subjectAccessReview.deniedTtl", &DENIED_TTL),
];

/// The longest name of a header in the configuration, for messages.
macro_rules! header_name_bytes {
    () => {
        64
    };
}
pub(super) use header_name_bytes;

pub(super) const HEADER_NAME_BYTES: usize = header_name_bytes!();
