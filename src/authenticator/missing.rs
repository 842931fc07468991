//! Decides whether a request waits or is denied if no issuer has the token's key.

use super::{Authenticator, Hold, Unproven};
use crate::authn::keys::{Cause, Lookup};
use crate::denial::Reason;
use crate::time::UnixTime;
use std::time::Duration;

/// The answers of a token's issuers, none of which has the key. As long as one may still get it, the key is not unknown.
#[derive(Default)]
struct Missing {
    hold: Option<(Vec<usize>, Cause)>,
    unavailable: Option<(Duration, String)>,
    /// Why the key is not used, although an issuer publishes it.
    skipped: Option<String>,
}

// === impl Authenticator ===

impl Authenticator {
    /// Asks each issuer for the key, and combines their answers.
    pub(super) fn missing(
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
                Lookup::Unknown => {
                    let why = kid.and_then(|kid| issuer.why_skipped(kid));
                    missing.skipped = missing.skipped.or(why.map(|why| why.0.clone()));
                }
                Lookup::Found(_) => {}
            }
        }
        missing.conclude(kid)
    }
}

// === impl Missing ===

impl Missing {
    /// The request resumes when the first of the issuers gets keys.
    fn hold(&mut self, issuer: usize, cause: Cause) {
        let (issuers, of_all) = self.hold.get_or_insert((Vec::new(), cause));
        issuers.push(issuer);
        if cause == Cause::NoKeys {
            *of_all = cause;
        }
    }

    fn unavailable(&mut self, wait: Duration, issuer: &str) {
        self.unavailable = Some((wait, issuer.to_owned()));
    }

    fn conclude(self, kid: Option<&str>) -> Unproven {
        let kid = || kid.map_or("a token without kid".to_owned(), |kid| format!("kid {kid:?}"));
        match (self.hold, self.unavailable) {
            (Some((issuers, cause)), _) => Unproven::Waits(Hold::Keys { issuers, cause }),
            (None, Some((wait, issuer))) => {
                let detail = format!("keys of {issuer:?} for {}", kid());
                Reason::KeysUnavailable.because(detail).retry_in(wait).into()
            }
            (None, None) => {
                let why = self.skipped.map(|why| format!(" is published, but not usable: {why}"));
                Reason::UnknownKey.because(kid() + &why.unwrap_or_default()).into()
            }
        }
    }
}
