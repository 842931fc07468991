//! The part of [`Authenticator`] that finds the issuers that a token names.

use super::{Authentication, Authenticator};
use crate::authn::bearer::BearerToken;
use crate::authn::claims::Claims;
use crate::authn::jwt::{Jwt, issuer_of};
use crate::denial::{Claimed, Denial, Reason};

// === impl Authenticator ===

impl Authenticator {
    /// Whether a token names a configured issuer. The token is not verified by this.
    pub fn is_ours(&self, token: BearerToken<'_>) -> bool {
        if self.known.get(token.bytes()).is_some() {
            return true;
        }
        match Jwt::parse(token, self.settings.limits.max_token_bytes) {
            Ok(jwt) => self.are_ours(jwt.claims()),
            Err(denial) => {
                denial.reason() == Reason::MalformedToken
                    && issuer_of(token).is_some_and(|iss| self.is_issuer(&iss))
            }
        }
    }

    /// A token that cannot be read. If its issuer is not configured, that is the reason, whatever else is wrong with it.
    pub(super) fn unreadable(&self, token: BearerToken<'_>, denial: Denial) -> Authentication {
        let is_malformed = denial.reason() == Reason::MalformedToken;
        let Some(iss) = is_malformed.then(|| issuer_of(token)).flatten() else {
            return Authentication::failed(denial, false);
        };
        let ours = self.is_issuer(&iss);
        let denial = if ours { denial } else { unknown_issuer(&iss) };
        let claimed = Claimed { kid: None, issuer: Some(iss), subject: None, audience: Vec::new() };
        Authentication::failed(denial.of(claimed), ours)
    }

    fn is_issuer(&self, iss: &str) -> bool {
        iss == LEGACY_ISSUER || self.by_iss.contains_key(iss.as_bytes())
    }

    /// Like [`Self::is_ours`], for claims.
    pub fn are_ours(&self, claims: &Claims) -> bool {
        match self.issuers_of(claims) {
            Ok(_) => true,
            Err((_, ours)) => ours,
        }
    }

    /// Tokens from a Secret are recognized first, because no issuer can be configured for them.
    pub(super) fn issuers_of(&self, claims: &Claims) -> Result<Vec<usize>, (Denial, bool)> {
        let iss = claims.issuer();
        if claims.is_legacy() || iss == Some(LEGACY_ISSUER) {
            return Err((Reason::LegacyToken.because("a token from a Secret"), true));
        }
        let iss = iss.ok_or_else(|| (Reason::MissingClaim.because("no iss"), false))?;
        let issuers = self.by_iss.get(iss.as_bytes());
        issuers.cloned().ok_or_else(|| (unknown_issuer(iss), false))
    }
}

fn unknown_issuer(iss: &str) -> Denial {
    Reason::UnknownIssuer.because(format!("iss {iss:?}"))
}

/// kubernetes:pkg/serviceaccount/legacy.go
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
