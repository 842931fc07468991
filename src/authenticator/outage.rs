//! Outages of API servers that review tokens, and the tokens that must not profit from one
//! (`onOutage: "acceptVerified"`).

use crate::authn::issuer::ReviewPlan;
use crate::authn::signature::sha256;
use crate::denial::{Denial, Reason};
use crate::time::UnixTime;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// Outages found by failed reviews. An outage ends by itself if no further review fails.
#[derive(Debug, Default)]
pub(super) struct Outages(Vec<Server>);

/// An API server that was asked.
#[derive(Debug)]
struct Server {
    cluster: String,
    authority: String,
    path_prefix: String,
    /// When it last answered.
    answered: Option<UnixTime>,
    outage: Option<Outage>,
}

/// An API server that cannot be reached.
#[derive(Debug)]
struct Outage {
    failed: UnixTime,
    /// When the next review probes whether the outage is over.
    probe: UnixTime,
    /// When the last failure is too old to be relevant.
    ends: UnixTime,
    why: Rc<str>,
}

/// The state of an API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// No outage is known: ask, and wait for the answer.
    Unknown,
    /// An outage, and it is time for one review to find out whether it is over.
    ProbeDue(Rc<str>),
    /// An outage; why the last review failed.
    Down(Rc<str>),
}

/// Tokens that an API server has rejected, by [`digest`], until they expire.
///
/// No entry is evicted: an evicted token would pass during an outage. If there is no room, the list is marked as
/// incomplete, and tokens that were never accepted do not pass either.
#[derive(Debug)]
pub(super) struct Rejected {
    tokens: HashMap<[u8; 32], UnixTime>,
    capacity: usize,
    /// Until when a token that is missing from the list is valid.
    incomplete_until: Option<UnixTime>,
}

// === impl Outages ===

impl Outages {
    /// The state of the API server that this plan asks.
    pub(super) fn health(&self, plan: &ReviewPlan, now: UnixTime) -> Health {
        let server = self.0.iter().find(|server| server.is_of(plan));
        match server.and_then(|server| server.outage.as_ref()) {
            // A clock that was set back must not make an outage longer.
            Some(outage) if now < outage.failed || now >= outage.ends => Health::Unknown,
            Some(outage) if now >= outage.probe => Health::ProbeDue(Rc::clone(&outage.why)),
            Some(outage) => Health::Down(Rc::clone(&outage.why)),
            None => Health::Unknown,
        }
    }

    /// A review failed because its API server cannot be reached. `false` if the API server has answered another review since
    /// this one was asked: then it is only slow, as a caller can make it, and there is no outage.
    pub(super) fn failed(
        &mut self,
        plan: &ReviewPlan,
        why: &str,
        asked: UnixTime,
        now: UnixTime,
    ) -> bool {
        let mut server = self.take(plan);
        // A clock that was set back proves nothing.
        let is_slow = server.answered.is_some_and(|answered| asked < answered && answered <= now);
        if !is_slow {
            let probe = now.plus(PROBE_INTERVAL);
            let ends = probe.plus(PROBE_INTERVAL);
            server.outage = Some(Outage { failed: now, probe, ends, why: why.into() });
        }
        self.0.push(server);
        !is_slow
    }

    /// An API server has answered a review, with whatever result.
    pub(super) fn answered(&mut self, plan: &ReviewPlan, now: UnixTime) {
        let server = self.take(plan);
        self.0.push(Server { answered: Some(now), outage: None, ..server });
    }

    /// A review has no result, and not because of an outage: a shortage never accepts a token.
    pub(super) fn ended(&mut self, plan: &ReviewPlan) {
        if let Some(server) = self.known(plan) {
            server.outage = None;
        }
    }

    /// A review was sent that will show whether the outage is over.
    pub(super) fn probed(&mut self, plan: &ReviewPlan, now: UnixTime) {
        if let Some(outage) = self.known(plan).and_then(|server| server.outage.as_mut()) {
            outage.probe = now.plus(plan.timeout).plus(PROBE_INTERVAL);
            outage.ends = outage.probe;
        }
    }

    fn known(&mut self, plan: &ReviewPlan) -> Option<&mut Server> {
        self.0.iter_mut().find(|server| server.is_of(plan))
    }

    /// Removes what is known of a server, for the caller to add it again.
    fn take(&mut self, plan: &ReviewPlan) -> Server {
        let known = self.0.iter().position(|server| server.is_of(plan));
        known.map_or_else(|| Server::of(plan), |at| self.0.swap_remove(at))
    }
}

// === impl Server ===

impl Server {
    fn of(plan: &ReviewPlan) -> Self {
        Self {
            cluster: plan.cluster.clone(),
            authority: plan.authority.clone(),
            path_prefix: plan.path_prefix.clone(),
            answered: None,
            outage: None,
        }
    }

    fn is_of(&self, plan: &ReviewPlan) -> bool {
        self.cluster == plan.cluster
            && self.authority == plan.authority
            && self.path_prefix == plan.path_prefix
    }
}

// === impl Rejected ===

