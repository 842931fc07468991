//! The authentication steps: the token, and each value that it is compared with.

use super::page::{Mark, Page};
use super::{Case, dates};
use sa_authn::authn::bearer::{BearerToken, TokenSource, items};
use sa_authn::authn::claims::Claims;
use sa_authn::authn::issuer::{IssuerIdentity, KeySource};
use sa_authn::authn::jwt::Jwt;
use sa_authn::authn::keys::{Jwk, KeySet};
use sa_authn::authn::signature::{Signature, Verifier};
use sa_authn::authn::subject::NamedAccount;
use sa_authn::authn::verify::{check_times, matching_audience};
use sa_authn::connection::Connection;
use sa_authn::denial::Denial;
use sa_authn::headers::Headers;
use sa_authn::printable::printable;
use std::rc::Rc;

/// A configured issuer that may have issued the token.
type Candidate<'c> = (&'c IssuerIdentity, &'c KeySource);

/// Adds the steps of the token.
pub fn add(case: &Case, connection: &Connection, page: &mut Page) {
    let settings = &case.config.settings;
    let Ok(headers) = Headers::read(&case.map, &settings.index) else {
        return page.step(
            Mark::Bad,
            "headers",
            "cannot be read: a header that must not be repeated is repeated",
        );
    };
    let sources = &settings.token_sources;
    let counts = |token| !settings.ignore_foreign || is_ours(token, case);
    match BearerToken::find(sources, &headers.tokens, counts) {
        Err(denial) => page.step(Mark::Bad, "token", why(&denial)),
        Ok(None) => page.step(Mark::Bad, "token", format!("not found in {}", names(sources))),
        Ok(Some(token)) => {
            let at = |(source, value): &&(usize, &[u8])| {
                sources
                    .get(*source)
                    .is_some_and(|source| items(value).any(|item| source.is(token, item)))
            };
            let found = headers.tokens.iter().find(at).and_then(|(source, _)| sources.get(*source));
            let found = found.map_or("", |source| &*source.header);
            page.step(Mark::Good, "token", format!("{} bytes, from {found}", token.bytes().len()));
            form(token, case, connection, page);
        }
    }
}

fn is_ours(token: BearerToken<'_>, case: &Case) -> bool {
    let jwt = Jwt::parse(token, case.config.settings.limits.max_token_bytes);
    jwt.is_ok_and(|jwt| jwt.claims().is_legacy() || !candidates(case, jwt.claims()).is_empty())
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
        Err(denial) => return page.step(Mark::Bad, "form", why(&denial)),
    };
    let (alg, kid) = (&jwt.header().alg, jwt.header().kid.as_deref().unwrap_or("(none)"));
    page.step(
        Mark::Good,
        "form",
        format!("a JWT of at most {limit} bytes; alg {alg:?}, kid {kid:?}"),
    );
    let candidates = candidates(case, jwt.claims());
    issuer(jwt.claims(), &candidates, case, page);
    if candidates.is_empty() {
        return;
    }
    let signer = keys(&jwt, &candidates, page);
    let Some((identity, _)) = signer.or_else(|| candidates.first().copied()) else { return };
    claims(jwt.claims(), identity, case, page);
    peer(jwt.claims(), identity, connection, page);
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
        return page.step(
            Mark::Bad,
            "issuer",
            format!("iss {iss:?}: token from a Secret (legacy)"),
        );
    }
    if candidates.is_empty() {
        let all = case.config.issuers.iter().flat_map(|(issuer, _)| &issuer.issuers);
        let all: Vec<_> = all.map(|iss| format!("{iss:?}")).collect();
        return page.step(
            Mark::Bad,
            "issuer",
            format!("iss {iss:?}: expected one of {}", all.join(", ")),
        );
    }
    let names: Vec<_> = candidates.iter().map(|(issuer, _)| format!("{:?}", issuer.name)).collect();
    page.step(Mark::Good, "issuer", format!("iss {iss:?} is issuer {}", names.join(" or ")));
}

