//! `issuers`: whose tokens are taken, and where their keys come from.

use super::problems::Problems;
use super::reviews;
use super::wire::{self, Object};
use crate::authn::issuer::{IssuerIdentity, KeySource, Lifetime};
use crate::authn::keys::{FetchPlan, KeySet, Pace, from_pem};
use crate::authn::peer::PeerPattern;
use crate::authn::service_account::is_dns_subdomain;
use crate::authn::token_review::Purpose;
use crate::time::Leeway;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

/// How the issuers are called, whatever else is wrong with them.
pub(super) fn names(wire: Option<&[Object<wire::Issuer>]>) -> Vec<String> {
    let name = |wire: &wire::Issuer| wire.name.clone().or_else(|| wire.issuer.clone());
    wire.unwrap_or_default().iter().filter_map(|Object(issuer)| name(issuer)).collect()
}

/// All audiences of all issuers.
pub(super) fn audiences(wire: Option<&[Object<wire::Issuer>]>) -> Vec<String> {
    let issuers = wire.unwrap_or_default().iter();
    issuers.flat_map(|Object(issuer)| issuer.audiences.iter().flatten().cloned()).collect()
}

/// The issuers, checked one by one and against each other. `wait_timeout` is `limits.waitTimeout`.
pub(super) fn check(
    wire: Option<Vec<Object<wire::Issuer>>>,
    wait_timeout: Duration,
    problems: &mut Problems,
) -> Vec<(IssuerIdentity, KeySource)> {
    let wire = wire.unwrap_or_default();
    if wire.is_empty() {
        problems.add("issuers", "must name at least one issuer");
    }
    let mut issuers: Vec<Numbered> = Vec::new();
    let mut names = Vec::new();
    for (at, Object(mut issuer)) in wire.into_iter().enumerate() {
        let path = format!("issuers[{at}]");
        let (keys, token_review) = (issuer.keys.take(), issuer.token_review.take());
        let review = token_review.map(|Object(review)| {
            reviews::check(&path, review, keys.is_some(), wait_timeout, problems)
        });
        let identity = IssuerIdentity { review, ..identity(&path, &issuer, problems) };
        let source = match &identity.review {
            Some(plan) if plan.purpose == Purpose::Instead => Some(KeySource::Absent),
            _ => key_source(&format!("{path}.keys"), keys, &identity, problems),
        };
        if names.contains(&identity.name) {
            problems.add(
                format!("{path}.name"),
                format!("{:?} is an earlier issuer's name too: give each its own", identity.name),
            );
        }
        names.push(Rc::clone(&identity.name));
        issuers.extend(source.map(|source| (at, identity, source)));
    }
    check_shared(&issuers, problems);
    issuers.into_iter().map(|(_, identity, source)| (identity, source)).collect()
}

/// An issuer with its place in the configuration.
type Numbered = (usize, IssuerIdentity, KeySource);

