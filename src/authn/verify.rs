//! Verifies a parsed token: signature, times and audience, in this order.
//!
//! The signature is checked first, so that the reasons of the later checks are about genuine tokens.

use super::claims::{Claims, Times};
use super::issuer::{IssuerIdentity, Lifetime};
use super::jwt::Jwt;
use super::keys::Jwk;
use super::signature::{Signature, Verifier};
use super::trace::{Check, TokenTrace};
use crate::denial::{Denial, Reason};
use crate::time::{Leeway, UnixTime};
use std::rc::Rc;

/// A token that its issuer signed for a configured audience, and that is valid now. Only [`verify_token`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    issuer: Rc<IssuerIdentity>,
    claims: Rc<Claims>,
    audience: Rc<str>,
    key: Rc<Jwk>,
}

/// Checks the signature, the times and the audience. `found` are the possible issuers, each with the keys that may have
/// signed the token. The token belongs to the issuer whose key verifies it.
pub fn verify_token(
    jwt: Jwt<'_>,
    found: &[(Rc<IssuerIdentity>, Vec<Rc<Jwk>>)],
    verifier: Verifier,
    now: UnixTime,
    trace: &impl TokenTrace,
) -> Result<VerifiedToken, Denial> {
    let (issuer, key) = signer(&jwt, found, verifier, trace)?;
    let audience = check_claims(jwt.claims(), issuer, now, trace)?;
    let (issuer, key) = (Rc::clone(issuer), Rc::clone(key));
    Ok(VerifiedToken { issuer, claims: Rc::clone(jwt.claims()), audience, key })
}

/// Checks the times, then the audience, and returns the configured audience of the token.
pub fn check_claims(
    claims: &Claims,
    issuer: &IssuerIdentity,
    now: UnixTime,
    trace: &impl TokenTrace,
) -> Result<Rc<str>, Denial> {
    let times = check_times(claims.times(), issuer, now);
    trace.checked(Check::Times, &times);
    times?;
    let audience = matching_audience(claims, &issuer.audiences);
    trace.checked(Check::Audience, &audience);
    audience
}

/// When a token is valid, for cached tokens; see [`check_claims`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    from: UnixTime,
    until: UnixTime,
}

fn signer<'f>(
    jwt: &Jwt<'_>,
    found: &'f [(Rc<IssuerIdentity>, Vec<Rc<Jwk>>)],
    verifier: Verifier,
    trace: &impl TokenTrace,
) -> Result<(&'f Rc<IssuerIdentity>, &'f Rc<Jwk>), Denial> {
    let mut refusal = Reason::UnknownKey.because("no key matches");
    let keys = found.iter().flat_map(|(issuer, keys)| keys.iter().map(move |key| (issuer, key)));
    for (issuer, key) in keys {
        let outcome = check_signature(jwt, key, verifier);
        trace.signature(issuer, key, &outcome);
        match outcome {
            Ok(()) => return Ok((issuer, key)),
            Err(denial) => refusal = denial,
        }
    }
    Err(refusal)
}

/// The key determines the algorithm. A token that could choose it would choose `none`, or HMAC with the public key as the
/// secret (RFC 8725 section 3.1).
fn check_signature(jwt: &Jwt<'_>, key: &Jwk, verifier: Verifier) -> Result<(), Denial> {
    let algorithm = key.algorithm().name();
    if jwt.header().alg != algorithm {
        let detail = format!("the token says {:?}, its key is for {algorithm}", jwt.header().alg);
        return Err(Reason::UnsupportedAlgorithm.because(detail));
    }
    match verifier.verify_signature(key.verifying(), jwt.signing_input(), jwt.signature()) {
        Signature::Genuine => Ok(()),
        Signature::Forged => {
            Err(Reason::BadSignature.because(format!("not signed by key {}", key.kid())))
        }
        Signature::Unsupported => Err(Reason::UnsupportedAlgorithm
            .because(format!("{algorithm} needs the host's verify_signature"))),
    }
}