/// Adds the steps of the key and the signature. Returns the issuer whose key verifies the signature.
fn keys<'c>(jwt: &Jwt<'_>, candidates: &[Candidate<'c>], page: &mut Page) -> Option<Candidate<'c>> {
    let (kid, alg) = (jwt.header().kid.as_deref(), jwt.header().alg.as_str());
    let mut fitting: Vec<(Candidate<'c>, Rc<Jwk>)> = Vec::new();
    for candidate in candidates {
        let name = &candidate.0.name;
        match candidate.1 {
            KeySource::Absent => {
                page.step(
                    Mark::Idle,
                    "key",
                    format!("issuer {name:?} has no keys: TokenReview replaces the verification"),
                );
            }
            KeySource::Fetched(..) => page.step(
                Mark::Idle,
                "key",
                format!("issuer {name:?} fetches its keys at run time; pass them with --jwks"),
            ),
            KeySource::Static(set) => {
                let found = set.candidates(kid, alg);
                let said: Vec<_> = found.iter().map(|key| described(key)).collect();
                let held = match found.is_empty() {
                    false => Ok(format!("issuer {name:?} has {}", said.join(", "))),
                    true => Err(format!(
                        "kid {:?}: expected one of {} (issuer {name:?})",
                        kid.unwrap_or("(none)"),
                        held_by(set)
                    )),
                };
                page.check("key", held);
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
    let alg = jwt.header().alg.as_str();
    let mut signer = None;
    for (candidate, key) in fitting {
        let (kid, wanted) = (key.kid(), key.algorithm().name());
        let held = if alg == wanted {
            match Verifier::default().verify_signature(
                key.verifying(),
                jwt.signing_input(),
                jwt.signature(),
            ) {
                Signature::Genuine => {
                    Ok(format!("verified with key {kid:?} of issuer {:?}", candidate.0.name))
                }
                Signature::Forged => Err(format!("does not verify with key {kid:?}")),
                Signature::Unsupported => Err(format!("only Envoy can verify {alg}")),
            }
        } else {
            Err(format!("alg {alg:?} does not match the key, which is for {wanted}"))
        };
        let genuine = held.is_ok();
        page.check("signature", held);
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
        said += &format!("\nwarnafter {} (used as exp)", time(times.warn_after));
    }
    if let Some(longest) = issuer.lifetime.longest {
        said += &format!("\nmaxLifetime {}", dates::duration(longest));
    }
    said += &format!("\nleeway {}", dates::duration(issuer.leeway.0));
    let held = check_times(times, issuer, case.now);
    page.check("times", with(said, held));
    let wanted = &issuer.audiences;
    let said = format!(
        "aud {:?}, expected one of {wanted:?}",
        claims.audience().into_iter().flatten().collect::<Vec<_>>()
    );
    page.check("audience", with(said, matching_audience(claims, wanted).map(|_| ())));
    let subject = claims.subject().unwrap_or("(none)");
    let bound = if issuer.require_pod { ", must be bound to a pod" } else { "" };
    let said = format!("sub {subject:?}, {}{bound}", kubernetes(claims));
    page.check("account", with(said, NamedAccount::check(claims, issuer).map(|_| ())));
}

fn kubernetes(claims: &Claims) -> String {
    if !claims.in_kubernetes() {
        return "no claim kubernetes.io".to_owned();
    }
    let account = claims.service_account();
    let mut said = format!(
        "kubernetes.io names {}/{}",
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
        return page.step(Mark::Idle, "peer", "not configured (matchPeer)");
    };
    let peer = connection.peer_uri.as_deref();
    let domain = pattern.trust_domain.as_deref().unwrap_or("any trust domain");
    let said =
        format!("peer {:?}, {domain}, token of {:?}", peer.unwrap_or("(none)"), claims.subject());
    // The filter compares the peer only with an authenticated account, so the result is part of the verdict.
    page.step(Mark::Idle, "peer", said);
}

fn review(issuer: &IssuerIdentity, case: &Case, page: &mut Page) {
    if issuer.review.is_none() {
        return page.step(Mark::Idle, "review", "not configured (tokenReview)");
    }
    match case.judged.reviewed {
        true => page.step(Mark::Good, "review", "the response is from --review; see the verdict"),
        false => page.step(
            Mark::Idle,
            "review",
            "this command does not call the API server; if all steps above succeed, pass the \
             response with --review",
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
