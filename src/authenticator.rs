//! What outlives a request: the issuers with their keys, and who waits for them.
//!
//! It is driven from outside: [`Authenticator::poll`] says which call to send, the shell brings the reply
//! to [`Authenticator::settle`] and then wakes who waits.

mod fetching;

pub use fetching::{Consultation, Due, KeysSettled};

use crate::authn::bearer::BearerToken;
use crate::authn::issuer::{Issuer, IssuerIdentity};
use crate::authn::jwt::Jwt;
use crate::authn::keys::{Algorithm, Cause, Jwk, Lookup};
use crate::authn::signature::Verifier;
use crate::authn::verify::{VerifiedToken, verify};
use crate::authn::{Proof, ServiceAccount};
use crate::callout::CalloutId;
use crate::config::{Config, Settings};
use crate::connection::Connection;
use crate::time::UnixTime;
use crate::verdict::{Claimed, Denial, Reason};
use crate::waiting::{Hold, Waiting};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// The state of one VM under one configuration.
#[derive(Debug)]
pub struct Authenticator {
    settings: Rc<Settings>,
    issuers: Vec<Issuer>,
    /// `iss` or alias -> the issuers that are called so: several, where clusters were left at the
    /// default. The kid tells them apart.
    by_iss: HashMap<String, Vec<usize>>,
    verifier: Verifier,
    waiting: Waiting,
    /// Which issuer's keys a call is for.
    calls: HashMap<CalloutId, usize>,
    last_call: u32,
}

/// What is known of a request's token.
#[derive(Debug)]
pub struct Authentication {
    /// Who was proven, or why nobody was.
    pub caller: Result<ServiceAccount, Unproven>,
    /// Whether the token says that it comes from an issuer of ours: then it is not for the upstream,
    /// whatever else is wrong with it.
    pub ours: bool,
}

/// Why a caller is not proven.
#[derive(Debug)]
pub enum Unproven {
    /// The token is refused.
    Denied(Denial),
    /// Keys must be fetched first.
    Waits(Hold),
}

// === impl Authenticator ===

impl Authenticator {
    /// Starts with no fetched keys. `seed` spreads refreshes and differs between VMs.
    pub fn new(config: Config, verifier: Verifier, seed: u64) -> Self {
        let mut by_iss: HashMap<String, Vec<usize>> = HashMap::new();
        let mut issuers = Vec::new();
        for (at, (identity, source)) in config.issuers.into_iter().enumerate() {
            for iss in &identity.issuers {
                by_iss.entry(iss.clone()).or_default().push(at);
            }
            issuers.push(Issuer::new(identity, source, seed.wrapping_add(at as u64)));
        }
        let limits = config.settings.limits;
        Self {
            settings: Rc::new(config.settings),
            issuers,
            by_iss,
            verifier,
            waiting: Waiting::new(limits.max_waiting, limits.wait_timeout),
            calls: HashMap::new(),
            last_call: 0,
        }
    }

    /// What the configuration says of requests.
    pub fn settings(&self) -> &Rc<Settings> {
        &self.settings
    }

    /// Who waits.
    pub fn waiting(&mut self) -> &mut Waiting {
        &mut self.waiting
    }

    /// Proves who sent `token`. `arrived` is when its request came.
    pub fn authenticate(
        &mut self,
        token: BearerToken<'_>,
        arrived: UnixTime,
        connection: &Connection,
        now: UnixTime,
    ) -> Authentication {
        if !now.is_plausible() {
            let denial = Reason::Internal.because("the clock is not set: it says before 2020");
            return Authentication { caller: Err(denial.into()), ours: true };
        }
        let jwt = match Jwt::parse(token, self.settings.limits.max_token_bytes) {
            Ok(jwt) => jwt,
            Err(denial) => return Authentication { caller: Err(denial.into()), ours: false },
        };
        let claimed = claimed(&jwt);
        let (caller, ours) = match self.issuers_of(&jwt) {
            Err((denial, ours)) => (Err(denial.into()), ours),
            Ok(issuers) => (self.prove(jwt, &issuers, arrived, connection, now), true),
        };
        let caller = caller.map_err(|unproven| match unproven {
            Unproven::Denied(denial) => Unproven::Denied(denial.of(claimed)),
            waits @ Unproven::Waits(_) => waits,
        });
        Authentication { caller, ours }
    }

    /// Whether a token says that it comes from an issuer of ours; nothing is proven by that.
    pub fn is_ours(&self, token: BearerToken<'_>) -> bool {
        Jwt::parse(token, self.settings.limits.max_token_bytes).is_ok_and(|jwt| {
            match self.issuers_of(&jwt) {
                Ok(_) => true,
                Err((_, ours)) => ours,
            }
        })
    }

