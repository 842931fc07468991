//! When a failed fetch is repeated.
//!
//! A server that does not answer receives no load, so the filter tries often for a minute: it must use the server soon
//! after the server returns. A server that refuses is asked less and less, because thousands of proxies ask it.

use super::refresh_schedule::{MAX_BACKOFF, backoff};
use crate::time::UnixTime;
use std::time::Duration;

/// What a failure means for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// Envoy does not know the cluster, so it sent nothing.
    NoCluster,
    /// There was no answer.
    NoAnswer,
    /// The server answered, and refuses.
    Refused {
        /// The server's `Retry-After`.
        retry_after: Option<Duration>,
        /// An API server answers so in its first seconds, before it has loaded its RBAC rules.
        while_starting: bool,
    },
}

/// The failures since the last successful fetch.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    /// When the first call had no answer.
    silent_since: Option<UnixTime>,
    /// When the server refused first, and how often it has refused.
    refused_since: Option<UnixTime>,
    refusals: u32,
    /// The end of the last attempt.
    last: Option<UnixTime>,
    /// Whether a request may cause an attempt before the next scheduled one.
    may_hurry: bool,
}

// === impl Failures ===

impl Failures {
    /// Adds a failure, and returns the time until the next attempt.
    pub(super) fn add(&mut self, failed: Failed, now: UnixTime) -> Duration {
        self.last = Some(now);
        match failed {
            Failed::NoCluster | Failed::NoAnswer => {
                self.may_hurry = true;
                match elapsed(&mut self.silent_since, now) {
                    short if failed == Failed::NoCluster && short < NO_ANSWER_RETRY => {
                        NO_CLUSTER_RETRY
                    }
                    short if short < EAGER => NO_ANSWER_RETRY,
                    long => (long / 8).min(MAX_BACKOFF),
                }
            }
            Failed::Refused { retry_after, while_starting } => {
                let short = elapsed(&mut self.refused_since, now) < EAGER;
                self.may_hurry = short && while_starting && retry_after.is_none();
                let wait = backoff(self.refusals);
                self.refusals = self.refusals.saturating_add(1);
                wait.max(retry_after.unwrap_or_default())
            }
        }
    }

    /// The time from which on a request may cause an attempt; `None` if only the schedule counts.
    pub(super) fn earliest(&self, now: UnixTime) -> Option<UnixTime> {
        let last = self.last.filter(|last| *last <= now);
        self.may_hurry.then(|| last.map_or(now, |last| last.plus(NO_ANSWER_RETRY)).max(now))
    }

    /// Whether the server has refused so often that its keys may have moved.
    pub(super) fn suggest_a_move(&self) -> bool {
        self.refusals.is_multiple_of(SEVERAL)
    }
}

/// The time since the first failure. A clock that was set back starts it again.
fn elapsed(since: &mut Option<UnixTime>, now: UnixTime) -> Duration {
    let first = since.filter(|since| *since <= now).unwrap_or(now);
    *since = Some(first);
    now.since(first)
}

/// The interval between attempts while there is no answer.
const NO_ANSWER_RETRY: Duration = Duration::from_secs(2);

/// The interval while Envoy does not know the cluster, in the first seconds: Envoy may still be receiving it.
const NO_CLUSTER_RETRY: Duration = Duration::from_millis(100);

/// How long a server may be restarting.
const EAGER: Duration = Duration::from_secs(60);

/// How many refusals in a row cause a new discovery.
const SEVERAL: u32 = 4;
