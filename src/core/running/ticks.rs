//! What happens in time: calls that are due, paused requests that go on, and counts for Envoy's stats.

use super::{Running, log_all, misconfigured};
use crate::core::{Effect, Effects};
use crate::time::UnixTime;
use std::time::Duration;

// === impl Running ===

impl Running {
    #[inline(never)]
    pub(super) fn tick(&mut self, now: UnixTime, effects: &mut Effects) {
        self.tick_is_near = false;
        self.send_what_is_due(now, effects);
        let wait = self.next_due().map_or(IDLE, |due| due.since(now)).clamp(SOON, IDLE);
        self.tick_is_near = wait <= SOON;
        effects.push_back(Effect::WakeIn(wait));
        self.resume_some(now, effects);
        let is_due = |flushed: UnixTime| now < flushed || now.since(flushed) >= FLUSH_INTERVAL;
        if self.flushed.is_none_or(is_due) {
            self.flushed = Some(now);
            self.flush(effects);
            log_all(self.decisions.overdue(now), effects);
        }
    }

    pub(in crate::core) fn next_due(&mut self) -> Option<UnixTime> {
        let calls = self.authenticator.next_deadline();
        calls.into_iter().chain(self.paused.next_deadline()).min()
    }

    /// Resumes a few of the requests that can go on or are past their deadline; the rest at the next tick.
    ///
    /// Envoy calls the VM again for each response to a request that is denied, and those calls nest: some three hundred
    /// at once overflow the VM's stack.
    pub(super) fn resume_some(&mut self, now: UnixTime, effects: &mut Effects) {
        let (ids, more) = self.paused.resumable(now, RESUMED_AT_ONCE);
        effects.extend(ids.into_iter().map(Effect::ReadHeaders));
        if more {
            self.tick_soon(effects);
        }
    }

    pub(super) fn tick_soon(&mut self, effects: &mut Effects) {
        if !std::mem::replace(&mut self.tick_is_near, true) {
            effects.push_back(Effect::WakeIn(SOON));
        }
    }

    #[inline(never)]
    pub(super) fn configuration_removed(&mut self, effects: &mut Effects) {
        self.flush(effects);
        if self.misconfigured.is_some() {
            effects.push_back(misconfigured(false));
        }
        log_all(self.decisions.rest(), effects);
        effects.push_back(Effect::StopTicking);
    }

    /// Adds the counts to Envoy's stats. Not with each request, because each change is a call to the host.
    fn flush(&mut self, effects: &mut Effects) {
        self.metrics.waiting(self.paused.len());
        self.metrics.looked_up(self.authenticator.take_tally());
        for (issuer, count) in self.authenticator.take_rate_limited() {
            self.metrics.rate_limited(&issuer, count);
        }
        effects.extend(self.metrics.take().into_iter().map(Effect::Metric));
        if self.misconfigured.is_some() {
            // Each time, because another configuration of this Envoy may have set the gauge to 0.
            effects.push_back(misconfigured(true));
        }
    }
}

/// A tenth of what was seen to overflow; see [`Running::resume_some`].
const RESUMED_AT_ONCE: usize = 32;

/// How soon a call that a request waits for is sent.
pub(super) const SOON: Duration = Duration::from_millis(1);

/// How often the time is looked at when nothing is due: a clock can be set back.
const IDLE: Duration = Duration::from_secs(1);

/// How often counts are added to Envoy's stats.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
