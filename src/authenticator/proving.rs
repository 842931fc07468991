//! The part of [`Authenticator`] that authenticates the caller of a request.

use super::known::{Approval, Known};
use super::presented::Presented;
use super::{Authentication, Authenticator, Confirmed, Unproven};
use crate::authn::bearer::BearerToken;
use crate::authn::claims::Claims;
use crate::authn::issuer::{Issuer, IssuerIdentity, Purpose};
use crate::authn::jwt::Jwt;
use crate::authn::keys::Jwk;
use crate::authn::signature::Algorithm;
use crate::authn::subject::NamedAccount;
use crate::authn::trace::{Check, TokenTrace};
use crate::authn::verify::{VerifiedToken, check_claims, verify_token};
use crate::authn::{Proof, ServiceAccount};
use crate::denial::{Claimed, Denial, Reason};
use crate::identity::Caller;
use crate::time::UnixTime;
use std::collections::HashMap;
use std::rc::Rc;

/// What is cached of a verified token.
struct Remembered {
    issuer: usize,
    account: Rc<Caller>,
    approval: Option<Approval>,
}

/// The issuers with keys that may have signed a token.
type Found = Vec<(Rc<IssuerIdentity>, Vec<Rc<Jwk>>)>;

// === impl Authenticator ===

impl Authenticator {
    /// Authenticates the caller that presents a token.
    pub fn authenticate(
        &mut self,
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Authentication {
        if !now.is_plausible() {
            let denial = Reason::Internal.because("the clock is not set: it says before 2020");
            return Authentication::failed(denial, true);
        }
        if let Some(remembered) = self.remembered(presented.token, now) {
            self.tally.token_hits += 1;
            if self.is_settled(&remembered, presented, now) {
                self.tally.approval_hits += u64::from(remembered.approval.is_some());
                return Authentication {
                    caller: Ok(remembered.account),
                    ours: true,
                    unreviewed: None,
                };
            }
            return self.authenticate_known(remembered, presented, now);
        }
        self.authenticate_new(presented, now)
    }

    /// A token that is known, and of which more is to be checked.
    #[inline(never)]
    fn authenticate_known(
        &mut self,
        remembered: Remembered,
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Authentication {
        let account = Rc::clone(&remembered.account);
        let confirmed = self.confirm(remembered, presented, now);
        Authentication::of(confirmed, true, || claimed_by(account.proof()))
    }

    #[inline(never)]
    fn authenticate_new(
        &mut self,
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Authentication {
        self.tally.token_misses += 1;
        let jwt = Jwt::parse(presented.token, self.settings.limits.max_token_bytes);
        presented.trace.parsed(&jwt);
        let jwt = match jwt {
            Ok(jwt) => jwt,
            Err(denial) => return self.unreadable(presented.token, denial),
        };
        let (kid, claims) = (jwt.header().kid.clone(), Rc::clone(jwt.claims()));
        let issuers = self.issuers_of(jwt.claims());
        presented.trace.issuers(issuers.as_deref().map_err(|(denial, _)| denial));
        let (confirmed, ours) = match issuers {
            Err((denial, ours)) => (Err(denial.into()), ours),
            Ok(issuers) => (self.prove(jwt, &issuers, presented, now), true),
        };
        Authentication::of(confirmed, ours, || claimed(kid.as_deref(), &claims))
    }

    /// Changes whenever any issuer's keys do.
    pub(super) fn generation(&self) -> u64 {
        self.issuers.iter().map(Issuer::generation).fold(0, u64::wrapping_add)
    }

    /// A token that was verified before, under keys that have not changed since, and that is still valid.
    fn remembered(&self, token: BearerToken<'_>, now: UnixTime) -> Option<Remembered> {
        let known = self.known.get(token.bytes())?;
        let issuer = self.issuers.get(known.issuer)?;
        let proven = match issuer.is_reviewed_instead() {
            true => known.approval.is_some_and(|approval| approval.counts(now)),
            false => known.generation == self.generation() && issuer.has_keys(now),
        };
        (proven && known.validity.holds(now)).then(|| Remembered {
            issuer: known.issuer,
            account: Rc::clone(&known.account),
            approval: known.approval,
        })
    }

    /// Whether [`Self::confirm`] has nothing to check: no peer must match, and the API server's approval, if one is needed,
    /// is still fresh. A request that waited for a review is confirmed by that review.
    fn is_settled(
        &self,
        remembered: &Remembered,
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> bool {
        let fresh = |approval: Approval| approval.counts(now) && !approval.is_aging(now);
        self.issuers.get(remembered.issuer).map(Issuer::identity).is_some_and(|identity| {
            let approved = presented.reviewed.is_none() && remembered.approval.is_some_and(fresh);
            identity.match_peer.is_none() && (identity.review.is_none() || approved)
        })
    }

    /// Checks what can differ between requests with the same token: the connection, and the age of the API server's
    /// approval.
    fn confirm(
        &mut self,
        remembered: Remembered,
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Result<Confirmed, Unproven> {
        let Remembered { issuer, account, approval } = remembered;
        let identity = self.issuers.get(issuer).map(|issuer| Rc::clone(issuer.identity()));
        let identity = identity.ok_or_else(|| Reason::Internal.because("no such issuer"))?;
        if let Some(pattern) = &identity.match_peer {
            let peer = pattern.check_peer(presented.connection.peer_uri.as_deref(), &account);
            presented.trace.checked(Check::Peer, &peer);
            peer?;
        }
        let Some(plan) = &identity.review else { return Ok(Confirmed::reviewed(account)) };
        match plan.purpose {
            Purpose::AfterVerification => {
                let proven = (account, approval);
                self.review_verified((issuer, &identity), plan, proven, presented, now)
            }
            Purpose::Instead => {
                // A request that waited for the review is counted already, and a new approval is not aging.
                if presented.reviewed.is_none() && approval.is_some() {
                    self.tally.approval_hits += 1;
                }
                if approval.is_some_and(|approval| approval.is_aging(now)) {
                    let claims = account.proof().claims();
                    self.ask_again((issuer, &identity), &claims, presented.token.bytes(), now);
                }
                Ok(Confirmed::reviewed(account))
            }
        }
    }

    fn prove(
        &mut self,
        jwt: Jwt<'_>,
        issuers: &[usize],
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Result<Confirmed, Unproven> {
        let algorithm = check_algorithm(&jwt);
        presented.trace.checked(Check::Algorithm, &algorithm);
        algorithm?;
        let reviewed =
            |at: &&usize| self.issuers.get(**at).is_some_and(Issuer::is_reviewed_instead);
        let remembered = match issuers.iter().find(reviewed) {
            Some(at) => self.prove_by_review(jwt, *at, presented, now)?,
            None => self.prove_by_signature(jwt, issuers, presented, now)?,
        };
        self.confirm(remembered, presented, now)
    }

    fn prove_by_signature(
        &mut self,
        jwt: Jwt<'_>,
        issuers: &[usize],
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Result<Remembered, Unproven> {
        let payload = jwt.payload();
        let token = self.verify_with_known_keys(jwt, issuers, presented, now)?;
        let identity = Rc::clone(token.issuer());
        let of = |issuer: &Issuer| Rc::ptr_eq(issuer.identity(), &identity);
        let issuer = self.issuers.iter().position(of);
        let issuer = issuer.ok_or_else(|| Reason::Internal.because("no such issuer"))?;
        let account = ServiceAccount::from_proof(Proof::Signature(Box::new(token)));
        presented.trace.checked(Check::Account, &account);
        let account = Rc::new(Caller::new(account?, Some(payload), &self.settings.identity));
        let bytes = presented.token.bytes();
        // A key rotation does not invalidate an earlier review.
        let before = self.known.get(bytes).filter(|known| known.issuer == issuer);
        let approval = before.and_then(|known| known.approval);
        let proven = Rc::clone(&account);
        if let Some(known) = Known::of(issuer, &identity, proven, self.generation()) {
            self.known.insert(bytes, Known { approval, ..known });
        }
        Ok(Remembered { issuer, account, approval })
    }

    /// Everything that can be checked without a key is checked before the API server is asked.
    fn prove_by_review(
        &mut self,
        jwt: Jwt<'_>,
        issuer: usize,
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Result<Remembered, Unproven> {
        let identity = self.issuers.get(issuer).map(|issuer| Rc::clone(issuer.identity()));
        let identity = identity.ok_or_else(|| Reason::Internal.because("no such issuer"))?;
        check_claims(jwt.claims(), &identity, now, presented.trace)?;
        let account = NamedAccount::of_claims(jwt.claims(), &identity);
        presented.trace.checked(Check::Account, &account);
        account?;
        let account = self.review_instead((issuer, &identity), jwt.claims(), presented, now)?;
        Ok(Remembered { issuer, account, approval: None })
    }

    fn verify_with_known_keys(
        &mut self,
        jwt: Jwt<'_>,
        issuers: &[usize],
        presented: &Presented<'_, impl TokenTrace>,
        now: UnixTime,
    ) -> Result<VerifiedToken, Unproven> {
        let (kid, alg) = (jwt.header().kid.as_deref(), jwt.header().alg.as_str());
        // If one issuer has the key, no issuer with the same `iss` fetches keys.
        let mut found = Found::new();
        for issuer in issuers.iter().filter_map(|at| self.issuers.get(*at)) {
            let keys = issuer.at_hand(kid, alg, now);
            presented.trace.keys(issuer.identity(), &keys);
            if !keys.is_empty() {
                found.push((Rc::clone(issuer.identity()), keys));
            }
        }
        if found.is_empty() {
            return Err(self.missing(issuers, kid, alg, presented.arrived, now));
        }
        check_told_apart(&found)?;
        Ok(verify_token(jwt, &found, self.verifier, now, presented.trace)?)
    }
}

fn check_algorithm(jwt: &Jwt<'_>) -> Result<(), Denial> {
    let alg = jwt.header().alg.as_str();
    let unsupported = || Reason::UnsupportedAlgorithm.because(format!("alg {alg:?}"));
    Algorithm::named(alg).map(drop).ok_or_else(unsupported)
}

fn claimed(kid: Option<&str>, claims: &Claims) -> Claimed {
    let own = |text: &str| text.to_owned();
    let audience = claims.audience().into_iter().flatten();
    Claimed {
        kid: kid.map(own),
        issuer: claims.issuer().map(own),
        subject: claims.subject().map(own),
        audience: audience.map(own).collect(),
    }
}

fn claimed_by(proof: &Proof) -> Claimed {
    let kid = match proof {
        Proof::Signature(token) => Some(token.key().kid()),
        Proof::Review(_) => None,
    };
    claimed(kid, &proof.claims())
}

/// Rejects a key that two issuers publish: the token's issuer would be ambiguous.
fn check_told_apart(found: &Found) -> Result<(), Denial> {
    if found.len() == 1 {
        return Ok(());
    }
    let mut fingerprints = HashMap::new();
    for (issuer, keys) in found {
        for key in keys {
            if let Some(other) = fingerprints.insert(key.fingerprint(), &issuer.name) {
                let detail =
                    format!("issuers {other:?} and {:?} publish the same key", issuer.name);
                return Err(Reason::Internal.because(detail));
            }
        }
    }
    Ok(())
}

// === impl Authentication ===

impl Authentication {
    /// The caller is not authenticated.
    pub(crate) fn failed(denial: Denial, ours: bool) -> Self {
        Self { caller: Err(denial.into()), ours, unreviewed: None }
    }

    fn of(
        confirmed: Result<Confirmed, Unproven>,
        ours: bool,
        claimed: impl FnOnce() -> Claimed,
    ) -> Self {
        match confirmed {
            Ok(Confirmed { account, unreviewed }) => Self { caller: Ok(account), ours, unreviewed },
            Err(Unproven::Denied(denial)) => Self::failed(denial.of(claimed()), ours),
            Err(waits) => Self { caller: Err(waits), ours, unreviewed: None },
        }
    }
}

// === impl Confirmed ===

impl Confirmed {
    /// Every check that the configuration requires has passed.
    pub(super) fn reviewed(account: Rc<Caller>) -> Self {
        Self { account, unreviewed: None }
    }

    /// The API server could not be reached, and the configuration accepts verified tokens during an outage.
    pub(super) fn unreviewed(account: Rc<Caller>, why: Denial) -> Self {
        Self { account, unreviewed: Some(why) }
    }
}
