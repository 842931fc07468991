//! Who issues tokens that we take, and where its keys come from.

use super::keys::{FetchPlan, Jwk, KeyCache, KeySet, Lookup, Pace};
use super::peer::PeerPattern;
use super::token_review::{Purpose, ReviewPlan};
use crate::time::{Leeway, UnixTime};
use std::rc::Rc;
use std::time::Duration;

/// An issuer of the configuration, with the keys that it has.
#[derive(Debug)]
pub struct Issuer {
    identity: Rc<IssuerIdentity>,
    keys: Keys,
}

/// What does not change while the configuration stands.
#[derive(Debug, PartialEq, Eq)]
pub struct IssuerIdentity {
    /// How the configuration, the rules and the upstream call it.
    pub name: Rc<str>,
    /// `iss`, then the aliases. Compared byte by byte: an issuer with a slash more is another one.
    pub issuers: Vec<String>,
    /// A token must be meant for one of these.
    pub audiences: Vec<Rc<str>>,
    /// How far clocks may differ.
    pub leeway: Leeway,
    /// How long tokens may live.
    pub lifetime: Lifetime,
    /// Whether tokens must be bound to a pod (`requireBound`).
    pub require_pod: bool,
    /// Whether the mTLS peer must be the token's service account (`matchPeer`).
    pub match_peer: Option<PeerPattern>,
    /// Whether the API server is asked about tokens, and how (`tokenReview`).
    pub review: Option<ReviewPlan>,
}

/// How long tokens may live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// `maxLifetime`: from `iat` to the effective expiry.
    pub longest: Option<Duration>,
    /// `honorWarnAfter`: a token ends when the kubelet should have replaced it. The API server gives
    /// the default token a year, for clients that never read their file again; this takes it back.
    pub honor_warn_after: bool,
}

/// Where keys come from (`keys` in the configuration).
#[derive(Debug)]
pub enum KeySource {
    /// They stand in the configuration.
    Static(Rc<KeySet>),
    /// They are fetched.
    Fetched(FetchPlan, Pace),
    /// There are none: the API server's review is the proof.
    Absent,
}

#[derive(Debug)]
enum Keys {
    Static(Rc<KeySet>),
    Fetched(Box<KeyCache>),
    Absent,
}

// === impl Issuer ===

impl Issuer {
    /// An issuer that has fetched nothing yet.
    pub fn new(identity: IssuerIdentity, source: KeySource, seed: u64) -> Self {
        let keys = match source {
            KeySource::Static(keys) => Keys::Static(keys),
            KeySource::Fetched(plan, pace) => {
                Keys::Fetched(Box::new(KeyCache::new(plan, pace, seed)))
            }
            KeySource::Absent => Keys::Absent,
        };
        Self { identity: Rc::new(identity), keys }
    }

    /// What the configuration says of it.
    pub fn identity(&self) -> &Rc<IssuerIdentity> {
        &self.identity
    }

    /// The keys at hand that may have signed a token; asks for nothing.
    pub fn at_hand(&self, kid: Option<&str>, alg: &str, now: UnixTime) -> Vec<Rc<Jwk>> {
        match &self.keys {
            Keys::Fetched(cache) => cache.at_hand(kid, alg, now),
            Keys::Static(keys) => keys.candidates(kid, alg),
            Keys::Absent => Vec::new(),
        }
    }

    /// Whether there are keys that may be used now: fetched ones lapse after `maxStale`.
    pub fn has_keys(&self, now: UnixTime) -> bool {
        match &self.keys {
            Keys::Fetched(cache) => cache.has_keys(now),
            Keys::Static(_) => true,
            Keys::Absent => false,
        }
    }

    /// See [`KeyCache::generation`]; keys that stand in the configuration never change.
    pub fn generation(&self) -> u64 {
        match &self.keys {
            Keys::Fetched(cache) => cache.generation(),
            Keys::Static(_) | Keys::Absent => 0,
        }
    }

    /// Whether its tokens are proven by review and not by keys.
    pub fn is_reviewed_instead(&self) -> bool {
        self.identity.review.as_ref().is_some_and(|plan| plan.purpose == Purpose::Instead)
    }

    /// The keys that may have signed a token; see [`KeyCache::lookup`].
    pub fn lookup(
        &mut self,
        kid: Option<&str>,
        alg: &str,
        arrived: UnixTime,
        now: UnixTime,
    ) -> Lookup {
        match &mut self.keys {
            Keys::Fetched(cache) => cache.lookup(kid, alg, arrived, now),
            Keys::Static(keys) => match keys.candidates(kid, alg) {
                none if none.is_empty() => Lookup::Unknown,
                some => Lookup::Found(some),
            },
            Keys::Absent => Lookup::Unknown,
        }
    }

    /// The cache of fetched keys, where they are fetched.
    pub fn cache(&mut self) -> Option<&mut KeyCache> {
        match &mut self.keys {
            Keys::Fetched(cache) => Some(cache),
            Keys::Static(_) | Keys::Absent => None,
        }
    }
}