impl Rejected {
    /// Holds at most `capacity` tokens.
    pub(super) fn new(capacity: usize) -> Self {
        Self { tokens: HashMap::new(), capacity, incomplete_until: None }
    }

    /// Adds a token that the API server has rejected, and that expires at `until`.
    pub(super) fn add(&mut self, token: &[u8], until: UnixTime, now: UnixTime) {
        self.add_digest(digest(token), until, now);
    }

    /// Adds the tokens of an earlier configuration.
    pub(super) fn take_over(&mut self, earlier: &Self, now: UnixTime) {
        self.incomplete_until = self.incomplete_until.max(earlier.incomplete_until);
        let valid = earlier.tokens.iter().filter(|(_, until)| now < **until);
        valid.for_each(|(digest, until)| self.add_digest(*digest, *until, now));
    }

    fn add_digest(&mut self, digest: [u8; 32], until: UnixTime, now: UnixTime) {
        if self.tokens.len() >= self.capacity {
            self.tokens.retain(|_, until| now < *until);
        }
        if self.tokens.len() < self.capacity || self.tokens.contains_key(&digest) {
            self.tokens.insert(digest, until);
        } else {
            self.incomplete_until = self.incomplete_until.max(Some(until));
        }
    }

    /// The API server has accepted this token.
    pub(super) fn remove(&mut self, token: &[u8]) {
        if !self.tokens.is_empty() {
            self.tokens.remove(&digest(token));
        }
    }

    /// Whether a token may pass without a review. `accepted_before`: its last review accepted it.
    pub(super) fn check(
        &self,
        token: &[u8],
        accepted_before: bool,
        now: UnixTime,
    ) -> Result<(), Denial> {
        if !self.tokens.is_empty() && self.tokens.contains_key(&digest(token)) {
            let detail = "the API server rejected the token before its outage";
            return Err(Reason::Revoked.because(detail));
        }
        if !accepted_before && self.incomplete_until.is_some_and(|until| now < until) {
            let detail = format!("the list of rejected tokens is full ({} tokens)", self.capacity);
            return Err(Reason::Overloaded.because(detail));
        }
        Ok(())
    }
}

/// Stands for a token without its signature: from an ECDSA signature, anyone can compute a second one for the same token.
fn digest(token: &[u8]) -> [u8; 32] {
    let signed = token.iter().rposition(|byte| *byte == b'.').and_then(|dot| token.get(..dot));
    sha256(signed.unwrap_or(token))
}

/// How long after a failed review the next one decides whether the outage is over.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn rejected_tokens_are_never_forgotten_before_they_expire() {
        let mut rejected = Rejected::new(2);
        rejected.add(b"one", at(100), at(0));
        rejected.add(b"two", at(50), at(0));
        rejected.add(b"two", at(50), at(1));
        assert_eq!(rejected.check(b"new", false, at(1)), Ok(()));
        rejected.add(b"three", at(80), at(2));
        for token in ["one", "two"] {
            let denial = rejected.check(token.as_bytes(), true, at(2)).unwrap_err();
            assert_eq!(denial.reason(), Reason::Revoked, "{token}");
        }
        // The third found no room: it and every other unknown token is denied until it expires.
        for token in ["three", "new"] {
            let denial = rejected.check(token.as_bytes(), false, at(79)).unwrap_err();
            assert_eq!(denial.reason(), Reason::Overloaded, "{token}");
        }
        assert_eq!(rejected.check(b"accepted", true, at(79)), Ok(()));
        assert_eq!(rejected.check(b"new", false, at(80)), Ok(()));
    }

    #[test]
    fn expired_tokens_make_room_for_new_ones() {
        let mut rejected = Rejected::new(1);
        rejected.add(b"one", at(10), at(0));
        rejected.add(b"two", at(20), at(10));
        assert_eq!(rejected.check(b"two", true, at(11)).unwrap_err().reason(), Reason::Revoked);
        assert_eq!(rejected.check(b"new", false, at(11)), Ok(()));
    }

    #[test]
    fn a_new_configuration_remembers_what_the_old_one_did() {
        let mut old = Rejected::new(3);
        for (token, until) in [(b"old", 5), (b"one", 100), (b"two", 100)] {
            old.add(token, at(until), at(0));
        }
        let mut new = Rejected::new(2);
        new.take_over(&old, at(10));
        for token in [b"one", b"two"] {
            assert_eq!(new.check(token, true, at(11)).unwrap_err().reason(), Reason::Revoked);
        }
        assert_eq!(new.check(b"new", false, at(11)), Ok(()));
        // What does not fit is not forgotten silently.
        let mut small = Rejected::new(1);
        small.take_over(&old, at(10));
        assert_eq!(small.check(b"new", false, at(11)).unwrap_err().reason(), Reason::Overloaded);
    }

    #[test]
    fn an_accepted_token_is_not_rejected_any_more() {
        let mut rejected = Rejected::new(1);
        rejected.add(b"one", at(10), at(0));
        rejected.remove(b"one");
        assert_eq!(rejected.check(b"one", false, at(1)), Ok(()));
    }
}
