//! The authentication steps: the token, and each value that the filter compared it with.

use super::page::{Mark, Page};
use super::record::{Parsed, Verification};
use super::{Case, dates};
use sa_authn::authn::bearer::{TokenSource, items};
use sa_authn::authn::claims::Claims;
use sa_authn::authn::issuer::{IssuerIdentity, KeySource};
use sa_authn::authn::keys::{Jwk, KeySet};
use sa_authn::authn::trace::Check;
use sa_authn::connection::Connection;
use sa_authn::denial::{Denial, Reason};
use sa_authn::headers::Headers;
use sa_authn::printable::printable;

/// A configured issuer that may have issued the token.
type Candidate<'c> = &'c (IssuerIdentity, KeySource);

/// Adds the steps of the token.
pub fn add(case: &Case, connection: &Connection, page: &mut Page) {
    let sources = &case.config.settings.token_sources;
    match &case.judged.record.token {
        None => page.step(
            Mark::Bad,
            "headers",
            "cannot be read: a header that must not be repeated is repeated",
        ),
        Some(Err(denial)) => page.step(Mark::Bad, "token", why(denial)),
        Some(Ok(None)) => page.step(Mark::Bad, "token", format!("not found in {}", names(sources))),
        Some(Ok(Some(token))) => {
            let header = header_of(token, case);
            page.step(Mark::Good, "token", format!("{} bytes, from {header}", token.len()));
            form(case, connection, page);
        }
    }
}

/// The first header with this token.
fn header_of<'c>(token: &[u8], case: &'c Case) -> &'c str {
    let settings = &case.config.settings;
    let Ok(headers) = Headers::read(&case.map, &settings.index) else { return "" };
    let mut values = headers.tokens.iter();
    let value = values.find(|(_, value)| items(value).any(|item| item.ends_with(token)));
    let source = value.and_then(|(source, _)| settings.token_sources.get(*source));
    source.map_or("", |source| &source.header)
}

fn names(sources: &[TokenSource]) -> String {
    let name = |source: &TokenSource| match &source.prefix {
        Some(prefix) => format!("{}: {prefix}...", source.header),
        None => format!("{}: ...", source.header),
    };
    sources.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn form(case: &Case, connection: &Connection, page: &mut Page) {
    let limit = case.config.settings.limits.max_token_bytes;
    let parsed = match &case.judged.record.parsed {
        Some(Ok(parsed)) => parsed,
        Some(Err(denial)) => return unparsed(denial, case, page),
        None => return,
    };
    let (alg, kid) = (&parsed.alg, parsed.kid.as_deref().unwrap_or("(none)"));
    page.step(
        Mark::Good,
        "form",
        format!("a JWT of at most {limit} bytes; alg {alg:?}, kid {kid:?}"),
    );
    let claims = &parsed.claims;
    let candidates = issuers(claims, case, page);
    keys(parsed, &candidates, case, page);
    let signer = signature(case, page).map(|verified| &verified.issuer);
    let is_signer = |(identity, _): &&Candidate<'_>| Some(&identity.name) == signer;
    let candidate = candidates.iter().find(is_signer).or(candidates.first());
    let Some((identity, _)) = candidate else { return };
    self::claims(claims, identity, case, page);
    peer(claims, identity, connection, case, page);
    review(identity, case, page);
}

/// Adds the steps of a token that the filter did not parse. The strict rules are not for tokens of other issuers.
fn unparsed(denial: &Denial, case: &Case, page: &mut Page) {
    let last = case.judged.finished.as_ref().and_then(|finished| finished.caller.as_ref().err());
    match last.filter(|last| last.reason() == Reason::UnknownIssuer) {
        Some(last) => {
            page.step(
                Mark::Good,
                "form",
                format!("a JWT, but not of Kubernetes: {}", denial.detail()),
            );
            page.step(Mark::Bad, "issuer", why(last));
        }
        None => page.step(Mark::Bad, "form", why(denial)),
    }
}

/// Adds the step of the issuer. Returns the issuers that may have issued the token.
fn issuers<'c>(claims: &Claims, case: &'c Case, page: &mut Page) -> Vec<Candidate<'c>> {
    let (iss, all) = (claims.issuer().unwrap_or("(none)"), &case.config.issuers);
    match &case.judged.record.issuers {
        Some(Ok(found)) => {
            let found: Vec<_> = found.iter().filter_map(|at| all.get(*at)).collect();
            let names: Vec<_> =
                found.iter().map(|(issuer, _)| format!("{:?}", issuer.name)).collect();
            page.step(
                Mark::Good,
                "issuer",
                format!("iss {iss:?} is issuer {}", names.join(" or ")),
            );
            return found;
        }
        Some(Err(denial)) if denial.reason() == Reason::LegacyToken => {
            page.step(Mark::Bad, "issuer", format!("iss {iss:?}: token from a Secret (legacy)"));
        }
        Some(Err(_)) => {
            let all = all.iter().flat_map(|(issuer, _)| &issuer.issuers);
            let all: Vec<_> = all.map(|iss| format!("{iss:?}")).collect();
            let said = format!("iss {iss:?}: expected one of {}", all.join(", "));
            page.step(Mark::Bad, "issuer", said);
        }
        None => {}
    }
    Vec::new()
}

