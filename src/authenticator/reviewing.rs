//! The part of [`Authenticator`] that has the API server review tokens.

use super::in_flight::{Call, Priority};
use super::known::{Approval, Known};
use super::outage::Health;
use super::presented::{Presented, Reviewed};
use super::reviews::{Question, Token};
use super::{Authenticator, Confirmed, Hold, Unproven};
use crate::authn::claims::Claims;
use crate::authn::issuer::{IssuerIdentity, OnOutage, Purpose, ReviewPlan};
use crate::authn::token_review::{AcceptedReview, Cause, NotAccepted};
use crate::authn::trace::TokenTrace;
use crate::authn::{Proof, ServiceAccount};
use crate::callout::{Callout, CalloutId, Reply};
use crate::denial::{Denial, Reason};
use crate::identity::Caller;
use crate::time::UnixTime;
use std::rc::Rc;

/// A reply to a review.
#[derive(Clone, Debug)]
pub struct ReviewSettled {
    /// The issuer's name, for the log.
    pub name: String,
    /// The issuer's index in the configuration.
    pub issuer: usize,
    /// The review.
    pub reviewed: Rc<Reviewed>,
}

/// The API server's answer about a token.
enum Answer<'p> {
    /// The API server accepts it: by the review that the request waited for, or (`None`) by an earlier one.
    Reviewed(Option<&'p Rc<AcceptedReview>>),
    /// `onOutage: "acceptVerified"`: the API server cannot be reached.
    Outage(Denial),
}

// === impl Authenticator ===

impl Authenticator {
    /// Whether a review is to be sent.
    pub fn has_unsent_reviews(&self) -> bool {
        self.reviews.has_unsent() || self.access.has_unsent()
    }

    /// The next review that is to be sent.
    pub fn next_review(&mut self) -> Option<Callout> {
        let (id, question) = self.reviews.next_unsent()?;
        let plan = question.identity.review.as_ref()?;
        // A token that was parsed is ASCII.
        let token = std::str::from_utf8(&question.token.0).ok()?;
        Some(plan.callout(id, token, &question.identity.audiences))
    }

    pub(super) fn settle_review(
        &mut self,
        id: CalloutId,
        reply: Reply,
        now: UnixTime,
    ) -> Option<ReviewSettled> {
        let (call, question) = self.reviews.answered(id)?;
        let plan = question.identity.review.as_ref()?;
        // Envoy answers 503 and 504 itself.
        if matches!(&reply, Reply::Response { status, .. } if !(500..=599).contains(status)) {
            self.reviews.outages.answered(plan, now);
        }
        let mut outcome = plan.read(reply, &question.identity, &question.claims).map(Rc::new);
        match &mut outcome {
            // The reply says nothing about the token, so what is cached of it stays.
            Err(NotAccepted::Unavailable(cause @ Cause::Outage, why)) => {
                if !self.reviews.outages.failed(plan, why.detail(), call.asked, now) {
                    *cause = Cause::Shortage;
                }
            }
            Err(NotAccepted::Unavailable(..)) => self.reviews.outages.ended(plan),
            Ok(review) => self.approve(&question, plan, review, now),
            Err(NotAccepted::Rejected(denial)) => {
                self.known.remove(&question.token.0);
                self.reviews.refuse(&question, plan, denial.clone(), now);
            }
        }
        let (issuer, name) = (question.issuer, question.identity.name.to_string());
        let reviewed = Rc::new(Reviewed { issuer, token: question.token.clone(), outcome });
        Some(ReviewSettled { name, issuer, reviewed })
    }

    fn approve(
        &mut self,
        question: &Question,
        plan: &ReviewPlan,
        review: &Rc<AcceptedReview>,
        now: UnixTime,
    ) {
        let approval = Approval::given(now, plan.cache_ttl, plan.refresh_ahead);
        let token = &question.token.0;
        self.reviews.rejected.remove(token);
        if plan.purpose == Purpose::Instead
            && let Ok(account) = ServiceAccount::from_proof(Proof::Review(Rc::clone(review)))
            && let caller = Rc::new(Caller::new(account, None, &self.settings.identity))
            && let Some(known) =
                Known::of(question.issuer, &question.identity, caller, self.generation())
        {
            self.known.insert(token, known);
        }
        let issuer = question.issuer;
        self.known.change(token, |known| {
            if known.issuer == issuer {
                known.approval = Some(approval);
            }
        });
    }

