//! Validation of `issuers`.

use super::bounds::{self, Bounds};
use super::problems::Problems;
use super::same_iss::{Numbered, check_shared};
use super::server::{is_visible, path_prefix, server};
use super::wire;
use super::{access, reviews};
use crate::account_name::is_dns_subdomain;
use crate::authn::issuer::{IssuerIdentity, KeySource, Lifetime, PeerPattern, Purpose};
use crate::authn::keys::{FetchPlan, KeySet, RefreshSchedule, from_pem};
use crate::time::Leeway;
use std::rc::Rc;
use std::time::Duration;

/// The names of all issuers, including issuers with errors.
pub(super) fn names(wire: Option<&[wire::Issuer]>) -> Vec<String> {
    let name = |wire: &wire::Issuer| wire.name.clone().or_else(|| wire.issuer.clone());
    wire.unwrap_or_default().iter().filter_map(name).collect()
}

/// The audiences of all issuers.
pub(super) fn audiences(wire: Option<&[wire::Issuer]>) -> Vec<String> {
    let issuers = wire.unwrap_or_default().iter();
    issuers.flat_map(|issuer| issuer.audiences.iter().flatten().cloned()).collect()
}

/// Checks each issuer, and the issuers against each other. `wait_timeout` is `limits.waitTimeout`.
pub(super) fn check(
    wire: Option<Vec<wire::Issuer>>,
    wait_timeout: Duration,
    problems: &mut Problems,
) -> Vec<(IssuerIdentity, KeySource)> {
    let wire = wire.unwrap_or_default();
    if wire.is_empty() {
        problems.add("issuers", "must not be empty; add the issuer of your cluster's tokens");
    }
    let mut issuers: Vec<Numbered> = Vec::new();
    let mut names = Vec::new();
    for (at, mut issuer) in wire.into_iter().enumerate() {
        let path = format!("issuers[{at}]");
        let (keys, token_review) = (issuer.keys.take(), issuer.token_review.take());
        let review = token_review
            .map(|review| reviews::check(&path, review, keys.is_some(), wait_timeout, problems));
        let access = issuer.subject_access_review.take();
        let access = access.map(|wire| access::plan(&path, wire, problems));
        let identity = IssuerIdentity { review, access, ..identity(&path, &issuer, problems) };
        let source = match &identity.review {
            Some(plan) if plan.purpose == Purpose::Instead => Some(KeySource::Absent),
            _ => key_source(&format!("{path}.keys"), keys, &identity, problems),
        };
        if let Some(first) = names.iter().position(|name| *name == identity.name) {
            let name = &identity.name;
            problems.add(
                format!("{path}.name"),
                format!(
                    "issuer names must be unique: {name:?} is also the name of issuers[{first}]"
                ),
            );
        }
        names.push(Rc::clone(&identity.name));
        issuers.extend(source.map(|source| (at, identity, source)));
    }
    check_shared(&issuers, problems);
    issuers.into_iter().map(|(_, identity, source)| (identity, source)).collect()
}

