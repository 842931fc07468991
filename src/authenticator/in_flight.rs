//! Calls for reviews in progress: equal ones share a call, and their number is bounded, because a flood of requests must
//! not become a flood at the API server, which serves the whole cluster.

use crate::callout::CalloutId;
use crate::denial::{Denial, Reason};
use crate::time::UnixTime;
use std::collections::VecDeque;
use std::time::Duration;

/// The calls of one kind.
#[derive(Debug)]
pub(super) struct InFlight<Q> {
    /// In the order in which they were requested. They are searched by content, too.
    calls: Vec<(CalloutId, Call, Q)>,
    unsent: VecDeque<CalloutId>,
    limit: usize,
}

/// When a call was requested, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) asked: UnixTime,
    pub(super) timeout: Duration,
}

/// Which places a review can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// All places: the API server has accepted the same before.
    Known,
    /// Three quarters of the places.
    New,
}

// === impl InFlight ===

impl<Q> InFlight<Q> {
    /// At most `limit` calls at once.
    pub(super) fn new(limit: usize) -> Self {
        Self { calls: Vec::new(), unsent: VecDeque::new(), limit }
    }

    /// The call in progress with this content.
    pub(super) fn find(&self, same: impl Fn(&Q) -> bool) -> Option<CalloutId> {
        self.calls.iter().find(|(_, _, question)| same(question)).map(|(id, ..)| *id)
    }

    /// How many calls in progress have this content.
    pub(super) fn count(&self, same: impl Fn(&Q) -> bool) -> usize {
        self.calls.iter().filter(|(_, _, question)| same(question)).count()
    }

    /// Whether there is room for one more call.
    pub(super) fn admit(&mut self, priority: Priority, now: UnixTime) -> Result<(), Denial> {
        // Envoy ends every call. If it does not, the place must not be lost for ever.
        self.calls.retain(|(_, call, _)| !call.is_lost(now));
        let limit = match priority {
            Priority::Known => self.limit,
            Priority::New => self.limit.saturating_sub(self.limit / 4),
        };
        if self.calls.len() >= limit {
            let detail = format!("{} reviews are in progress already", self.calls.len());
            return Err(Reason::Overloaded.because(detail));
        }
        Ok(())
    }

    /// Queues a call; see [`Self::admit`].
    pub(super) fn ask(&mut self, id: CalloutId, call: Call, question: Q) {
        self.calls.push((id, call, question));
        self.unsent.push_back(id);
    }

    /// The next call to send.
    pub(super) fn next_unsent(&mut self) -> Option<(CalloutId, &Q)> {
        loop {
            let id = self.unsent.pop_front()?;
            if let Some(at) = self.position(id) {
                return self.calls.get(at).map(|(id, _, question)| (*id, question));
            }
        }
    }

    /// Whether there is a call to send.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Whether this call is in progress.
    pub(super) fn has(&self, id: CalloutId) -> bool {
        self.position(id).is_some()
    }

    /// What a reply is for, and its call; `None` if it is not in progress any more.
    pub(super) fn answered(&mut self, id: CalloutId) -> Option<(Call, Q)> {
        let (_, call, question) = self.calls.remove(self.position(id)?);
        Some((call, question))
    }

    fn position(&self, id: CalloutId) -> Option<usize> {
        self.calls.iter().position(|(asked, ..)| *asked == id)
    }
}

// === impl Call ===

impl Call {
    fn is_lost(self, now: UnixTime) -> bool {
        now < self.asked || now >= self.asked.plus(self.timeout).plus(LOST_CALL)
    }
}

/// How long after its timeout a call counts as lost.
const LOST_CALL: Duration = Duration::from_secs(5);
