//! Which call gets an issuer's keys, and what its answer means.

use super::discovery::{self, DiscoveryError};
use super::key_set::{KeySet, KeySetError};
use crate::callout::{CallFailure, Callout, CalloutId, Reply};
use std::fmt;
use std::time::Duration;

/// Where an issuer's keys are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlan {
    /// The Envoy cluster that is asked.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// The JWKS's path; `None` asks the issuer's discovery document for it.
    pub jwks_path: Option<String>,
    /// `iss` and its aliases, which the discovery document is compared with.
    pub issuers: Vec<String>,
    /// How long one call may take.
    pub timeout: Duration,
}

/// What is asked for at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchStep {
    /// The discovery document.
    Discovery,
    /// The JWKS, at this path.
    Jwks(String),
}

/// What an answer brought.
#[derive(Debug)]
pub enum Fetched {
    /// Where the JWKS is; ask for that next.
    Path(String),
    /// The keys, and for how long the server says they are fresh.
    Keys(KeySet, Option<Duration>),
}

/// Why an answer brought nothing. Its text says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// There was no answer.
    Call(CallFailure),
    /// A status other than 200.
    Status(u16),
    /// Not a discovery document of this issuer.
    Discovery(DiscoveryError),
    /// Not a key set.
    Keys(KeySetError),
}

// === impl FetchPlan ===

impl FetchPlan {
    /// Where a fetch begins; `known` is the path that discovery has given before.
    pub fn first_step(&self, known: Option<&String>) -> FetchStep {
        match self.jwks_path.as_ref().or(known) {
            Some(path) => FetchStep::Jwks(path.clone()),
            None => FetchStep::Discovery,
        }
    }

    /// The call for a step.
    pub fn callout(&self, id: CalloutId, step: &FetchStep) -> Callout {
        let (path, accept) = match step {
            FetchStep::Discovery => (discovery::PATH.to_owned(), "application/json"),
            FetchStep::Jwks(path) => (path.clone(), "application/jwk-set+json, application/json"),
        };
        Callout {
            id,
            cluster: self.cluster.clone(),
            authority: self.authority.clone(),
            path,
            accept,
            body: None,
            timeout: self.timeout,
        }
    }

    /// Reads the answer to a step.
    pub fn read(&self, step: &FetchStep, reply: Reply) -> Result<Fetched, FetchFailure> {
        let answer = reply.answer(&self.cluster).map_err(FetchFailure::Call)?;
        if answer.status != 200 {
            return Err(FetchFailure::Status(answer.status));
        }
        match step {
            FetchStep::Discovery => discovery::jwks_path(&answer.body, &self.issuers)
                .map(Fetched::Path)
                .map_err(FetchFailure::Discovery),
            FetchStep::Jwks(_) => KeySet::parse(&answer.body)
                .map(|keys| Fetched::Keys(keys, answer.cache_control.as_deref().and_then(max_age)))
                .map_err(FetchFailure::Keys),
        }
    }
}

/// `max-age` of RFC 9111 section 5.2.2.1.
fn max_age(cache_control: &str) -> Option<Duration> {
    let seconds = cache_control
        .split(',')
        .filter_map(|directive| directive.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))
        .and_then(|(_, value)| value.trim_matches('"').parse().ok());
    seconds.map(Duration::from_secs)
}

// === impl FetchFailure ===

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self {
            Self::Call(failure) => return failure.fmt(f),
            Self::Discovery(error) => return error.fmt(f),
            Self::Keys(error) => return error.fmt(f),
            Self::Status(status) => *status,
        };
        let remedy = match status {
            401 => {
                "the credential that Envoy injects is missing, expired or not for the API server's \
                 audience: check the cluster's credential_injector and its token file"
            }
            403 => {
                "the API server refuses this caller: inject a ServiceAccount's token into the cluster \
                 (ClusterRole system:service-account-issuer-discovery must be bound to it)"
            }
            404 => "there is no such path: check `path`, or use `discovery`",
            406 => "the server does not offer application/jwk-set+json or JSON",
            400 => "a TLS port may have been asked in plain text: check transport_socket",
            300..=399 => "redirects are not followed: name the right cluster and path",
            _ => "an unexpected status",
        };
        write!(f, "status {status}: {remedy}")
    }
}
