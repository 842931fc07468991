//! The part of [`Authenticator`] that has the API server review the access of callers (SubjectAccessReview).

use super::Authenticator;
use super::in_flight::{Call, InFlight, Priority};
use super::known::Approval;
use super::token_cache::{TokenCache, Untrusted};
use crate::authn::ServiceAccount;
use crate::authn::issuer::IssuerIdentity;
use crate::authn::verify::Validity;
use crate::authz::access::{AccessAnswer, AccessQuestion, PATH, read};
use crate::callout::{Callout, CalloutId, Reply};
use crate::denial::{Denial, Reason};
use crate::time::UnixTime;
use std::rc::Rc;
use std::time::Duration;

/// The access reviews of one VM.
///
/// Allowed and denied accesses have caches of their own: a caller can be denied as many as it likes, and must not evict
/// what others are allowed.
#[derive(Debug)]
pub(super) struct AccessReviews {
    in_flight: InFlight<Asked>,
    /// The most calls for one caller.
    share: usize,
    allowed: Answers,
    denied: Answers,
}

/// Answers, and how long they are valid.
type Answers = TokenCache<(AccessAnswer, Approval), Untrusted>;

/// A review in progress.
#[derive(Debug)]
struct Asked {
    key: Rc<[u8]>,
    subject: String,
    issuer: Rc<IssuerIdentity>,
    body: Vec<u8>,
    /// When the caller's token expires.
    expires: UnixTime,
}

/// A review that has ended, for the requests that waited for it, whether or not it is cached.
#[derive(Clone, Debug)]
pub struct AccessReviewed {
    issuer: Rc<str>,
    key: Rc<[u8]>,
    answer: AccessAnswer,
}

// === impl AccessReviews ===

impl AccessReviews {
    /// At most `limit` calls at once, and `entries` allowed accesses; a quarter of `entries` is the capacity for denied ones.
    pub(super) fn new(limit: usize, entries: usize) -> Self {
        Self {
            in_flight: InFlight::new(limit),
            share: limit.div_ceil(2),
            allowed: TokenCache::new(entries),
            denied: TokenCache::new(entries.div_ceil(4)),
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.in_flight.has_unsent()
    }

    /// The next review to send.
    pub(super) fn next_unsent(&mut self) -> Option<Callout> {
        let (id, asked) = self.in_flight.next_unsent()?;
        let plan = asked.issuer.access.as_ref()?;
        Some(Callout {
            id,
            cluster: plan.cluster.clone(),
            authority: plan.authority.clone(),
            path: format!("{}{PATH}", plan.path_prefix),
            accept: "application/json",
            body: Some(asked.body.clone()),
            timeout: plan.timeout,
        })
    }

    /// A reply to a review. Without an answer, what is cached stays.
    pub(super) fn settle(
        &mut self,
        id: CalloutId,
        reply: Reply,
        now: UnixTime,
    ) -> Option<Rc<AccessReviewed>> {
        let (_, Asked { key, issuer, expires, .. }) = self.in_flight.answered(id)?;
        let plan = issuer.access.as_ref()?;
        let answer = read(reply, plan, &key);
        let valid = |ttl: Duration| Approval::given(now, ttl.min(expires.since(now)), ttl / AHEAD);
        let (ttl, cache, other) = match &answer {
            AccessAnswer::Allowed(_) => (plan.allowed_ttl, &mut self.allowed, &mut self.denied),
            AccessAnswer::Denied(_) => (plan.denied_ttl, &mut self.denied, &mut self.allowed),
            AccessAnswer::Unavailable(_) | AccessAnswer::Pending(_) => {
                return Some(Rc::new(AccessReviewed {
                    issuer: Rc::clone(&issuer.name),
                    key,
                    answer,
                }));
            }
        };
        other.remove(&key);
        cache.insert(&key, (answer.clone(), valid(ttl)));
        Some(Rc::new(AccessReviewed { issuer: Rc::clone(&issuer.name), key, answer }))
    }
}

// === impl AccessReviewed ===

impl AccessReviewed {
    /// The name of the caller's issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The API server's answer.
    pub fn answer(&self) -> &AccessAnswer {
        &self.answer
    }
}

// === impl Authenticator ===

impl Authenticator {
    /// The API server's answer to a question: from a review that the request waited for, from an earlier one that is still
    /// valid, or from one that is sent now.
    pub fn review_access(
        &mut self,
        question: &AccessQuestion<'_>,
        received: &[Rc<AccessReviewed>],
        now: UnixTime,
    ) -> AccessAnswer {
        let key = question.key();
        if let Some(reviewed) = received.iter().find(|reviewed| *reviewed.key == *key) {
            return reviewed.answer.clone();
        }
        let allowed = self.access.allowed.get(key);
        let priority = if allowed.is_some() { Priority::Known } else { Priority::New };
        if let Some((answer, approval)) = allowed.filter(|(_, approval)| approval.counts(now)) {
            let (answer, is_aging) = (answer.clone(), approval.is_aging(now));
            self.tally.access_allowed += 1;
            if is_aging {
                // If there is no room now, a later request tries again.
                let _ = self.ask_access(question, priority, now);
                self.access.allowed.change(key, |(_, approval)| approval.asked(now));
            }
            return answer;
        }
        let denied = self.access.denied.get(key).filter(|(_, approval)| approval.counts(now));
        if let Some((answer, _)) = denied {
            self.tally.access_denied += 1;
            return answer.clone();
        }
        self.tally.access_misses += 1;
        match self.ask_access(question, priority, now) {
            Ok(id) => AccessAnswer::Pending(id),
            Err(answer) => answer,
        }
    }