/// Adds the keys of each issuer that may have signed the token.
fn keys(parsed: &Parsed, candidates: &[Candidate<'_>], case: &Case, page: &mut Page) {
    for (identity, source) in candidates {
        let name = &identity.name;
        let found = case.judged.record.keys.iter().find(|(issuer, _)| issuer == name);
        match (source, found) {
            (KeySource::Absent, _) => page.step(
                Mark::Idle,
                "key",
                format!("issuer {name:?} has no keys: TokenReview replaces the verification"),
            ),
            (KeySource::Fetched(..), _) => page.step(
                Mark::Idle,
                "key",
                format!("issuer {name:?} fetches its keys at run time; pass them with --jwks"),
            ),
            (KeySource::Static(_), None) => {}
            (KeySource::Static(set), Some((_, found))) => {
                let said: Vec<_> = found.iter().map(|key| described(key)).collect();
                let held = match found.is_empty() {
                    false => Ok(format!("issuer {name:?} has {}", said.join(", "))),
                    true => {
                        Err(format!("{} (issuer {name:?})", missing(parsed.kid.as_deref(), set)))
                    }
                };
                page.check("key", held);
            }
        }
    }
}

fn described(key: &Jwk) -> String {
    format!("key {:?} for {}", key.kid(), key.algorithm().name())
}

/// Why the set has no key for a token.
fn missing(kid: Option<&str>, set: &KeySet) -> String {
    match kid.map(|kid| (kid, set.why_skipped(kid))) {
        Some((kid, Some(why))) => format!("kid {kid:?} is published, but not usable: {}", why.0),
        _ => format!("kid {:?}: expected one of {}", kid.unwrap_or("(none)"), held_by(set)),
    }
}

fn held_by(set: &KeySet) -> String {
    let keys = set.keys();
    let said: Vec<_> = keys.iter().take(5).map(|key| described(key)).collect();
    let more = keys.len().saturating_sub(5);
    if more > 0 { format!("{} and {more} more", said.join(", ")) } else { said.join(", ") }
}

/// Adds the steps of the signature. Returns the verification that succeeded.
fn signature<'c>(case: &'c Case, page: &mut Page) -> Option<&'c Verification> {
    let record = &case.judged.record;
    if let Some(Err(denial)) = record.check(Check::Algorithm) {
        page.step(Mark::Bad, "signature", why(denial));
    }
    for Verification { issuer, kid, outcome } in &record.signatures {
        let held = match outcome {
            Ok(()) => Ok(format!("verified with key {kid:?} of issuer {issuer:?}")),
            Err(denial) if denial.reason() == Reason::BadSignature => {
                Err(format!("does not verify with key {kid:?}"))
            }
            Err(denial) => Err(why(denial)),
        };
        page.check("signature", held);
    }
    record.signatures.iter().find(|verified| verified.outcome.is_ok())
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
    check(Check::Times, "times", said, case, page);
    let wanted = &issuer.audiences;
    let said = format!(
        "aud {:?}, expected one of {wanted:?}",
        claims.audience().into_iter().flatten().collect::<Vec<_>>()
    );
    check(Check::Audience, "audience", said, case, page);
    let subject = claims.subject().unwrap_or("(none)");
    let bound = if issuer.require_pod { ", must be bound to a pod" } else { "" };
    let said = format!("sub {subject:?}, {}{bound}", kubernetes(claims));
    check(Check::Account, "account", said, case, page);
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

fn peer(
    claims: &Claims,
    issuer: &IssuerIdentity,
    connection: &Connection,
    case: &Case,
    page: &mut Page,
) {
    let Some(pattern) = &issuer.match_peer else {
        return page.step(Mark::Idle, "peer", "not configured (matchPeer)");
    };
    let peer = connection.peer_uri.as_deref();
    let domain = pattern.trust_domain.as_deref().unwrap_or("any trust domain");
    let said =
        format!("peer {:?}, {domain}, token of {:?}", peer.unwrap_or("(none)"), claims.subject());
    check(Check::Peer, "peer", said, case, page);
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

/// Adds a comparison, with its result if the filter reached it.
fn check(check: Check, step: &str, said: String, case: &Case, page: &mut Page) {
    match case.judged.record.check(check) {
        Some(Ok(())) => page.step(Mark::Good, step, said),
        Some(Err(denial)) => page.step(Mark::Bad, step, format!("{said}\n{}", why(denial))),
        None => page.step(Mark::Idle, step, said),
    }
}

fn why(denial: &Denial) -> String {
    format!("{}: {}", denial.reason().code(), denial.detail())
}
