//! The HTTP calls that fetch an issuer's keys, and the evaluation of the responses.

use super::discovery::{self, DiscoveryError, JwksUri};
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
    /// Precedes the paths of the API server: `/k8s/clusters/c-1` of a Rancher server, or the path of the issuer.
    pub path_prefix: String,
    /// The path of the JWKS; `None`: from the issuer's discovery document.
    pub jwks_path: Option<String>,
    /// Cluster and authority of the JWKS, if another server has it than the discovery document.
    pub jwks_server: Option<(String, String)>,
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
    /// The JWKS.
    Jwks(JwksPlace),
}

/// The place of a JWKS on its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwksPlace {
    path: String,
    /// The `jwks_uri` of the discovery document, if it names another server than the one that is asked, and not the path
    /// that every API server has.
    elsewhere: Option<String>,
}

/// The content of a response.
#[derive(Debug)]
pub enum Fetched {
    /// The place of the JWKS, which the next call fetches.
    Place(JwksPlace),
    /// The keys, and the server's `max-age`.
    Keys(KeySet, Option<Duration>),
}

/// Why a fetch failed. The text contains the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchFailure {
    path: String,
    elsewhere: Option<String>,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
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
    /// The first document of a fetch; `known` is the place from an earlier discovery.
    pub fn first_step(&self, known: Option<&JwksPlace>) -> FetchStep {
        match (&self.jwks_path, known) {
            (Some(path), _) => FetchStep::Jwks(JwksPlace { path: path.clone(), elsewhere: None }),
            (None, Some(place)) => FetchStep::Jwks(place.clone()),
            (None, None) => FetchStep::Discovery,
        }
    }

    /// The place to ask next, if the server does not have the JWKS where the discovery document says. An API server
    /// whose `jwks_uri` names another server serves its keys itself, too.
    pub fn fallback(&self, step: &FetchStep, failure: &FetchFailure) -> Option<JwksPlace> {
        let FetchStep::Jwks(place) = step else { return None };
        let own =
            JwksPlace { path: self.prefixed(API_SERVER_JWKS), elsewhere: place.elsewhere.clone() };
        let is_elsewhere = place.elsewhere.is_some() && self.jwks_server.is_none();
        let is_refused = matches!(failure.why, Why::Status(401 | 403 | 404, _));
        (is_elsewhere && is_refused && own.path != place.path).then_some(own)
    }

    fn prefixed(&self, path: &str) -> String {
        format!("{}{path}", self.path_prefix)
    }

    fn place(&self, uri: JwksUri) -> JwksPlace {
        let (authority, path) = match &self.jwks_server {
            Some((_, authority)) => (authority, uri.path.clone()),
            // The API server behind a proxy does not know its path there.
            None if !uri.is_at(&self.authority) => (&self.authority, self.prefixed(&uri.path)),
            None => (&self.authority, uri.path.clone()),
        };
        // Most API servers write their internal address, with the usual path.
        let is_usual = uri.is_at(authority) || uri.path == API_SERVER_JWKS;
        JwksPlace { path, elsewhere: (!is_usual).then_some(uri.text) }
    }

    /// The call for a step.
    pub fn callout(&self, id: CalloutId, step: &FetchStep) -> Callout {
        let here = (&self.cluster, &self.authority);
        let (server, accept) = match (step, &self.jwks_server) {
            (FetchStep::Discovery, _) => (here, "application/json"),
            (FetchStep::Jwks(_), None) => (here, ACCEPT_JWKS),
            (FetchStep::Jwks(_), Some((cluster, authority))) => ((cluster, authority), ACCEPT_JWKS),
        };
        Callout {
            id,
            cluster: server.0.clone(),
            authority: server.1.clone(),
            path: self.path(step),
            accept,
            body: None,
            timeout: self.timeout,
        }
    }

    fn path(&self, step: &FetchStep) -> String {
        match step {
            FetchStep::Discovery => self.prefixed(discovery::PATH),
            FetchStep::Jwks(place) => place.path.clone(),
        }
    }

    /// Evaluates the response to a step.
    pub fn read(&self, step: &FetchStep, reply: Reply) -> Result<Fetched, FetchFailure> {
        self.read_answer(step, reply).map_err(|why| {
            let elsewhere = match step {
                FetchStep::Discovery => None,
                FetchStep::Jwks(place) => place.elsewhere.clone(),
            };
            FetchFailure { path: self.path(step), elsewhere, why }
        })
    }

    fn read_answer(&self, step: &FetchStep, reply: Reply) -> Result<Fetched, Why> {
        let cluster = match (step, &self.jwks_server) {
            (FetchStep::Jwks(_), Some((cluster, _))) => cluster,
            _ => &self.cluster,
        };
        let answer = reply.answer(cluster).map_err(Why::Call)?;
        if answer.status != 200 {
            return Err(Why::Status(answer.status, answer.retry_after()));
        }
        match step {
            FetchStep::Discovery => discovery::jwks_uri(&answer.body, &self.issuers)
                .map(|uri| Fetched::Place(self.place(uri)))
                .map_err(Why::Discovery),
            FetchStep::Jwks(_) => KeySet::parse(&answer.body)
                .map(|keys| Fetched::Keys(keys, answer.cache_control.as_deref().and_then(max_age)))
                .map_err(Why::Keys),
        }
    }
}

/// Where every API server has its keys.
const API_SERVER_JWKS: &str = "/openid/v1/jwks";

/// The API server answers 406 to `application/json` alone.
const ACCEPT_JWKS: &str = "application/jwk-set+json, application/json";

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
    /// Whether Envoy does not have the cluster, or no host in it: it may not be ready yet.
    pub fn is_without_cluster(&self) -> bool {
        matches!(self.why, Why::Call(CallFailure::UnknownCluster(_) | CallFailure::NotSent))
    }

    /// What the failure means for the next attempt.
    pub(super) fn failed(&self) -> Failed {
        let (retry_after, while_starting) = match &self.why {
            Why::Call(CallFailure::UnknownCluster(_)) => return Failed::NoCluster,
            Why::Call(CallFailure::TooLarge) => (None, false),
            Why::Call(_) => return Failed::NoAnswer,
            Why::Status(status, after) => (*after, matches!(status, 401 | 403 | 404)),
            Why::Discovery(_) | Why::Keys(_) => (None, false),
        };
        Failed::Refused { retry_after, while_starting }
    }

    /// Whether the document is not at its path any more.
    pub(super) fn says_gone(&self) -> bool {
        matches!(self.why, Why::Status(404 | 410, _))
    }
}

impl fmt::Display for FetchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {}: {}", self.path, self.why)?;
        let Some(uri) = &self.elsewhere else { return Ok(()) };
        write!(
            f,
            "; discovery names {uri:?}, on another server: set keys.discovery.jwksServer to its \
             cluster and authority, or use keys.jwks"
        )
    }
}

impl fmt::Display for Why {
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
            404 | 410 => "there is no such path; check the cluster, the authority and the path",
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
