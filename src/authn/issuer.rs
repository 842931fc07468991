//! The configured issuers and their keys.

use super::access_plan::AccessPlan;
use super::keys::{FetchPlan, Jwk, KeyCache, KeySet, Lookup, RefreshSchedule};
use super::signature::UnsupportedKey;
use crate::time::{Leeway, UnixTime};
use std::rc::Rc;
use std::time::Duration;

/// A configured issuer with its keys.
#[derive(Debug)]
pub struct Issuer {
    identity: Rc<IssuerIdentity>,
    keys: Keys,
}

/// The settings of an issuer.
#[derive(Debug, PartialEq, Eq)]
pub struct IssuerIdentity {
    /// The name in rules, logs, metrics and identity headers.
    pub name: Rc<str>,
    /// `iss` and its aliases, compared byte by byte: a trailing slash makes another issuer (RFC 7519 section 2,
    /// StringOrURI).
    pub issuers: Vec<String>,
    /// The accepted audiences.
    pub audiences: Vec<Rc<str>>,
    /// The allowed clock difference.
    pub leeway: Leeway,
    /// The limits of token lifetimes.
    pub lifetime: Lifetime,
    /// Whether tokens must be bound to a pod (`requireBound`).
    pub require_pod: bool,
    /// The required mTLS peer (`matchPeer`).
    pub match_peer: Option<PeerPattern>,
    /// The TokenReview settings (`tokenReview`).
    pub review: Option<ReviewPlan>,
    /// The SubjectAccessReview settings (`subjectAccessReview`).
    pub access: Option<AccessPlan>,
}

/// The peers that `matchPeer` accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPattern {
    /// The required trust domain; `None` accepts any trust domain that Envoy has verified.
    pub trust_domain: Option<String>,
}

/// How an issuer's tokens are reviewed (`tokenReview` in the configuration).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewPlan {
    /// The Envoy cluster of the API server.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// Precedes the path, such as `/k8s/clusters/c-1` of a Rancher server.
    pub path_prefix: String,
    /// What a review is for.
    pub purpose: Purpose,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long an approval is valid.
    pub cache_ttl: Duration,
    /// How long before its end the approval of a token in use is renewed.
    pub refresh_ahead: Duration,
    /// What happens during an outage of the API server.
    pub on_outage: OnOutage,
}

/// What a review is for (`use`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The token was verified. The review checks whether the object that it is bound to still exists.
    AfterVerification,
    /// The review is the proof. No keys are needed.
    Instead,
}

/// What the filter does with a verified token during an outage of the API server (`onOutage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOutage {
    /// It denies every request whose token has not been reviewed.
    Deny,
    /// It accepts verified tokens without a review.
    AcceptVerified,
}

/// The limits of token lifetimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// `maxLifetime`: the maximum time from `iat` to the effective expiry.
    pub longest: Option<Duration>,
    /// `honorWarnAfter`: a token expires at `warnafter`. The API server extends the lifetime of default tokens to a
    /// year, for clients that never reload their token file; this reverts the extension.
    pub honor_warn_after: bool,
}

/// The source of the keys (`keys` in the configuration).
#[derive(Debug)]
pub enum KeySource {
    /// The configuration contains the keys.
    Static(Rc<KeySet>),
    /// The filter fetches the keys.
    Fetched(Box<FetchPlan>, RefreshSchedule),
    /// No keys: TokenReviews replace the local verification.
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
    /// An issuer with an empty key cache.
    pub fn new(identity: IssuerIdentity, source: KeySource, seed: u64) -> Self {
        let keys = match source {
            KeySource::Static(keys) => Keys::Static(keys),
            KeySource::Fetched(plan, schedule) => {
                Keys::Fetched(Box::new(KeyCache::new(*plan, schedule, seed)))
            }
            KeySource::Absent => Keys::Absent,
        };
        Self { identity: Rc::new(identity), keys }
    }

    /// The settings of the issuer.
    pub fn identity(&self) -> &Rc<IssuerIdentity> {
        &self.identity
    }

    /// The cached keys that may have signed a token. Never causes a fetch.
    pub fn at_hand(&self, kid: Option<&str>, alg: &str, now: UnixTime) -> Vec<Rc<Jwk>> {
        match &self.keys {
            Keys::Fetched(cache) => cache.at_hand(kid, alg, now),
            Keys::Static(keys) => keys.candidates(kid, alg),
            Keys::Absent => Vec::new(),
        }
    }

    /// Why the issuer's key with this key ID is not used.
    pub fn why_skipped(&self, kid: &str) -> Option<&UnsupportedKey> {
        match &self.keys {
            Keys::Fetched(cache) => cache.keys()?.why_skipped(kid),
            Keys::Static(keys) => keys.why_skipped(kid),
            Keys::Absent => None,
        }
    }

    /// Whether the issuer has valid keys. Fetched keys expire after `maxStale`.
    pub fn has_keys(&self, now: UnixTime) -> bool {
        match &self.keys {
            Keys::Fetched(cache) => cache.has_keys(now),
            Keys::Static(_) => true,
            Keys::Absent => false,
        }
    }

    /// See [`KeyCache::generation`]; keys in the configuration never change.
    pub fn generation(&self) -> u64 {
        match &self.keys {
            Keys::Fetched(cache) => cache.generation(),
            Keys::Static(_) | Keys::Absent => 0,
        }
    }

    /// Whether TokenReviews replace the local verification.
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

    /// The key cache, if the filter fetches the keys.
    pub fn cache(&mut self) -> Option<&mut KeyCache> {
        match &mut self.keys {
            Keys::Fetched(cache) => Some(cache),
            Keys::Static(_) | Keys::Absent => None,
        }
    }
}
