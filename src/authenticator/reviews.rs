//! TokenReviews in progress in one VM, and recent rejections.
//!
//! Equal reviews share one call, and the number of calls is bounded: a flood of tokens must not become a flood at the API
//! server, which serves the whole cluster. Some places are reserved for tokens that the API server has accepted before, so
//! that new callers cannot keep known callers from being reviewed again.

use super::outage::{Outages, Rejected};
use super::token_cache::{TokenCache, Untrusted};
use crate::authn::claims::Claims;
use crate::authn::issuer::{IssuerIdentity, OnOutage, ReviewPlan};
use crate::authn::verify::Validity;
use crate::callout::CalloutId;
use crate::denial::{Denial, Reason};
use crate::time::UnixTime;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// The reviews of one VM.
#[derive(Debug)]
pub(super) struct Reviews {
    /// In the order in which they were requested. They are searched by token, too.
    under_way: Vec<(CalloutId, Question)>,
    unsent: VecDeque<CalloutId>,
    limit: usize,
    /// Separate from the accepted tokens: a flood of invalid tokens does not evict those.
    refusals: TokenCache<Refusal, Untrusted>,
    pub(super) outages: Outages,
    /// Tokens that must not pass during an outage.
    pub(super) rejected: Rejected,
}

/// A token, and the claims that the API server must confirm.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) issuer: usize,
    pub(super) identity: Rc<IssuerIdentity>,
    pub(super) token: Token,
    pub(super) claims: Rc<Claims>,
    pub(super) asked: UnixTime,
    /// How long the call may take.
    pub(super) timeout: Duration,
}

/// A token's text, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(pub(super) Rc<[u8]>);

/// Which places a review can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// All places: the API server has accepted the token before.
    Known,
    /// Three quarters of the places.
    New,
}

#[derive(Debug)]
struct Refusal {
    issuer: usize,
    denial: Denial,
    given: UnixTime,
    until: UnixTime,
}

// === impl Reviews ===

impl Reviews {
    /// At most `limit` calls at once. A quarter of `entries` is the capacity for rejections.
    pub(super) fn new(limit: usize, entries: usize) -> Self {
        Self {
            under_way: Vec::new(),
            unsent: VecDeque::new(),
            limit,
            refusals: TokenCache::new(entries.div_ceil(4)),
            outages: Outages::default(),
            rejected: Rejected::new(entries.max(FEWEST_REJECTED)),
        }
    }

    /// The call in progress for this token.
    pub(super) fn under_way(&self, issuer: usize, token: &[u8]) -> Option<CalloutId> {
        let same = |question: &Question| question.issuer == issuer && *question.token.0 == *token;
        self.under_way.iter().find(|(_, question)| same(question)).map(|(id, _)| *id)
    }

    /// Whether there is room for one more call.
    pub(super) fn admit(&mut self, priority: Priority, now: UnixTime) -> Result<(), Denial> {
        // Envoy ends every call. If it does not, the place must not be lost for ever.
        self.under_way.retain(|(_, question)| !question.is_lost(now));
        let limit = match priority {
            Priority::Known => self.limit,
            Priority::New => self.limit.saturating_sub(self.limit / 4),
        };
        if self.under_way.len() >= limit {
            let detail = format!("{} reviews are in progress already", self.under_way.len());
            return Err(Reason::Overloaded.because(detail));
        }
        Ok(())
    }

    /// Queues a review; see [`Self::admit`].
    pub(super) fn ask(&mut self, id: CalloutId, question: Question) {
        self.under_way.push((id, question));
        self.unsent.push_back(id);
    }

    /// The next review to send.
    pub(super) fn next_unsent(&mut self) -> Option<(CalloutId, &Question)> {
        loop {
            let id = self.unsent.pop_front()?;
            if let Some(at) = self.position(id) {
                return self.under_way.get(at).map(|(id, question)| (*id, question));
            }
        }
    }

    /// Whether there is a review to send.
    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The review that a reply is for; `None` if it is not in progress any more.
    pub(super) fn answered(&mut self, id: CalloutId) -> Option<Question> {
        self.position(id).map(|at| self.under_way.remove(at).1)
    }

    fn position(&self, id: CalloutId) -> Option<usize> {
        self.under_way.iter().position(|(asked, _)| *asked == id)
    }

    /// The API server's rejection of a token, while it is fresh.
    pub(super) fn refusal(&self, issuer: usize, token: &[u8], now: UnixTime) -> Option<Denial> {
        let refusal = self.refusals.get(token)?;
        let counts = refusal.issuer == issuer && refusal.given <= now && now < refusal.until;
        counts.then(|| refusal.denial.clone())
    }

    /// Caches a rejection for a short time: the object that the token is bound to may be created again, or a replica of the
    /// API server may not have seen it yet. For outages, the rejection is kept until the token expires.
    pub(super) fn refuse(
        &mut self,
        question: &Question,
        plan: &ReviewPlan,
        denial: Denial,
        now: UnixTime,
    ) {
        let token = &question.token.0;
        // A token that is not valid yet will be.
        if plan.on_outage == OnOutage::AcceptVerified
            && denial.reason() != Reason::NotYetValid
            && let Some(validity) = Validity::of(question.claims.times(), &question.identity)
        {
            self.rejected.add(token, validity.until(), now);
        }
        let until = now.plus(plan.cache_ttl.min(LONGEST_NO));
        let refusal = Refusal { issuer: question.issuer, denial, given: now, until };
        self.refusals.insert(token, refusal);
    }
}

// === impl Question ===

impl Question {
    fn is_lost(&self, now: UnixTime) -> bool {
        now < self.asked || now >= self.asked.plus(self.timeout).plus(LOST_CALL)
    }
}

// === impl Token ===

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({} bytes)", self.0.len())
    }
}

/// How long a rejection is cached at most.
const LONGEST_NO: Duration = Duration::from_secs(5);

/// The capacity for rejected tokens is at least this, however small `limits.tokenCacheEntries` is. A token takes 40 bytes.
const FEWEST_REJECTED: usize = 1000;

/// How long after its timeout a call counts as lost.
const LOST_CALL: Duration = Duration::from_secs(5);
