//! A token, its issuer, its keys and the time -> a verified token, or why not. The order of the checks,
//! on one page.
//!
//! The signature comes first, so that every other reason but the structural ones is about a genuine
//! token. All of these steps are necessary.

use super::claims::Claims;
use super::issuer::IssuerIdentity;
use super::jwt::Jwt;
use super::keys::Jwk;
use super::signature::{Signature, Verifier};
use crate::time::{Leeway, UnixTime};
use crate::verdict::{Denial, Reason};
use std::rc::Rc;

/// A token that its issuer signed for us, and that is valid now. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    issuer: Rc<IssuerIdentity>,
    claims: Claims,
    audience: String,
    key: ProvingKey,
}

/// Which key proved a token: when it leaves the issuer's set, so does everything that it proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvingKey {
    /// Its name.
    pub kid: String,
    /// SHA-256 of the key itself.
    pub fingerprint: [u8; 32],
}

/// Checks the signature by one of `keys`, the times and the audience.
pub fn verify(
    jwt: Jwt<'_>,
    issuer: &Rc<IssuerIdentity>,
    keys: &[Rc<Jwk>],
    verifier: Verifier,
    now: UnixTime,
) -> Result<VerifiedToken, Denial> {
    let key = proving_key(&jwt, keys, verifier)?;
    check_times(&jwt.claims, issuer.leeway, now)?;
    let audience = matching_audience(&jwt.claims, &issuer.audiences)?;
    Ok(VerifiedToken { issuer: Rc::clone(issuer), claims: jwt.claims, audience, key })
}

fn proving_key(jwt: &Jwt<'_>, keys: &[Rc<Jwk>], verifier: Verifier) -> Result<ProvingKey, Denial> {
    let mut refusal = Reason::UnknownKey.because("no key fits");
    for key in keys {
        // The key says how it signs. A token that could choose would choose `none`, or HMAC with the
        // public key for a secret.
        let algorithm = key.algorithm().name();
        if jwt.header.alg != algorithm {
            refusal = Reason::UnsupportedAlgorithm.because(format!(
                "the token says {:?}, its key is for {algorithm}",
                jwt.header.alg
            ));
            continue;
        }
        match verifier.verify(key.verifying(), jwt) {
            Signature::Genuine => {
                let kid = key.kid().to_owned();
                return Ok(ProvingKey { kid, fingerprint: key.fingerprint() });
            }
            Signature::Forged => {
                refusal = Reason::BadSignature.because(format!("not signed by key {}", key.kid()));
            }
            Signature::Unsupported => {
                refusal = Reason::UnsupportedAlgorithm
                    .because(format!("{algorithm} needs the host's verify_signature"));
            }
        }
    }
    Err(refusal)
}

/// RFC 7519 sections 4.1.4 to 4.1.6. The API server judges `iat` as it does `nbf`.
pub(super) fn check_times(claims: &Claims, leeway: Leeway, now: UnixTime) -> Result<(), Denial> {
    let Leeway(leeway) = leeway;
    let fact = |claim, time: UnixTime| {
        format!("{claim} {}, now {}, leeway {} s", time.as_secs(), now.as_secs(), leeway.as_secs())
    };
    let expires = claims.expires.ok_or_else(|| Reason::MissingClaim.because("no exp"))?;
    if now >= expires.plus(leeway) {
        return Err(Reason::Expired.because(fact("exp", expires)));
    }
    for (claim, time) in [("nbf", claims.not_before), ("iat", claims.issued_at)] {
        if let Some(time) = time
            && now.plus(leeway) < time
        {
            return Err(Reason::NotYetValid.because(fact(claim, time)));
        }
    }
    Ok(())
}

/// RFC 7519 section 4.1.3: exact, any of ours among any of the token's.
pub(super) fn matching_audience(claims: &Claims, wanted: &[String]) -> Result<String, Denial> {
    let audience =
        claims.audience.as_ref().ok_or_else(|| Reason::MissingClaim.because("no aud"))?;
    wanted
        .iter()
        .find(|wanted| audience.contains(wanted))
        .cloned()
        .ok_or_else(|| Reason::WrongAudience.because(format!("aud {audience:?}, want {wanted:?}")))
}

// === impl VerifiedToken ===

impl VerifiedToken {
    /// The issuer that signed it.
    pub fn issuer(&self) -> &Rc<IssuerIdentity> {
        &self.issuer
    }

    /// Its claims, which are now to be believed.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The configured audience that it is meant for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The key that proved it.
    pub fn key(&self) -> &ProvingKey {
        &self.key
    }
}
