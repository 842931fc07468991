//! WHO IS CALLING? What is found of a token, and each thing that it is compared with.

use super::page::{Mark, Page};
use super::{Case, dates};
use sa_authn::authn::bearer::{BearerToken, TokenSource, items};
use sa_authn::authn::claims::Claims;
use sa_authn::authn::issuer::{IssuerIdentity, KeySource};
use sa_authn::authn::jwt::Jwt;
use sa_authn::authn::keys::{Jwk, KeySet};
use sa_authn::authn::service_account::Named;
use sa_authn::authn::signature::{Signature, Verifier};
use sa_authn::authn::verify::{check_times, matching_audience};
use sa_authn::connection::Connection;
use sa_authn::headers::Headers;
use sa_authn::printable::printable;
use sa_authn::verdict::Denial;
use std::rc::Rc;

/// An issuer of the configuration that a token may be of.
type Candidate<'c> = (&'c IssuerIdentity, &'c KeySource);

/// Tells all that concerns the token.
pub fn tell(case: &Case, connection: &Connection, page: &mut Page) {
    let settings = &case.config.settings;
    let Ok(headers) = Headers::read(&case.map, &settings.index) else {
        return page.say(
            Mark::Bad,
            "headers",
            "cannot be read: one that must be there once is there twice",
        );
    };
    let sources = &settings.token_sources;
    let counts = |token| !settings.ignore_foreign || is_ours(token, case);
    match BearerToken::find(sources, &headers.tokens, counts) {
        Err(denial) => page.say(Mark::Bad, "token", why(&denial)),
        Ok(None) => page.say(Mark::Bad, "token", format!("none in {}", names(sources))),
        Ok(Some(token)) => {
            let at = |(source, value): &&(usize, &[u8])| {
                sources
                    .get(*source)
                    .is_some_and(|source| items(value).any(|item| source.is(token, item)))
            };
            let found = headers.tokens.iter().find(at).and_then(|(source, _)| sources.get(*source));
            let found = found.map_or("", |source| &*source.header);
            page.say(Mark::Good, "token", format!("{} bytes, from {found}", token.bytes().len()));
            form(token, case, connection, page);
        }
    }
}

fn is_ours(token: BearerToken<'_>, case: &Case) -> bool {
    let jwt = Jwt::parse(token, case.config.settings.limits.max_token_bytes);
    jwt.is_ok_and(|jwt| jwt.claims.is_legacy() || !candidates(case, &jwt.claims).is_empty())
}

fn names(sources: &[TokenSource]) -> String {
    let name = |source: &TokenSource| match &source.prefix {
        Some(prefix) => format!("{}: {prefix}...", source.header),
        None => format!("{}: ...", source.header),
    };
    sources.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn form(token: BearerToken<'_>, case: &Case, connection: &Connection, page: &mut Page) {
    let limit = case.config.settings.limits.max_token_bytes;
    let jwt = match Jwt::parse(token, limit) {
        Ok(jwt) => jwt,
        Err(denial) => return page.say(Mark::Bad, "form", why(&denial)),
    };
    let (alg, kid) = (&jwt.header.alg, jwt.header.kid.as_deref().unwrap_or("(none)"));
    page.say(
        Mark::Good,
        "form",
        format!("a JWT of at most {limit} bytes; alg {alg:?}, kid {kid:?}"),
    );
    let candidates = candidates(case, &jwt.claims);
    issuer(&jwt.claims, &candidates, case, page);
    if candidates.is_empty() {
        return;
    }
    let signer = keys(&jwt, &candidates, page);
    let Some((identity, _)) = signer.or_else(|| candidates.first().copied()) else { return };
    claims(&jwt.claims, identity, case, page);
    peer(&jwt.claims, identity, connection, page);
    review(identity, case, page);
}

fn candidates<'c>(case: &'c Case, claims: &Claims) -> Vec<Candidate<'c>> {
    let Some(iss) = claims.issuer().filter(|_| !claims.is_legacy()) else { return Vec::new() };
    let issuers = case
        .config
        .issuers
        .iter()
        .filter(|(issuer, _)| issuer.issuers.iter().any(|known| *known == iss));
    issuers.map(|(identity, source)| (identity, source)).collect()
}