fn identity(path: &str, wire: &wire::Issuer, problems: &mut Problems) -> IssuerIdentity {
    let issuer = wire.issuer.clone().unwrap_or_default();
    if issuer.is_empty() {
        problems.add(
            format!("{path}.issuer"),
            "must not be empty; set the `iss` of your cluster's tokens, for example \
             \"https://kubernetes.default.svc.cluster.local\"",
        );
    }
    let mut issuers = vec![issuer.clone()];
    for (at, alias) in wire.aliases.iter().flatten().enumerate() {
        if alias.is_empty() {
            problems.add(format!("{path}.aliases[{at}]"), "must not be empty; remove it");
        } else if issuers.contains(alias) {
            let fault = format!("{alias:?} is already the issuer or an earlier alias; remove it");
            problems.add(format!("{path}.aliases[{at}]"), fault);
        }
        issuers.push(alias.clone());
    }
    for (at, iss) in issuers.iter().enumerate() {
        if let Some(fault) = fault_of_issuer(iss) {
            let field =
                at.checked_sub(1).map_or("issuer".to_owned(), |at| format!("aliases[{at}]"));
            problems.add(format!("{path}.{field}"), fault);
        }
    }
    if issuers.iter().any(|iss| iss == "kubernetes/serviceaccount") {
        problems.add(
            format!("{path}.issuer"),
            "\"kubernetes/serviceaccount\" is the issuer of tokens from Secrets, which never expire \
             and have no audience; use projected tokens and their issuer",
        );
    }
    let audiences = wire.audiences.clone().unwrap_or_default();
    let wrong_audiences = match audiences.as_slice() {
        [] => Some("must not be empty"),
        some if some.iter().any(String::is_empty) => Some("must not contain an empty string"),
        _ => None,
    };
    if let Some(fault) = wrong_audiences {
        let remedy = "list the audience your callers request, for example [\"my-service\"]";
        problems.add(format!("{path}.audiences"), format!("{fault}; {remedy}"));
    }
    for (at, audience) in audiences.iter().enumerate() {
        if let Some(fault) = fault_of(audience) {
            problems.add(format!("{path}.audiences[{at}]"), fault);
        }
    }
    let name = wire.name.clone().unwrap_or(issuer);
    if wire.name.as_deref().is_some_and(|name| !is_visible(name)) {
        let fault = "must be visible ASCII and not empty, because headers and metrics contain it";
        problems.add(format!("{path}.name"), fault);
    }
    IssuerIdentity {
        name: name.into(),
        issuers,
        audiences: audiences.into_iter().map(Rc::from).collect(),
        leeway: Leeway(bounds::LEEWAY.duration(path, wire.leeway, problems)),
        lifetime: Lifetime {
            longest: wire
                .max_lifetime
                .map(|longest| bounds::MAX_LIFETIME.duration(path, Some(longest), problems)),
            honor_warn_after: wire.honor_warn_after.unwrap_or(false),
        },
        require_pod: matches!(wire.require_bound, Some(wire::Bound::Pod)),
        match_peer: match_peer(path, wire.match_peer.as_ref(), problems),
        review: None,
        access: None,
    }
}

fn match_peer(
    path: &str,
    wire: Option<&wire::MatchPeer>,
    problems: &mut Problems,
) -> Option<PeerPattern> {
    match wire? {
        wire::MatchPeer::Whether(whether) => whether.then_some(PeerPattern { trust_domain: None }),
        wire::MatchPeer::Peer(wire::PeerPattern { trust_domain }) => {
            if !trust_domain.as_deref().is_some_and(is_dns_subdomain) {
                let fault = "must be a trust domain, for example \"cluster.local\"";
                problems.add(format!("{path}.matchPeer.trustDomain"), fault);
            }
            Some(PeerPattern { trust_domain: trust_domain.clone() })
        }
    }
}

fn key_source(
    path: &str,
    wire: Option<wire::Keys>,
    identity: &IssuerIdentity,
    problems: &mut Problems,
) -> Option<KeySource> {
    let wire = wire.unwrap_or_default();
    let schedule = refresh_schedule(path, &wire, problems);
    let timed = [wire.refresh_interval, wire.min_refetch_interval, wire.max_stale, wire.timeout];
    let timeout = bounds::KEYS_TIMEOUT.duration(path, wire.timeout, problems);
    let plan = |(cluster, authority)| FetchPlan {
        cluster,
        authority,
        path_prefix: String::new(),
        jwks_path: None,
        jwks_server: None,
        issuers: identity.issuers.clone(),
        timeout,
    };
    let source = match (wire.discovery, wire.jwks, wire.inline, wire.pem) {
        (Some(discovery), None, None, None) => {
            let path = format!("{path}.discovery");
            let of_server = server(&path, discovery.cluster, discovery.authority, problems);
            let path_prefix = path_prefix(&path, discovery.path_prefix, problems);
            let jwks_server = discovery.jwks_server.map(|wire| {
                server(&format!("{path}.jwksServer"), wire.cluster, wire.authority, problems)
            });
            let plan = FetchPlan { path_prefix, jwks_server, ..plan(of_server) };
            KeySource::Fetched(Box::new(plan), schedule)
        }
        (None, Some(jwks), None, None) => {
            let path = format!("{path}.jwks");
            let of_server = server(&path, jwks.cluster, jwks.authority, problems);
            let jwks_path = required(&path, "path", JWKS_PATH, jwks.path, problems);
            if !jwks_path.starts_with('/') || jwks_path.contains('#') {
                problems.add(format!("{path}.path"), JWKS_PATH);
            }
            let plan = FetchPlan { jwks_path: Some(jwks_path), ..plan(of_server) };
            KeySource::Fetched(Box::new(plan), schedule)
        }
        (None, None, Some(inline), None) => {
            static_keys(format!("{path}.inline"), KeySet::from_value(&inline), problems)?
        }
        (None, None, None, Some(pem)) => static_keys(
            format!("{path}.pem"),
            KeySet::from_keys(pem.iter().map(|text| from_pem(text))),
            problems,
        )?,
        (None, None, None, None) => {
            let hint = match identity.review {
                Some(_) => "; without keys, set tokenReview.use to \"instead\"",
                None => "",
            };
            problems.add(path, format!("{ONE_SOURCE}, found none{hint}"));
            return None;
        }
        _ => {
            problems.add(path, format!("{ONE_SOURCE}, found several; remove the others"));
            return None;
        }
    };
    if matches!(source, KeySource::Static(_)) && timed.iter().any(Option::is_some) {
        let fault = "`inline` and `pem` keys are not fetched; remove refreshInterval, \
                     minRefetchInterval, maxStale and timeout";
        problems.add(path, fault);
    }
    Some(source)
}

