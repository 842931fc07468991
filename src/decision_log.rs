//! A refusal -> one line of the log, as JSON: everything that an operator needs, and never a token.
//!
//! Lines are rationed, because whoever can be refused can be refused a thousand times a second; how many
//! were left out stands in the next one.

use crate::exchange::Finished;
use crate::time::UnixTime;
use crate::verdict::{Denial, Verdict};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The lines of one VM.
#[derive(Debug)]
pub struct DecisionLog {
    second: UnixTime,
    lines: u32,
    left_out: u64,
}

// === impl DecisionLog ===

impl DecisionLog {
    /// The line for a request, if it was refused (or would have been), and if there is room for one.
    pub fn line(&mut self, finished: &Finished, now: UnixTime) -> Option<String> {
        let (what, denial) = match &finished.verdict {
            Verdict::Deny(denial) => ("denied", denial),
            Verdict::Shadow(shadowed, _) => ("shadowed", shadowed.denial()),
            Verdict::Allow(..) => {
                let notable = !finished.shadowed.is_empty() || finished.unreviewed.is_some();
                let left_out = if notable { self.admit(now)? } else { return None };
                return Some(allowed(finished, left_out));
            }
        };
        let left_out = self.admit(now)?;
        let mut line = line(what, denial, finished);
        note(&mut line, left_out);
        Some(Value::Object(line).to_string())
    }

    /// How many lines were left out before this one; `None` when this one is, too.
    fn admit(&mut self, now: UnixTime) -> Option<u64> {
        if now.since(self.second) >= SECOND || now < self.second {
            (self.second, self.lines) = (now, 0);
        }
        if self.lines >= LINES_PER_SECOND {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl Default for DecisionLog {
    fn default() -> Self {
        Self { second: UnixTime::from_secs(0), lines: 0, left_out: 0 }
    }
}

fn line(what: &str, denial: &Denial, finished: &Finished) -> Map<String, Value> {
    let mut line = Map::new();
    let mut say = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            line.insert(name.to_owned(), json!(cut(value)));
        }
    };
    say("verdict", Some(what));
    say("reason", Some(denial.reason().code()));
    say("rule", finished.rule.as_deref());
    say("request_id", finished.request_id.as_deref());
    let claimed = finished.caller.as_ref().err().unwrap_or(denial).claimed();
    match &finished.caller {
        Ok(caller) => {
            say("sub", Some(caller.subject()));
            say("issuer", Some(caller.issuer_name()));
            say("aud", Some(caller.audience()));
        }
        // What the token said, and nobody proved.
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

/// A rule on trial would have refused what passed, or nobody has asked the API server about it.
fn allowed(finished: &Finished, left_out: u64) -> String {
    let mut line = Map::new();
    let mut say = |name: &str, value: &str| line.insert(name.to_owned(), json!(cut(value)));
    if finished.shadowed.is_empty() {
        say("verdict", "allowed");
    } else {
        say("verdict", "shadowed");
        say("rule", &finished.shadowed.join(" "));
    }
    if let Some(why) = &finished.unreviewed {
        say("unreviewed", why.detail());
    }
    if let Ok(caller) = &finished.caller {
        say("sub", caller.subject());
    }
    note(&mut line, left_out);
    Value::Object(line).to_string()
}

fn note(line: &mut Map<String, Value>, left_out: u64) {
    if left_out > 0 {
        line.insert("left_out".to_owned(), json!(left_out));
    }
}

/// What callers write ends after this many bytes; JSON takes care of quotes and line ends.
fn cut(text: &str) -> &str {
    let end = (0..=MAX_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

const SECOND: Duration = Duration::from_secs(1);
const LINES_PER_SECOND: u32 = 10;
const MAX_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Claimed, Reason};

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
        assert!(long.contains(&format!(r#""sub":"{}""#, "\u{fc}".repeat(64))), "{long}");
    }

    #[test]
    fn a_flood_of_refusals_is_ten_lines_a_second_and_a_count() {
        let mut log = DecisionLog::default();
        let now = UnixTime::from_secs(2_000_000_000);
        let lines = (0..100).filter_map(|_| log.line(&refused("x"), now)).count();
        assert_eq!(lines, 10);
        let next = log.line(&refused("x"), now.plus(SECOND)).unwrap();
        assert!(next.contains(r#""left_out":90"#), "{next}");
    }
}