    fn ask_access(
        &mut self,
        question: &AccessQuestion<'_>,
        priority: Priority,
        now: UnixTime,
    ) -> Result<CalloutId, AccessAnswer> {
        let (key, caller) = (question.key(), question.caller());
        if let Some(id) = self.access.in_flight.find(|asked| *asked.key == *key) {
            return Ok(id);
        }
        let issuer = caller.issuer();
        let Some(plan) = &issuer.access else {
            let why = format!("issuer {:?} has no subjectAccessReview", issuer.name);
            return Err(AccessAnswer::Denied(why.into()));
        };
        self.access.admit(caller, priority, now).map_err(AccessAnswer::Unavailable)?;
        let id = self.next_call();
        let call = Call { asked: now, timeout: plan.timeout };
        let asked = Asked {
            key: key.into(),
            subject: caller.subject().to_owned(),
            issuer: Rc::clone(issuer),
            body: question.body(),
            expires: expiry(caller),
        };
        self.access.in_flight.ask(id, call, asked);
        Ok(id)
    }
}

impl AccessReviews {
    /// Whether there is room for one more call for this caller, whatever tokens and pods it has.
    fn admit(
        &mut self,
        caller: &ServiceAccount,
        priority: Priority,
        now: UnixTime,
    ) -> Result<(), Denial> {
        self.in_flight.admit(priority, now)?;
        let (issuer, subject) = (&caller.issuer().name, caller.subject());
        let of_caller =
            self.in_flight.count(|asked| asked.subject == subject && asked.issuer.name == *issuer);
        if of_caller >= self.share {
            let detail = format!("{of_caller} reviews of this caller are in progress already");
            return Err(Reason::Overloaded.because(detail));
        }
        Ok(())
    }
}

/// When a caller's token expires, with the leeway; 1970 if never, so that nothing is cached.
fn expiry(caller: &ServiceAccount) -> UnixTime {
    let claims = caller.proof().claims();
    Validity::of(claims.times(), caller.issuer()).map_or(UnixTime::from_secs(0), Validity::until)
}

/// The last tenth of its life renews an allowed access that is in use, so that no request waits for it.
const AHEAD: u32 = 10;