fn identity(path: &str, wire: &wire::Issuer, problems: &mut Problems) -> IssuerIdentity {
    let issuer = wire.issuer.clone().unwrap_or_default();
    if issuer.is_empty() {
        problems.add(
            format!("{path}.issuer"),
            "must be the tokens' iss, such as \"https://kubernetes.default.svc.cluster.local\"",
        );
    }
    let mut issuers = vec![issuer.clone()];
    for (at, alias) in wire.aliases.iter().flatten().enumerate() {
        if alias.is_empty() || issuers.contains(alias) {
            problems.add(format!("{path}.aliases[{at}]"), "must be another iss than those before");
        }
        issuers.push(alias.clone());
    }
    if issuers.iter().any(|iss| iss == "kubernetes/serviceaccount") {
        problems.add(
            format!("{path}.issuer"),
            "is that of tokens from Secrets, which never expire and have no audience",
        );
    }
    let audiences = wire.audiences.clone().unwrap_or_default();
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        problems.add(
            format!("{path}.audiences"),
            "must name what callers' tokens are minted for, such as [\"my-service\"]; without it a \
             token for any other service would do",
        );
    }
    let leeway = wire.leeway.map_or(DEFAULT_LEEWAY, |leeway| leeway.0);
    if leeway > LONGEST_LEEWAY {
        problems
            .add(format!("{path}.leeway"), "must be at most 10m: it lengthens every token's life");
    }
    let name = wire.name.clone().unwrap_or(issuer);
    if wire.name.as_deref().is_some_and(|name| !is_visible(name)) {
        problems
            .add(format!("{path}.name"), "must be visible ASCII: it goes into headers and metrics");
    }
    if wire.max_lifetime.is_some_and(|longest| longest.0.is_zero()) {
        problems.add(
            format!("{path}.maxLifetime"),
            "would refuse every token: Kubernetes mints for 10m at least",
        );
    }
    IssuerIdentity {
        name: name.into(),
        issuers,
        audiences: audiences.into_iter().map(Rc::from).collect(),
        leeway: Leeway(leeway),
        lifetime: Lifetime {
            longest: wire.max_lifetime.map(|longest| longest.0),
            honor_warn_after: wire.honor_warn_after.unwrap_or(false),
        },
        require_pod: matches!(wire.require_bound, Some(wire::Bound::Pod)),
        match_peer: match_peer(path, wire.match_peer.as_ref(), problems),
        review: None,
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
                let fault = "must be a trust domain such as \"cluster.local\"";
                problems.add(format!("{path}.matchPeer.trustDomain"), fault);
            }
            Some(PeerPattern { trust_domain: trust_domain.clone() })
        }
    }
}

fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn key_source(
    path: &str,
    wire: Option<Object<wire::Keys>>,
    identity: &IssuerIdentity,
    problems: &mut Problems,
) -> Option<KeySource> {
    let Object(wire) = wire.unwrap_or_else(|| {
        problems.add(path, ONE_SOURCE);
        Object::default()
    });
    let pace = pace(path, &wire, problems);
    let timed = [wire.refresh_interval, wire.min_refetch_interval, wire.max_stale, wire.timeout];
    let timeout = wire.timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.0);
    if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
        problems.add(format!("{path}.timeout"), "must be more than 0s and at most 60s");
    }
    let plan = |cluster, authority, jwks_path| FetchPlan {
        cluster,
        authority,
        jwks_path,
        issuers: identity.issuers.clone(),
        timeout,
    };
    let source = match (wire.discovery, wire.jwks, wire.inline, wire.pem) {
        (Some(Object(discovery)), None, None, None) => {
            let path = format!("{path}.discovery");
            let cluster = required(&path, "cluster", CLUSTER, discovery.cluster, problems);
            let authority = required(&path, "authority", AUTHORITY, discovery.authority, problems);
            KeySource::Fetched(plan(cluster, authority, None), pace)
        }
        (None, Some(Object(jwks)), None, None) => {
            let path = format!("{path}.jwks");
            let cluster = required(&path, "cluster", CLUSTER, jwks.cluster, problems);
            let authority = required(&path, "authority", AUTHORITY, jwks.authority, problems);
            let jwks_path = required(&path, "path", JWKS_PATH, jwks.path, problems);
            if !jwks_path.starts_with('/') || jwks_path.contains('#') {
                problems.add(format!("{path}.path"), JWKS_PATH);
            }
            KeySource::Fetched(plan(cluster, authority, Some(jwks_path)), pace)
        }
        (None, None, Some(inline), None) => {
            static_keys(format!("{path}.inline"), KeySet::from_value(&inline), problems)?
        }
        (None, None, None, Some(pem)) => static_keys(
            format!("{path}.pem"),
            KeySet::from_keys(pem.iter().map(|text| from_pem(text))),
            problems,
        )?,
        _ => {
            problems.add(path, ONE_SOURCE);
            return None;
        }
    };
    if matches!(source, KeySource::Static(_)) && timed.iter().any(Option::is_some) {
        problems
            .add(path, "keys that stand in the configuration are not fetched: leave the times out");
    }
    Some(source)
}

