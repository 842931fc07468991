//! Calls to the API server and to key servers: sent when they are due, and settled by their replies.

use super::{Running, log_line};
use crate::authenticator::{AccessReviewed, KeysSettled, ReviewSettled, Settlement};
use crate::authn::keys::Settled;
use crate::callout::{CalloutId, Reply};
use crate::core::{Effect, Effects};
use crate::time::UnixTime;
use crate::trace::Trace;
use std::rc::Rc;

// === impl Running ===

impl Running {
    #[inline(never)]
    pub(super) fn call_ended(
        &mut self,
        call: (CalloutId, Reply),
        now: UnixTime,
        effects: &mut Effects,
        trace: &impl Trace,
    ) {
        self.settle(call, now, effects, trace);
        // The next call of a discovery must not wait for a tick.
        self.send_what_is_due(now, effects);
        self.resume_some(now, effects);
    }

    pub(super) fn send_what_is_due(&mut self, now: UnixTime, effects: &mut Effects) {
        let calls = std::iter::from_fn(|| self.authenticator.poll(now));
        effects.extend(calls.map(|call| Effect::Call(Box::new(call))));
    }

    fn settle(
        &mut self,
        (id, reply): (CalloutId, Reply),
        now: UnixTime,
        effects: &mut Effects,
        trace: &impl Trace,
    ) {
        let Some(settlement) = self.authenticator.settle(id, reply, now) else { return };
        trace.settled(&settlement);
        match settlement {
            Settlement::Keys(settled) => self.keys_settled(&settled, now, effects),
            Settlement::Review(settled) => self.review_settled(id, settled, now, effects),
            Settlement::Access(reviewed) => self.access_reviewed(id, &reviewed, now, effects),
        }
    }

    fn keys_settled(&mut self, settled: &KeysSettled, now: UnixTime, effects: &mut Effects) {
        if matches!(settled.outcome, Settled::Continues) {
            return;
        }
        self.metrics.fetched(settled, now);
        log_line(self.health.keys(settled, now), effects);
        self.paused.keys_changed(settled.issuer);
    }

    fn review_settled(
        &mut self,
        id: CalloutId,
        settled: ReviewSettled,
        now: UnixTime,
        effects: &mut Effects,
    ) {
        self.metrics.reviewed(&settled);
        log_line(self.health.review(&settled, now), effects);
        self.paused.reviewed(id, &settled.reviewed);
    }

    fn access_reviewed(
        &mut self,
        id: CalloutId,
        reviewed: &Rc<AccessReviewed>,
        now: UnixTime,
        effects: &mut Effects,
    ) {
        self.metrics.access_reviewed(reviewed);
        log_line(self.health.access(reviewed, now), effects);
        self.paused.access_reviewed(id, reviewed);
    }
}
