//! Counts of cache lookups. Envoy's stats are updated from them once a second, because each update is a call to the host.

/// Lookups by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tokens that were cached.
    pub token_hits: u64,
    /// Tokens that had to be parsed and verified.
    pub token_misses: u64,
    /// Cached approvals.
    pub approval_hits: u64,
    /// Cached rejections.
    pub refusal_hits: u64,
    /// Requests that needed a review.
    pub review_misses: u64,
    /// Cached accesses that the API server allowed.
    pub access_allowed: u64,
    /// Cached accesses that it denied.
    pub access_denied: u64,
    /// Questions that needed an access review.
    pub access_misses: u64,
}
