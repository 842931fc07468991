//! Verified tokens: what is cached, and for how long it is valid.

use crate::authn::issuer::IssuerIdentity;
use crate::authn::verify::Validity;
use crate::identity::Caller;
use crate::time::UnixTime;
use std::rc::Rc;
use std::time::Duration;

/// A verified token, which costs one lookup the next time. Rules are still evaluated for every request.
#[derive(Debug)]
pub(super) struct Known {
    /// The issuer's index in the configuration.
    pub(super) issuer: usize,
    /// The caller.
    pub(super) account: Rc<Caller>,
    /// The key generation under which it was verified; see [`crate::authn::keys::KeyCache::generation`].
    pub(super) generation: u64,
    /// When the token is valid.
    pub(super) validity: Validity,
    /// The API server's last approval.
    pub(super) approval: Option<Approval>,
}

/// The API server's approval of a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Approval {
    given: UnixTime,
    until: UnixTime,
    /// When to ask again.
    ask_again: UnixTime,
}

// === impl Known ===

impl Known {
    /// A token of this caller; `None` if it is never valid.
    pub(super) fn of(
        issuer: usize,
        identity: &IssuerIdentity,
        account: Rc<Caller>,
        generation: u64,
    ) -> Option<Self> {
        let validity = Validity::of(account.proof().claims().times(), identity)?;
        Some(Self { issuer, account, generation, validity, approval: None })
    }
}

// === impl Approval ===

impl Approval {
    /// An approval given now and valid for `ttl`.
    pub(super) fn given(now: UnixTime, ttl: Duration, refresh_ahead: Duration) -> Self {
        let until = now.plus(ttl);
        Self { given: now, until, ask_again: until.minus(refresh_ahead) }
    }

    /// Whether it is still valid. A clock that was set back does not make it valid for longer.
    pub(super) fn counts(self, now: UnixTime) -> bool {
        self.given <= now && now < self.until
    }

    /// Whether to ask again before it ends.
    pub(super) fn is_aging(self, now: UnixTime) -> bool {
        now >= self.ask_again
    }

    /// Records that the API server was asked again. If that fails, the next attempt is not immediate.
    pub(super) fn asked(&mut self, now: UnixTime) {
        self.ask_again = now.plus(ASK_AGAIN);
    }
}

/// Between two attempts to refresh one token's review while the API server is unavailable.
const ASK_AGAIN: Duration = Duration::from_secs(1);