    /// Tokens from a Secret are told apart first: no issuer could be configured for them.
    fn issuers_of(&self, jwt: &Jwt<'_>) -> Result<Vec<usize>, (Denial, bool)> {
        let iss = jwt.claims.issuer.as_deref();
        if jwt.claims.legacy || iss == Some(LEGACY_ISSUER) {
            return Err((Reason::LegacyToken.because("a token from a Secret"), true));
        }
        let iss = iss.ok_or_else(|| (Reason::MissingClaim.because("no iss"), false))?;
        let issuers = self.by_iss.get(iss);
        issuers
            .cloned()
            .ok_or_else(|| (Reason::UnknownIssuer.because(format!("iss {iss:?}")), false))
    }

    fn prove(
        &mut self,
        jwt: Jwt<'_>,
        issuers: &[usize],
        arrived: UnixTime,
        connection: &Connection,
        now: UnixTime,
    ) -> Result<ServiceAccount, Unproven> {
        let token = self.verify(jwt, issuers, arrived, now)?;
        let issuer = Rc::clone(token.issuer());
        let account = ServiceAccount::from_proof(Proof::Signature(Box::new(token)))?;
        if let Some(pattern) = &issuer.match_peer {
            pattern.check(connection.peer_uri.as_deref(), &account)?;
        }
        Ok(account)
    }

    fn verify(
        &mut self,
        jwt: Jwt<'_>,
        issuers: &[usize],
        arrived: UnixTime,
        now: UnixTime,
    ) -> Result<VerifiedToken, Unproven> {
        let (kid, alg) = (jwt.header.kid.as_deref(), jwt.header.alg.as_str());
        if Algorithm::named(alg).is_none() {
            let denial = Reason::UnsupportedAlgorithm.because(format!("alg {alg:?}"));
            return Err(denial.into());
        }
        // Who has the key is not asked to fetch it, nor are others that share its iss.
        let mut found: Vec<(Rc<IssuerIdentity>, Vec<Rc<Jwk>>)> = Vec::new();
        for issuer in issuers.iter().filter_map(|at| self.issuers.get(*at)) {
            let keys = issuer.at_hand(kid, alg, now);
            if !keys.is_empty() {
                found.push((Rc::clone(issuer.identity()), keys));
            }
        }
        if found.is_empty() {
            return Err(self.missing(issuers, kid, alg, arrived, now));
        }
        check_told_apart(&found)?;
        Ok(verify(jwt, &found, self.verifier, now)?)
    }

    /// None of the issuers has the key at hand: what each of them says of that.
    fn missing(
        &mut self,
        issuers: &[usize],
        kid: Option<&str>,
        alg: &str,
        arrived: UnixTime,
        now: UnixTime,
    ) -> Unproven {
        let mut missing = Missing::default();
        for at in issuers {
            let Some(issuer) = self.issuers.get_mut(*at) else { continue };
            match issuer.lookup(kid, alg, arrived, now) {
                Lookup::Hold(cause) => missing.hold(*at, cause),
                Lookup::Unavailable(wait) => missing.unavailable(wait, &issuer.identity().name),
                Lookup::Found(_) | Lookup::Unknown => {}
            }
        }
        missing.conclude(kid)
    }
}

fn claimed(jwt: &Jwt<'_>) -> Claimed {
    Claimed {
        kid: jwt.header.kid.clone(),
        issuer: jwt.claims.issuer.clone(),
        subject: jwt.claims.subject.clone(),
        audience: jwt.claims.audience.clone().unwrap_or_default(),
    }
}

/// One key in two clusters: nobody can say whose token it is.
fn check_told_apart(found: &[(Rc<IssuerIdentity>, Vec<Rc<Jwk>>)]) -> Result<(), Denial> {
    let mut fingerprints = HashMap::new();
    for (issuer, keys) in found {
        for key in keys {
            if let Some(other) = fingerprints.insert(key.fingerprint(), &issuer.name) {
                let detail = format!("issuers {other:?} and {:?} publish one key", issuer.name);
                return Err(Reason::Internal.because(detail));
            }
        }
    }
    Ok(())
}

// === impl Missing ===

/// What to say of a key that none of the issuers has: while one may still have it, that is not no.
#[derive(Default)]
struct Missing {
    hold: Option<Hold>,
    unavailable: Option<(Duration, String)>,
}

impl Missing {
    /// Whichever of the issuers gets keys first wakes the request.
    fn hold(&mut self, issuer: usize, cause: Cause) {
        let hold = self.hold.get_or_insert(Hold { issuers: Vec::new(), cause });
        hold.issuers.push(issuer);
        if cause == Cause::NoKeys {
            hold.cause = cause;
        }
    }

    fn unavailable(&mut self, wait: Duration, issuer: &str) {
        self.unavailable = Some((wait, issuer.to_owned()));
    }

    fn conclude(self, kid: Option<&str>) -> Unproven {
        match (self.hold, self.unavailable) {
            (Some(hold), _) => Unproven::Waits(hold),
            (None, Some((wait, issuer))) => {
                let detail = format!("keys of {issuer:?} for kid {kid:?}");
                Reason::KeysUnavailable.because(detail).retry_in(wait).into()
            }
            (None, None) => Reason::UnknownKey.because(format!("kid {kid:?}")).into(),
        }
    }
}

// === impl Unproven ===

impl From<Denial> for Unproven {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// kubernetes:pkg/serviceaccount/legacy.go
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
