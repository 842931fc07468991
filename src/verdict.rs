//! What becomes of a request: the reasons for a refusal, what each answers, and the verdict itself.

mod answer;
mod reason;

pub use crate::authz::{HeaderEdits, Permit, ShadowPermit};
pub use answer::{Answer, Answers};
pub use reason::Reason;

use std::borrow::Cow;
use std::time::Duration;

/// Why a request is refused: the reason that everybody may see, and the detail for the operator's log.
///
/// The detail names both facts (what was there, what was wanted). It never holds a token or its
/// signature, and it never reaches the caller: an attacker learns the reason and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial(Box<Why>);

/// Kept apart, because what can be denied is handed on at each step, and most of it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Why {
    reason: Reason,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    claimed: Option<Claimed>,
}

/// What a refused token said of itself. None of it is proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// The key that it named.
    pub kid: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `sub`.
    pub subject: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
}

/// What is to be done with a request.
///
/// `Allow` needs a [`Permit`], which only [`crate::authz::Policy`] makes: there is no other way to it.
/// `Shadow` lets pass what was refused, and can only come of `mode: "shadow"`.
#[derive(Debug)]
pub enum Verdict {
    /// The request goes on, with these edits of its headers.
    Allow(Permit, HeaderEdits),
    /// The request is answered here and never reaches the upstream.
    Deny(Denial),
    /// Shadow mode: the request would have been refused, and goes on.
    Shadow(ShadowPermit, HeaderEdits),
}

/// What is done about a judgement (`mode` in the configuration).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A refused request is refused.
    #[default]
    Enforce,
    /// A refused request is counted and logged, and passes.
    Shadow,
}

// === impl Denial ===

impl Denial {
    /// The one stable name of why.
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Both facts, for the log.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// When it may be worth while to ask again; only for failures that are ours.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What the token said of itself, where it could be read.
    pub fn claimed(&self) -> Option<&Claimed> {
        self.0.claimed.as_ref()
    }

    /// The same denial with what its token said of itself.
    #[must_use]
    pub fn of(mut self, claimed: Claimed) -> Self {
        self.0.claimed = Some(claimed);
        self
    }

    /// The same denial with a time after which the caller may try again.
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
