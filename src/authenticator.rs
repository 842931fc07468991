//! Authentication state that outlives a request: issuers with their keys, verified tokens, and reviews in progress.
//!
//! [`crate::core`] drives it: [`Authenticator::poll`] returns the next call to send, and [`Authenticator::settle`] takes
//! the reply.

mod access;
mod fetching;
mod in_flight;
mod known;
mod missing;
mod naming;
mod outage;
mod presented;
mod proving;
mod reviewing;
mod reviews;
mod tally;
mod token_cache;

pub use access::AccessReviewed;
pub use fetching::KeysSettled;
pub use presented::{Presented, Reviewed};
pub use reviewing::ReviewSettled;
pub use tally::Tally;

use crate::authn::issuer::Issuer;
use crate::authn::keys::Cause;
use crate::authn::signature::Verifier;
use crate::callout::{Callout, CalloutId, Reply};
use crate::config::{Config, Settings};
use crate::denial::{Denial, Reason};
use crate::identity::Caller;
use crate::table::Table;
use crate::time::UnixTime;
use access::AccessReviews;
use known::Known;
use reviews::Reviews;
use std::rc::Rc;
use token_cache::TokenCache;

/// The state of one VM under one configuration.
#[derive(Debug)]
pub struct Authenticator {
    settings: Rc<Settings>,
    issuers: Vec<Issuer>,
    /// Issuers by `iss` or alias. Several issuers share one if their clusters keep the default; the kid selects among them.
    by_iss: Table<Vec<usize>>,
    verifier: Verifier,
    known: TokenCache<Known>,
    reviews: Reviews,
    access: AccessReviews,
    /// The calls for keys in progress, each with its issuer: at most one for each issuer.
    calls: Vec<(CalloutId, usize)>,
    last_call: u32,
    tally: Tally,
}

/// The result of authenticating a request's token.
#[derive(Debug)]
pub struct Authentication {
    /// The authenticated caller, or why there is none.
    pub caller: Result<Rc<Caller>, Unproven>,
    /// Whether the token names a configured issuer. Such a token is not forwarded, whether or not it is valid.
    pub ours: bool,
    /// Why a required review did not take place (`onOutage: "acceptVerified"`).
    pub unreviewed: Option<Denial>,
}

/// Why a caller is not authenticated.
#[derive(Debug)]
pub enum Unproven {
    /// The token is rejected.
    Denied(Denial),
    /// Keys must be fetched first, or the API server must review the token.
    Waits(Hold),
}

/// What a request waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Keys.
    Keys {
        /// Of any of these issuers, as the configuration numbers them.
        issuers: Vec<usize>,
        /// Which keys.
        cause: Cause,
    },
    /// The answer to this call, which reviews its token.
    Review(CalloutId),
    /// The answer to this call, which reviews its access.
    Access(CalloutId),
}

/// An authenticated caller, and why a required review did not take place, if so.
struct Confirmed {
    account: Rc<Caller>,
    unreviewed: Option<Denial>,
}

/// The effect of a reply.
#[derive(Clone, Debug)]
pub enum Settlement {
    /// On an issuer's keys.
    Keys(KeysSettled),
    /// On the review of a token.
    Review(ReviewSettled),
    /// On the review of an access.
    Access(Rc<AccessReviewed>),
}

// === impl Authenticator ===

impl Authenticator {
    /// Starts without fetched keys. `seed` spreads refreshes and differs between VMs.
    pub fn new(config: Config, verifier: Verifier, seed: u64) -> Self {
        let mut by_iss: Table<Vec<usize>> = Table::default();
        let mut issuers = Vec::new();
        for (at, (identity, source)) in config.issuers.into_iter().enumerate() {
            for iss in &identity.issuers {
                by_iss.entry(iss.as_bytes().into()).or_default().push(at);
            }
            issuers.push(Issuer::new(identity, source, seed.wrapping_add(at as u64)));
        }
        let limits = config.settings.limits;
        Self {
            settings: Rc::new(config.settings),
            issuers,
            by_iss,
            verifier,
            known: TokenCache::new(limits.token_cache_entries),
            reviews: Reviews::new(limits.max_reviews, limits.token_cache_entries),
            access: AccessReviews::new(limits.max_reviews, limits.token_cache_entries),
            calls: Vec::new(),
            last_call: 0,
            tally: Tally::default(),
        }
    }

    /// The configuration that concerns requests.
    pub fn settings(&self) -> &Rc<Settings> {
        &self.settings
    }

    /// The lookups counted since the last call.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// The next call that is due.
    pub fn poll(&mut self, now: UnixTime) -> Option<Callout> {
        if let Some(review) = self.next_review().or_else(|| self.access.next_unsent()) {
            return Some(review);
        }
        let issuer = self.due(now)?;
        self.fetch(issuer, now)
    }

    /// Handles the reply to a call. `None` if the call is not in progress any more.
    pub fn settle(&mut self, id: CalloutId, reply: Reply, now: UnixTime) -> Option<Settlement> {
        match self.calls.iter().find(|(call, _)| *call == id).map(|(_, issuer)| *issuer) {
            Some(issuer) => {
                self.calls.retain(|(call, _)| *call != id);
                self.settle_keys(issuer, id, reply, now).map(Settlement::Keys)
            }
            None if self.reviews.has(id) => {
                self.settle_review(id, reply, now).map(Settlement::Review)
            }
            None => self.access.settle(id, reply, now).map(Settlement::Access),
        }
    }

    /// When the next fetch of keys is due. Reviews are sent as soon as a request needs them.
    pub fn next_deadline(&mut self) -> Option<UnixTime> {
        let fetches = self.issuers.iter_mut().filter_map(Issuer::cache);
        fetches.map(|cache| cache.next_due()).min()
    }

    fn next_call(&mut self) -> CalloutId {
        self.last_call = self.last_call.wrapping_add(1);
        CalloutId(self.last_call)
    }
}

// === impl Hold ===

impl Hold {
    /// Why a request is denied that cannot be paused, or not any longer. `late`: its deadline has passed.
    pub fn unavailable(&self, late: bool) -> Denial {
        match (self, late) {
            (Self::Keys { .. }, true) => {
                Reason::KeysUnavailable.because("keys were not fetched in time")
            }
            (Self::Keys { .. }, false) => Reason::KeysUnavailable
                .because("keys are not available, and the request does not wait for them"),
            (Self::Review(_), true) => {
                Reason::ReviewUnavailable.because("the review did not finish in time")
            }
            (Self::Access(_), _) => Reason::AuthorizationUnavailable
                .because("the review of the access did not finish in time"),
            (Self::Review(_), false) => Reason::ReviewUnavailable
                .because("the token is not reviewed yet, and the request does not wait for it"),
        }
    }
}

// === impl Unproven ===

impl From<Denial> for Unproven {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}
