//! The decision log: one line of JSON for each denied request, without its token.
//!
//! The number of lines is limited, because callers can cause thousands a second. Requests of authenticated callers,
//! requests of unauthenticated callers and requests that passed without a review have separate budgets: invalid tokens do
//! not hide the denial of a genuine account. Dropped lines are counted by reason, and the next line of the same budget
//! reports the counts. If no line follows, [`DecisionLog::overdue`] returns a line with the counts.

mod budget;

use crate::denial::Denial;
use crate::exchange::Finished;
use crate::printable::printable_json;
use crate::time::UnixTime;
use crate::verdict::Verdict;
use budget::{Budget, Dropped};
use serde_json::{Map, Value, json};

/// The lines of one VM.
#[derive(Debug, Default)]
pub struct DecisionLog {
    unproven: Budget,
    proven: Budget,
    unreviewed: Budget,
}

/// The outcome of a request that has a line.
#[derive(Clone, Copy)]
enum Decided<'f> {
    Denied(&'f Denial),
    /// Shadow mode of the filter, or of the rule that decided.
    ShadowDenied(&'f Denial),
    /// Allowed, but a shadow rule would have denied it.
    AllowedBesideShadow,
    /// Allowed without a required review.
    AllowedUnreviewed(&'f Denial),
}

// === impl DecisionLog ===

impl DecisionLog {
    /// The line for a request that was denied (or would have been) or passed without a review, if the budget allows one.
    pub fn line(&mut self, finished: &Finished, now: UnixTime) -> Option<String> {
        Decided::of(finished).and_then(|decided| self.line_of(decided, finished, now))
    }

    #[cold]
    fn line_of(
        &mut self,
        decided: Decided<'_>,
        finished: &Finished,
        now: UnixTime,
    ) -> Option<String> {
        let dropped = self.budget(decided, finished).admit(decided.reason(), now)?;
        let mut line = match decided {
            Decided::Denied(denial) | Decided::ShadowDenied(denial) => {
                refused(decided.verdict(), denial, finished)
            }
            Decided::AllowedBesideShadow | Decided::AllowedUnreviewed(_) => {
                allowed(decided.verdict(), finished)
            }
        };
        note(&mut line, dropped);
        Some(text(line))
    }

    /// Lines with counts of dropped lines that no later line has reported. Called about once a second.
    pub fn overdue(&mut self, now: UnixTime) -> Vec<String> {
        self.summaries(|budget| budget.overdue(now))
    }

    /// The same at the end of a configuration.
    pub fn rest(&mut self) -> Vec<String> {
        self.summaries(Budget::rest)
    }

    fn budget(&mut self, decided: Decided<'_>, finished: &Finished) -> &mut Budget {
        let passes = !matches!(decided, Decided::Denied(_));
        match (&finished.caller, &finished.unreviewed) {
            (_, Some(_)) if passes => &mut self.unreviewed,
            (Ok(_), _) => &mut self.proven,
            (Err(_), _) => &mut self.unproven,
        }
    }

    fn summaries(&mut self, of: impl Fn(&mut Budget) -> Option<Dropped>) -> Vec<String> {
        let budgets = [
            ("unproven", &mut self.unproven),
            ("proven", &mut self.proven),
            ("unreviewed", &mut self.unreviewed),
        ];
        let summary = |(name, budget): (&str, &mut Budget)| {
            let mut line = Map::new();
            line.insert("callers".to_owned(), json!(name));
            note(&mut line, of(budget)?);
            Some(text(line))
        };
        budgets.into_iter().filter_map(summary).collect()
    }
}

// === impl Decided ===

impl<'f> Decided<'f> {
    /// `None` for a request that has no line.
    fn of(finished: &'f Finished) -> Option<Self> {
        match (&finished.verdict, &finished.unreviewed) {
            (Verdict::Deny(denial), _) => Some(Self::Denied(denial)),
            (Verdict::Shadow(permit, _), _) => Some(Self::ShadowDenied(permit.denial())),
            (Verdict::Allow(..), _) if !finished.shadow_denied_by.is_empty() => {
                Some(Self::AllowedBesideShadow)
            }
            (Verdict::Allow(..), Some(why)) => Some(Self::AllowedUnreviewed(why)),
            (Verdict::Allow(..), None) => None,
        }
    }

    fn verdict(self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::ShadowDenied(_) | Self::AllowedBesideShadow => "shadow_denied",
            Self::AllowedUnreviewed(_) => "allowed",
        }
    }

    /// The key under which a dropped line is counted. Shadow rules before the deciding rule have no reason.
    fn reason(self) -> &'static str {
        match self {
            Self::Denied(denial) | Self::ShadowDenied(denial) | Self::AllowedUnreviewed(denial) => {
                denial.reason().code()
            }
            Self::AllowedBesideShadow => "shadow_denied",
        }
    }
}