fn issuer(claims: &Claims, candidates: &[Candidate<'_>], case: &Case, page: &mut Page) {
    let iss = claims.issuer().unwrap_or("(none)");
    if claims.is_legacy() || iss == "kubernetes/serviceaccount" {
        return page.say(
            Mark::Bad,
            "issuer",
            format!("iss {iss:?}: a token from a Secret (legacy)"),
        );
    }
    if candidates.is_empty() {
        let all = case.config.issuers.iter().flat_map(|(issuer, _)| &issuer.issuers);
        let all: Vec<_> = all.map(|iss| format!("{iss:?}")).collect();
        return page.say(Mark::Bad, "issuer", format!("iss {iss:?} is none of {}", all.join(", ")));
    }
    let names: Vec<_> = candidates.iter().map(|(issuer, _)| format!("{:?}", issuer.name)).collect();
    page.say(Mark::Good, "issuer", format!("iss {iss:?} is issuer {}", names.join(" or ")));
}

/// Key and signature; gives the issuer whose key signed.
fn keys<'c>(jwt: &Jwt<'_>, candidates: &[Candidate<'c>], page: &mut Page) -> Option<Candidate<'c>> {
    let (kid, alg) = (jwt.header.kid.as_deref(), jwt.header.alg.as_str());
    let mut fitting: Vec<(Candidate<'c>, Rc<Jwk>)> = Vec::new();
    for candidate in candidates {
        let name = &candidate.0.name;
        match candidate.1 {
            KeySource::Absent => {
                page.say(
                    Mark::Idle,
                    "key",
                    format!("{name:?} has none: the API server's review is the proof"),
                );
            }
            KeySource::Fetched(..) => page.say(
                Mark::Idle,
                "key",
                format!(
                    "{name:?} fetches its keys, and this command does not: give them with --jwks"
                ),
            ),
            KeySource::Static(set) => {
                let found = set.candidates(kid, alg);
                let said: Vec<_> = found.iter().map(|key| described(key)).collect();
                let held = match found.is_empty() {
                    false => Ok(format!("{name:?} has {}", said.join(", "))),
                    true => Err(format!("kid {kid:?} is none of {name:?}: {}", held_by(set))),
                };
                page.judge("key", held);
                fitting.extend(found.into_iter().map(|key| (*candidate, key)));
            }
        }
    }
    signature(jwt, &fitting, page)
}

fn described(key: &Jwk) -> String {
    format!("key {:?} for {}", key.kid(), key.algorithm().name())
}

fn held_by(set: &KeySet) -> String {
    let keys = set.keys();
    let said: Vec<_> = keys.iter().take(5).map(|key| described(key)).collect();
    let more = keys.len().saturating_sub(5);
    if more > 0 { format!("{} and {more} more", said.join(", ")) } else { said.join(", ") }
}

fn signature<'c>(
    jwt: &Jwt<'_>,
    fitting: &[(Candidate<'c>, Rc<Jwk>)],
    page: &mut Page,
) -> Option<Candidate<'c>> {
    let alg = jwt.header.alg.as_str();
    let mut signer = None;
    for (candidate, key) in fitting {
        let (kid, wanted) = (key.kid(), key.algorithm().name());
        let held = if alg == wanted {
            match Verifier::default().verify(key.verifying(), jwt) {
                Signature::Genuine => {
                    Ok(format!("genuine: made by key {kid:?} of {:?}", candidate.0.name))
                }
                Signature::Forged => Err(format!("not made by key {kid:?} over these bytes")),
                Signature::Unsupported => Err(format!("{alg} can be verified by Envoy alone")),
            }
        } else {
            Err(format!("the token says {alg:?}, its key is for {wanted}"))
        };
        let genuine = held.is_ok();
        page.judge("signature", held);
        if genuine {
            signer = Some(*candidate);
            break;
        }
    }
    signer
}

fn claims(claims: &Claims, issuer: &IssuerIdentity, case: &Case, page: &mut Page) {
    let time =
        |time: Option<_>| time.map_or("none".to_owned(), |time| dates::date_from(time, case.now));
    let times = claims.times();
    let mut said = format!(
        "exp {}\nnbf {}\niat {}",
        time(times.expires),
        time(times.not_before),
        time(times.issued_at)
    );
    if issuer.lifetime.honor_warn_after {
        said += &format!("\nwarnafter {} counts as exp", time(times.warn_after));
    }
    if let Some(longest) = issuer.lifetime.longest {
        said += &format!("\nmaxLifetime {}", dates::duration(longest));
    }
    said += &format!("\nleeway {}", dates::duration(issuer.leeway.0));
    let held = check_times(times, issuer, case.now);
    page.judge("times", with(said, held));
    let wanted = &issuer.audiences;
    let said = format!(
        "aud {:?}, wanted is one of {wanted:?}",
        claims.audience().into_iter().flatten().collect::<Vec<_>>()
    );
    page.judge("audience", with(said, matching_audience(claims, wanted).map(|_| ())));
    let subject = claims.subject().unwrap_or("(none)");
    let bound = if issuer.require_pod { ", which must be bound to a pod" } else { "" };
    let said = format!("sub {subject:?}, {}{bound}", kubernetes(claims));
    page.judge("account", with(said, Named::check(claims, issuer).map(|_| ())));
}

fn kubernetes(claims: &Claims) -> String {
    if !claims.in_kubernetes() {
        return "no kubernetes.io".to_owned();
    }
    let account = claims.service_account();
    let mut said = format!(
        "kubernetes.io says {}/{}",
        printable(claims.namespace().unwrap_or("(none)")),
        printable(account.map_or("(none)", |account| account.name))
    );
    for (what, object) in
        [("pod", claims.pod()), ("node", claims.node()), ("secret", claims.secret())]
    {
        if let Some(object) = object {
            said += &format!(", {what} {}", printable(object.name));
        }
    }
    said
}

fn peer(claims: &Claims, issuer: &IssuerIdentity, connection: &Connection, page: &mut Page) {
    let Some(pattern) = &issuer.match_peer else {
        return page.say(Mark::Idle, "peer", "not asked for (matchPeer)");
    };
    let peer = connection.peer_uri.as_deref();
    let domain = pattern.trust_domain.as_deref().unwrap_or("any trust domain");
    let said =
        format!("peer {:?}, {domain}, token of {:?}", peer.unwrap_or("(none)"), claims.subject());
    // Whether it fits, the core says of a proven account alone: it stands in the verdict.
    page.say(Mark::Idle, "peer", said);
}

fn review(issuer: &IssuerIdentity, case: &Case, page: &mut Page) {
    if issuer.review.is_none() {
        return page.say(Mark::Idle, "review", "not asked for (tokenReview)");
    }
    match case.judged.reviewed {
        true => page.say(Mark::Good, "review", "the API server's answer was taken from --review; see the verdict"),
        false => page.say(
            Mark::Idle,
            "review",
            "this command asks no API server: give its answer with --review, if all before it holds",
        ),
    }
}

fn with(said: String, held: Result<(), Denial>) -> Result<String, String> {
    match held {
        Ok(()) => Ok(said),
        Err(denial) => Err(format!("{said}\n{}", why(&denial))),
    }
}

fn why(denial: &Denial) -> String {
    format!("{}: {}", denial.reason().code(), denial.detail())
}
