//! The HTTP calls that fetch an issuer's keys, and the evaluation of the responses.

use super::discovery::{self, DiscoveryError};
use super::key_set::{KeySet, KeySetError};
use super::retry::Failed;
use crate::callout::{CallFailure, Callout, CalloutId, Reply};
use std::fmt;
use std::time::Duration;

/// The server and path of an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlan {
    /// The Envoy cluster of the server.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// The path of the JWKS; `None`: from the issuer's discovery document.
    pub jwks_path: Option<String>,
    /// `iss` and its aliases. The `issuer` of the discovery document must be one of them.
    pub issuers: Vec<String>,
    /// The timeout of one call.
    pub timeout: Duration,
}

/// The document that a call fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchStep {
    /// The discovery document.
    Discovery,
    /// The JWKS at this path.
    Jwks(String),
}

/// The content of a response.
#[derive(Debug)]
pub enum Fetched {
    /// The path of the JWKS, which the next call fetches.
    Path(String),
    /// The keys, and the server's `max-age`.
    Keys(KeySet, Option<Duration>),
}

/// Why a fetch failed. The text contains the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The server did not respond.
    Call(CallFailure),
    /// A status other than 200, and the server's `Retry-After`.
    Status(u16, Option<Duration>),
    /// Not a discovery document of this issuer.
    Discovery(DiscoveryError),
    /// Not a key set.
    Keys(KeySetError),
}

// === impl FetchPlan ===

impl FetchPlan {
    /// The first document of a fetch; `known` is the path from an earlier discovery.
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

    /// Evaluates the response to a step.
    pub fn read(&self, step: &FetchStep, reply: Reply) -> Result<Fetched, FetchFailure> {
        let answer = reply.answer(&self.cluster).map_err(FetchFailure::Call)?;
        if answer.status != 200 {
            return Err(FetchFailure::Status(answer.status, answer.retry_after()));
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

impl FetchFailure {
    /// What the failure means for the next attempt.
    pub(super) fn failed(&self) -> Failed {
        let (retry_after, while_starting) = match self {
            Self::Call(CallFailure::UnknownCluster(_)) => return Failed::NoCluster,
            Self::Call(CallFailure::TooLarge) => (None, false),
            Self::Call(_) => return Failed::NoAnswer,
            Self::Status(status, after) => (*after, matches!(status, 401 | 403 | 404)),
            Self::Discovery(_) | Self::Keys(_) => (None, false),
        };
        Failed::Refused { retry_after, while_starting }
    }

    /// Whether the document is not at its path any more.
    pub(super) fn says_gone(&self) -> bool {
        matches!(self, Self::Status(404 | 410, _))
    }
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self {
            Self::Call(failure) => return failure.fmt(f),
            Self::Discovery(error) => return error.fmt(f),
            Self::Keys(error) => return error.fmt(f),
            Self::Status(status, _) => *status,
        };
        let remedy = match status {
            401 => {
                "the credential that Envoy injects is missing, expired or not for the API server's \
                 audience; check the cluster's credential_injector and its token file"
            }
            403 => {
                "this proxy's service account is not allowed to read the keys; inject a \
                 ServiceAccount's token into the cluster, and bind ClusterRole \
                 system:service-account-issuer-discovery to it"
            }
            404 => "the path does not exist; check `path`, or use `discovery`",
            406 => "the server offers neither application/jwk-set+json nor application/json",
            400 => {
                "the request may have been sent in plain text to a TLS port; check transport_socket"
            }
            300..=399 => "redirects are not followed; set the cluster and path of the target",
            408 | 504 => "the server reports a timeout",
            429 => "the server limits the number of requests",
            500..=599 => "the server reports an error of its own",
            _ => "unexpected status, expected 200",
        };
        write!(f, "status {status}: {remedy}")
    }
}