/// An unsupported key in the configuration is an error. In a fetched set it is skipped, because the server may publish
/// keys for algorithms that the filter does not support yet.
fn static_keys(
    path: String,
    keys: Result<KeySet, crate::authn::keys::KeySetError>,
    problems: &mut Problems,
) -> Option<KeySource> {
    match keys {
        Ok(keys) => {
            if let Some(skipped) = keys.skipped().first() {
                problems.add(path, format!("unsupported key: {skipped}"));
            } else if let Some(kid) = keys.duplicate_kid() {
                problems.add(path, format!("duplicate kid {kid:?}; remove one of the two keys"));
            }
            Some(KeySource::Static(Rc::new(keys)))
        }
        Err(error) => {
            problems.add(path, error.to_string());
            None
        }
    }
}

fn refresh_schedule(path: &str, wire: &wire::Keys, problems: &mut Problems) -> RefreshSchedule {
    let mut duration = |bounds: &Bounds, wire| bounds.duration(path, wire, problems);
    let refresh = duration(&bounds::REFRESH_INTERVAL, wire.refresh_interval);
    let min_refetch = duration(&bounds::MIN_REFETCH_INTERVAL, wire.min_refetch_interval);
    let max_stale = duration(&bounds::MAX_STALE, wire.max_stale);
    if refresh < min_refetch {
        let fault =
            format!("must be at least minRefetchInterval ({min_refetch:?}), found {refresh:?}");
        problems.add(format!("{path}.refreshInterval"), fault);
    }
    if max_stale < refresh {
        let fault = format!(
            "must be at least refreshInterval ({refresh:?}), found {max_stale:?}; keys would expire \
             between two refreshes"
        );
        problems.add(format!("{path}.maxStale"), fault);
    }
    RefreshSchedule { refresh, min_refetch, max_stale }
}

/// What is wrong with a value that is compared byte by byte with the one in a token; `None` if nothing is.
fn fault_of(text: &str) -> Option<&'static str> {
    (text.trim() != text).then_some("must not begin or end with white space")
}

/// The same for an `iss`: if it is a URL, it has a host, and no query or fragment (OpenID Connect Discovery 1.0
/// section 3).
fn fault_of_issuer(iss: &str) -> Option<&'static str> {
    let url = iss.strip_prefix("https://").or_else(|| iss.strip_prefix("http://"));
    match url {
        _ if iss.trim() != iss => fault_of(iss),
        _ if iss.contains(char::is_whitespace) => Some("must not contain white space"),
        Some(url) if url.is_empty() || url.starts_with('/') => Some("must have a host after ://"),
        Some(url) if url.contains(['?', '#']) => Some("must not have a query or a fragment"),
        _ => None,
    }
}

fn required(
    path: &str,
    field: &str,
    what: &str,
    value: Option<String>,
    problems: &mut Problems,
) -> String {
    let value = value.unwrap_or_default();
    if !is_visible(&value) {
        problems.add(format!("{path}.{field}"), what);
    }
    value
}

const ONE_SOURCE: &str = "expected exactly one of discovery, jwks, inline, pem";
const JWKS_PATH: &str = "must be the path of the JWKS, for example \"/openid/v1/jwks\"";
