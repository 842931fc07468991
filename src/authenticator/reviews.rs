//! TokenReviews in progress in one VM, and recent rejections.
//!
//! Some places are reserved for tokens that the API server has accepted before, so that new callers cannot keep known
//! callers from being reviewed again.

use super::in_flight::{Call, InFlight, Priority};
use super::outage::{Outages, Rejected};
use super::token_cache::{TokenCache, Untrusted};
use crate::authn::claims::Claims;
use crate::authn::issuer::{IssuerIdentity, Purpose, ReviewPlan};
use crate::authn::verify::Validity;
use crate::callout::CalloutId;
use crate::denial::{Denial, Reason};
use crate::time::UnixTime;
use std::rc::Rc;
use std::time::Duration;

/// The reviews of one VM.
#[derive(Debug)]
pub(super) struct Reviews {
    in_flight: InFlight<Question>,
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
}

/// A token's text, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(pub(super) Rc<[u8]>);

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
            in_flight: InFlight::new(limit),
            refusals: TokenCache::new(entries.div_ceil(4)),
            outages: Outages::default(),
            rejected: Rejected::new(entries.max(FEWEST_REJECTED)),
        }
    }

    /// The call in progress for this token.
    pub(super) fn under_way(&self, issuer: usize, token: &[u8]) -> Option<CalloutId> {
        let same = |question: &Question| question.issuer == issuer && *question.token.0 == *token;
        self.in_flight.find(same)
    }

    /// Whether there is room for one more call.
    pub(super) fn admit(&mut self, priority: Priority, now: UnixTime) -> Result<(), Denial> {
        self.in_flight.admit(priority, now)
    }

    /// Queues a review; see [`Self::admit`].
    pub(super) fn ask(&mut self, id: CalloutId, call: Call, question: Question) {
        self.in_flight.ask(id, call, question);
    }

    /// The next review to send.
    pub(super) fn next_unsent(&mut self) -> Option<(CalloutId, &Question)> {
        self.in_flight.next_unsent()
    }

    /// Whether there is a review to send.
    pub(super) fn has_unsent(&self) -> bool {
        self.in_flight.has_unsent()
    }

    /// Whether this review is in progress.
    pub(super) fn has(&self, id: CalloutId) -> bool {
        self.in_flight.has(id)
    }

    /// The review that a reply is for, and its call; `None` if it is not in progress any more.
    pub(super) fn answered(&mut self, id: CalloutId) -> Option<(Call, Question)> {
        self.in_flight.answered(id)
    }

    /// The API server's rejection of a token, while it is fresh.
    pub(super) fn refusal(&self, issuer: usize, token: &[u8], now: UnixTime) -> Option<Denial> {
        let refusal = self.refusals.get(token)?;
        let counts = refusal.issuer == issuer && refusal.given <= now && now < refusal.until;
        counts.then(|| refusal.denial.clone())
    }

    /// Caches a rejection for a short time: the object that the token is bound to may be created again, or a replica of the
    /// API server may not have seen it yet. For outages, the rejection is kept until the token expires; a later configuration
    /// may have `onOutage: "acceptVerified"`.
    pub(super) fn refuse(
        &mut self,
        question: &Question,
        plan: &ReviewPlan,
        denial: Denial,
        now: UnixTime,
    ) {
        let token = &question.token.0;
        // A token that is not valid yet will be. Without a verified signature, callers could fill the list.
        if plan.purpose == Purpose::AfterVerification
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
