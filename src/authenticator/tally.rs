//! Counts of look-ups: too many to tell Envoy of each.

/// What was looked up, and whether it was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tokens that were proven before.
    pub token_hits: u64,
    /// Tokens that had to be parsed and proven.
    pub token_misses: u64,
    /// Reviews that were still fresh: yes.
    pub approval_hits: u64,
    /// Reviews that were still fresh: no.
    pub refusal_hits: u64,
    /// Requests that had to wait for a review.
    pub review_misses: u64,
}
