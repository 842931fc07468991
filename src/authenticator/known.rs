//! A token that was proven before: what of that still counts.

use crate::authn::issuer::IssuerIdentity;
use crate::authn::verify::Validity;
use crate::identity::Caller;
use crate::time::UnixTime;
use std::rc::Rc;
use std::time::Duration;

/// What is kept of a proven token, so that it costs one look-up the next time. Whom it may see, a rule
/// decides for every request.
#[derive(Debug)]
pub(super) struct Known {
    /// Whose it is.
    pub(super) issuer: usize,
    /// Who was proven.
    pub(super) account: Rc<Caller>,
    /// Under which keys it was proven; see [`crate::authn::keys::KeyCache::generation`].
    pub(super) generation: u64,
    /// When its times hold.
    pub(super) validity: Validity,
    /// The API server's last yes.
    pub(super) approval: Option<Approval>,
}

/// The API server's yes to a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Approval {
    given: UnixTime,
    until: UnixTime,
    /// From when on it is worth asking again.
    ask_again: UnixTime,
}

// === impl Known ===

impl Known {
    /// A token that proved this account; `None` where its times never hold.
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
    /// A yes that came now, and counts for `ttl`.
    pub(super) fn given(now: UnixTime, ttl: Duration, refresh_ahead: Duration) -> Self {
        let until = now.plus(ttl);
        Self { given: now, until, ask_again: until.minus(refresh_ahead) }
    }

    /// Whether it still counts. A clock that was set back makes none count longer.
    pub(super) fn counts(self, now: UnixTime) -> bool {
        self.given <= now && now < self.until
    }

    /// Whether it is worth asking again before it ends.
    pub(super) fn is_aging(self, now: UnixTime) -> bool {
        now >= self.ask_again
    }

    /// Asked again; should that fail, not at once once more.
    pub(super) fn asked(&mut self, now: UnixTime) {
        self.ask_again = now.plus(ASK_AGAIN);
    }
}

/// Between two tries to refresh one token's review, while the API server is down.
const ASK_AGAIN: Duration = Duration::from_secs(1);
