//! Why a request is denied: the reason, and a detail for the log.

mod reason;

pub use reason::Reason;

use std::borrow::Cow;
use std::time::Duration;

/// Why a request is denied: a reason for the caller, and a detail for the operator's log.
///
/// The detail says what was found and what was expected. It never contains a token or a signature, and it is never sent to
/// the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial(Box<Why>);

/// Boxed, because each step returns a `Result` with a denial, and most requests are not denied.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Why {
    reason: Reason,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    claimed: Option<Claimed>,
}

/// Claims of a rejected token. None of them is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The key ID.
    pub kid: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
}

// === impl Denial ===

impl Denial {
    /// The reason.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The detail, for the log.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// When the caller may retry; only for failures of the filter.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The token's claims, if they could be read.
    pub fn claimed(&self) -> Option<&Claimed> {
        self.0.claimed.as_ref()
    }

    /// The same denial with the token's claims.
    #[must_use]
    pub fn of(mut self, claimed: Claimed) -> Self {
        self.0.claimed = Some(claimed);
        self
    }

    /// The same denial with a time after which the caller may retry.
    #[must_use]
    pub fn retry_in(mut self, after: Duration) -> Self {
        self.0.retry_after = Some(after);
        self
    }
}

// === impl Reason ===

impl Reason {
    /// A denial for this reason; `detail` is for the log alone.
    #[cold]
    pub fn because(self, detail: impl Into<Cow<'static, str>>) -> Denial {
        let detail = detail.into();
        Denial(Box::new(Why { reason: self, detail, retry_after: None, claimed: None }))
    }
}