fn refused(verdict: &str, denial: &Denial, finished: &Finished) -> Map<String, Value> {
    let mut line = Map::new();
    let mut say = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            line.insert(name.to_owned(), json!(cut(value)));
        }
    };
    say("verdict", Some(verdict));
    say("reason", Some(denial.reason().code()));
    say("rule", finished.rule.as_deref());
    say("request_id", finished.request_id.as_deref());
    say("unreviewed", finished.unreviewed.as_ref().map(Denial::detail));
    let claimed = finished.caller.as_ref().err().unwrap_or(denial).claimed();
    match &finished.caller {
        Ok(caller) => {
            say("sub", Some(caller.subject()));
            say("issuer", Some(caller.issuer_name()));
            say("aud", Some(caller.audience()));
        }
        // Claims of a token that is not verified.
        Err(_) => {
            say("sub", claimed.and_then(|claimed| claimed.subject.as_deref()));
            say("issuer", claimed.and_then(|claimed| claimed.issuer.as_deref()));
            say("kid", claimed.and_then(|claimed| claimed.kid.as_deref()));
            say("aud", claimed.map(|claimed| claimed.audience.join(" ")).as_deref());
        }
    }
    say("detail", Some(denial.detail()));
    line
}

/// The line of a request that passed although a shadow rule would have denied it, or without a review.
fn allowed(verdict: &str, finished: &Finished) -> Map<String, Value> {
    let mut line = Map::new();
    let mut say = |name: &str, value: &str| line.insert(name.to_owned(), json!(cut(value)));
    say("verdict", verdict);
    if !finished.shadow_denied_by.is_empty() {
        say("rule", &finished.shadow_denied_by.join(" "));
    }
    if let Some(why) = &finished.unreviewed {
        say("unreviewed", why.detail());
    }
    if let Ok(caller) = &finished.caller {
        say("sub", caller.subject());
    }
    line
}

fn note(line: &mut Map<String, Value>, dropped: Dropped) {
    if !dropped.is_empty() {
        line.insert("dropped".to_owned(), json!(dropped));
    }
}

fn text(line: Map<String, Value>) -> String {
    printable_json(&Value::Object(line).to_string())
}

/// Text from callers is cut after this many bytes.
fn cut(text: &str) -> &str {
    let end = (0..=MAX_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

const MAX_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::{Claimed, Reason};

    fn refused(subject: &str) -> Finished {
        let claimed = Claimed { subject: Some(subject.to_owned()), ..Claimed::default() };
        Finished::refused(Reason::Expired.because("exp 5, now 9").of(claimed))
    }

    #[test]
    fn a_refusal_is_one_line_whatever_the_caller_wrote() {
        let mut log = DecisionLog::default();
        let line = log.line(&refused("a\n\"b"), UnixTime::from_secs(9)).unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(
            serde_json::from_str::<Value>(&line).unwrap(),
            json!({
                "verdict": "denied", "reason": "expired", "sub": "a\n\"b", "detail": "exp 5, now 9",
            })
        );
        let long = log.line(&refused(&"\u{fc}".repeat(100)), UnixTime::from_secs(9)).unwrap();
        assert!(long.contains(&format!(r#""sub":"{}""#, r"\u00fc".repeat(64))), "{long}");
    }
}