/// In the configuration a key that is skipped is a mistake; in a fetched set it may be the future.
fn static_keys(
    path: String,
    keys: Result<KeySet, crate::authn::keys::KeySetError>,
    problems: &mut Problems,
) -> Option<KeySource> {
    match keys {
        Ok(keys) => {
            if let Some(unfit) = keys.skipped().first() {
                problems.add(path, format!("a key that cannot be used: {}", unfit.0));
            }
            Some(KeySource::Static(Rc::new(keys)))
        }
        Err(error) => {
            problems.add(path, error.to_string());
            None
        }
    }
}

fn pace(path: &str, wire: &wire::Keys, problems: &mut Problems) -> Pace {
    let pace = Pace {
        refresh: wire.refresh_interval.map_or(DEFAULT_PACE.refresh, |refresh| refresh.0),
        min_refetch: wire.min_refetch_interval.map_or(DEFAULT_PACE.min_refetch, |min| min.0),
        max_stale: wire.max_stale.map_or(DEFAULT_PACE.max_stale, |stale| stale.0),
    };
    if pace.min_refetch < SHORTEST_REFETCH {
        problems.add(format!("{path}.minRefetchInterval"), "must be at least 100ms");
    }
    if pace.refresh < pace.min_refetch {
        problems.add(
            format!("{path}.refreshInterval"),
            "must not be shorter than minRefetchInterval (10s unless set)",
        );
    }
    if pace.max_stale < pace.refresh {
        problems.add(
            format!("{path}.maxStale"),
            "must not be shorter than refreshInterval (10m unless set): keys would lapse in between",
        );
    }
    pace
}

pub(super) fn required(
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

/// Clusters that were left at the default share an `iss`. Their keys tell them apart, so one key in
/// two of them leaves nobody to say whose a token is.
fn check_shared(issuers: &[Numbered], problems: &mut Problems) {
    for (at, identity, source) in issuers {
        let path = format!("issuers[{at}].keys");
        for (_, other, other_source) in issuers.iter().take_while(|(earlier, ..)| earlier < at) {
            if !identity.issuers.iter().any(|iss| other.issuers.contains(iss)) {
                continue;
            }
            let sets = [source, other_source].map(|source| match source {
                KeySource::Static(keys) => Some(keys),
                KeySource::Fetched(..) | KeySource::Absent => None,
            });
            if [source, other_source].iter().any(|source| matches!(source, KeySource::Absent)) {
                let fault = format!(
                    "{:?} has the same iss, and without keys nothing tells them apart: use \"afterVerification\"",
                    other.name
                );
                problems.add(format!("issuers[{at}].tokenReview.use"), fault);
            }
            if sets.iter().flatten().any(|keys| keys.takes_tokens_without_kid()) {
                problems.add(
                    &path,
                    format!("{:?} has the same iss, and pem keys need no kid to tell them apart: use inline", other.name),
                );
            }
            if let [Some(keys), Some(others)] = sets
                && share_a_key(keys, others)
            {
                problems
                    .add(&path, format!("hold a key of {:?}, which has the same iss", other.name));
            }
        }
    }
}

fn share_a_key(keys: &KeySet, others: &KeySet) -> bool {
    let fingerprints: HashSet<_> = keys.keys().iter().map(|key| key.fingerprint()).collect();
    others.keys().iter().any(|key| fingerprints.contains(&key.fingerprint()))
}

const ONE_SOURCE: &str = "must hold exactly one of discovery, jwks, inline and pem";
pub(super) const CLUSTER: &str = "must be the name of an Envoy cluster";
pub(super) const AUTHORITY: &str =
    "must be what the server is called, such as \"kubernetes.default.svc\"";
const JWKS_PATH: &str = "must be the JWKS's path, such as \"/openid/v1/jwks\"";

/// What the API server itself allows.
const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);
const LONGEST_LEEWAY: Duration = Duration::from_secs(600);
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
const SHORTEST_REFETCH: Duration = Duration::from_millis(100);
const DEFAULT_PACE: Pace = Pace {
    refresh: Duration::from_secs(10 * 60),
    min_refetch: Duration::from_secs(10),
    max_stale: Duration::from_secs(24 * 60 * 60),
};