    /// `use: "afterVerification"`: the API server must also approve a verified token.
    pub(super) fn review_verified(
        &mut self,
        (issuer, identity): (usize, &Rc<IssuerIdentity>),
        plan: &ReviewPlan,
        (account, approval): (Rc<Caller>, Option<Approval>),
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Result<Confirmed, Unproven> {
        let claims = account.proof().claims();
        let accepts = plan.on_outage == OnOutage::AcceptVerified;
        let health = accepts.then(|| self.reviews.outages.health(plan, now));
        let health = health.as_ref();
        let answer = self.review((issuer, identity), &claims, (approval, health), presented, now);
        if let (Err(Unproven::Waits(_)), Some(Health::ProbeDue(_))) = (&answer, health) {
            self.reviews.outages.probed(plan, now);
        }
        match answer? {
            Answer::Reviewed(_) => Ok(Confirmed::reviewed(account)),
            // Only an outage gets here, never a shortage: a caller could create one.
            Answer::Outage(why) => {
                let token = presented.token.bytes();
                self.reviews.rejected.check(token, approval.is_some(), now)?;
                Ok(Confirmed::unreviewed(account, why))
            }
        }
    }

    /// `use: "instead"`: the review is the proof. `claims` have passed every check that needs no key.
    pub(super) fn review_instead(
        &mut self,
        issuer: (usize, &Rc<IssuerIdentity>),
        claims: &Rc<Claims>,
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Result<Rc<Caller>, Unproven> {
        // An approval that has ended proves nothing, but it gives the caller priority over new callers.
        let before =
            self.known.get(presented.token.bytes()).filter(|known| known.issuer == issuer.0);
        let ended = before.and_then(|known| known.approval).filter(|yes| !yes.counts(now));
        match self.review(issuer, claims, (ended, None), presented, now)? {
            Answer::Reviewed(Some(review)) => {
                let account = ServiceAccount::from_proof(Proof::Review(Rc::clone(review)))?;
                Ok(Rc::new(Caller::new(account, None, &self.settings.identity)))
            }
            Answer::Reviewed(None) | Answer::Outage(_) => {
                Err(Reason::Internal.because("a review without a user").into())
            }
        }
    }

    /// The API server's answer about a token: from the review that the request waited for, from an earlier one that is still
    /// valid, or from one that is sent now. `health` is `None` if an outage denies requests, as with `onOutage: "deny"` and
    /// with `use: "instead"`.
    fn review<'p>(
        &mut self,
        (issuer, identity): (usize, &Rc<IssuerIdentity>),
        claims: &Rc<Claims>,
        (approval, health): (Option<Approval>, Option<&Health>),
        presented: &Presented<'p, impl TokenTrace>,
        now: UnixTime,
    ) -> Result<Answer<'p>, Unproven> {
        let token = presented.token.bytes();
        if let Some(reviewed) = presented.reviewed.filter(|reviewed| reviewed.is_of(issuer, token))
        {
            return match &reviewed.outcome {
                Ok(review) => Ok(Answer::Reviewed(Some(review))),
                Err(NotAccepted::Unavailable(Cause::Outage, why)) if health.is_some() => {
                    Ok(Answer::Outage(why.clone()))
                }
                Err(not_accepted) => Err(not_accepted.denial().clone().into()),
            };
        }
        let priority = if approval.is_some() { Priority::Known } else { Priority::New };
        if let Some(approval) = approval.filter(|approval| approval.counts(now)) {
            self.tally.approval_hits += 1;
            if approval.is_aging(now) {
                self.ask_again((issuer, identity), claims, token, now);
            }
            return Ok(Answer::Reviewed(None));
        }
        if let Some(denial) = self.reviews.refusal(issuer, token, now) {
            self.tally.refusal_hits += 1;
            return Err(denial.into());
        }
        if let Some(Health::Down(why)) = health {
            return Ok(Answer::Outage(outage(why)));
        }
        self.tally.review_misses += 1;
        match (self.ask((issuer, identity), claims, token, priority, now), health) {
            (Ok(id), _) => Err(Unproven::Waits(Hold::Review(id))),
            // The outage is known, and the reviews in progress will show when it is over.
            (Err(_), Some(Health::ProbeDue(why))) => Ok(Answer::Outage(outage(why))),
            (Err(denial), _) => Err(denial.into()),
        }
    }

    /// Renews the review of a token in use before its approval ends, so that no request waits for it.
    pub(super) fn ask_again(
        &mut self,
        issuer: (usize, &Rc<IssuerIdentity>),
        claims: &Rc<Claims>,
        token: &[u8],
        now: UnixTime,
    ) {
        // If there is no room now, a later request tries again.
        let _ = self.ask(issuer, claims, token, Priority::Known, now);
        self.known.change(token, |known| {
            if let Some(approval) = &mut known.approval {
                approval.asked(now);
            }
        });
    }

    fn ask(
        &mut self,
        (issuer, identity): (usize, &Rc<IssuerIdentity>),
        claims: &Rc<Claims>,
        token: &[u8],
        priority: Priority,
        now: UnixTime,
    ) -> Result<CalloutId, Denial> {
        if let Some(id) = self.reviews.under_way(issuer, token) {
            return Ok(id);
        }
        let Some(plan) = &identity.review else {
            return Err(Reason::Internal.because("an issuer without tokenReview"));
        };
        self.reviews.admit(priority, now)?;
        let id = self.next_call();
        let call = Call { asked: now, timeout: plan.timeout };
        let question = Question {
            issuer,
            identity: Rc::clone(identity),
            token: Token(token.into()),
            claims: Rc::clone(claims),
        };
        self.reviews.ask(id, call, question);
        Ok(id)
    }
}

/// Why a request passes without a review. `why`: the failure of the last review.
fn outage(why: &str) -> Denial {
    Reason::ReviewUnavailable.because(format!("outage of the API server: {why}"))
}