/// RFC 7519 sections 4.1.4 to 4.1.6. The API server checks `iat` like `nbf`.
fn check_times(times: &Times, issuer: &IssuerIdentity, now: UnixTime) -> Result<(), Denial> {
    let Leeway(leeway) = issuer.leeway;
    let fact = |claim, time: UnixTime| {
        format!("{claim} {}, now {}, leeway {} s", time.as_secs(), now.as_secs(), leeway.as_secs())
    };
    let expires = effective_expiry(times, issuer.lifetime)?;
    if now >= expires.plus(leeway) {
        return Err(Reason::Expired.because(fact("exp", expires)));
    }
    for (claim, time) in [("nbf", times.not_before), ("iat", times.issued_at)] {
        if let Some(time) = time
            && now.plus(leeway) < time
        {
            return Err(Reason::NotYetValid.because(fact(claim, time)));
        }
    }
    check_lifetime(times, issuer.lifetime, expires)
}

fn effective_expiry(times: &Times, lifetime: Lifetime) -> Result<UnixTime, Denial> {
    let expires = times.expires.ok_or_else(|| Reason::MissingClaim.because("no exp"))?;
    Ok(match times.warn_after {
        Some(warn_after) if lifetime.honor_warn_after => expires.min(warn_after),
        _ => expires,
    })
}

fn check_lifetime(times: &Times, lifetime: Lifetime, expires: UnixTime) -> Result<(), Denial> {
    let Some(longest) = lifetime.longest else { return Ok(()) };
    let issued_at = times.issued_at.ok_or_else(|| Reason::MissingClaim.because("no iat"))?;
    let lives = expires.since(issued_at);
    if lives > longest {
        let detail = format!("lifetime {} s, at most {} s", lives.as_secs(), longest.as_secs());
        return Err(Reason::LifetimeTooLong.because(detail));
    }
    Ok(())
}

/// RFC 7519 section 4.1.3: the first configured audience that is in the token, compared exactly.
fn matching_audience(claims: &Claims, wanted: &[Rc<str>]) -> Result<Rc<str>, Denial> {
    let audience = claims.audience().ok_or_else(|| Reason::MissingClaim.because("no aud"))?;
    let matching =
        wanted.iter().find(|wanted| audience.clone().any(|audience| *audience == ***wanted));
    matching.cloned().ok_or_else(|| {
        let audience: Vec<_> = audience.collect();
        Reason::WrongAudience.because(format!("aud {audience:?}, expected {wanted:?}"))
    })
}

// === impl Validity ===

impl Validity {
    /// When a token with these times is valid; `None` if never.
    pub fn of(times: &Times, issuer: &IssuerIdentity) -> Option<Self> {
        let Leeway(leeway) = issuer.leeway;
        let until = effective_expiry(times, issuer.lifetime).ok()?.plus(leeway);
        let starts = [times.not_before, times.issued_at].into_iter().flatten().max();
        let from = starts.map_or(UnixTime::from_secs(0), |start| start.minus(leeway));
        Some(Self { from, until })
    }

    /// When the token expires, with the leeway.
    pub fn until(self) -> UnixTime {
        self.until
    }

    /// Whether the token is valid now.
    pub fn holds(self, now: UnixTime) -> bool {
        self.from <= now && now < self.until
    }
}

// === impl VerifiedToken ===

impl VerifiedToken {
    /// The issuer that signed it.
    pub fn issuer(&self) -> &Rc<IssuerIdentity> {
        &self.issuer
    }

    /// Its verified claims.
    pub fn claims(&self) -> &Rc<Claims> {
        &self.claims
    }

    /// The first configured audience that it is meant for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Whether it is meant for this audience, and the issuer's configuration accepts it.
    pub fn has_audience(&self, audience: &str) -> bool {
        let configured = self.issuer.audiences.iter().any(|known| **known == *audience);
        let mut meant_for = self.claims.audience().into_iter().flatten();
        configured && meant_for.any(|claimed| *claimed == *audience)
    }

    /// The key that verified it.
    pub fn key(&self) -> &Jwk {
        &self.key
    }
}
