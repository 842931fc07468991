//! The expected responses to a request, given the events during it.
//!
//! Usually one. More than one only while an API server fails, or a key or a configuration is being
//! replaced, because workers apply changes at different times.

use std::time::Instant;

use super::events::{Event, EventLog};
use super::kind::{Case, Kind};

/// When a request was under way.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// When its connection began to be opened. A connection keeps the configuration that it was opened under.
    pub opening: Instant,
    /// When it was open.
    pub opened: Instant,
    /// When the request was sent.
    pub sent: Instant,
    /// When its answer was there.
    pub answered: Instant,
}

/// The expected responses, as `callers` formats them: the status with the identity or the reason.
pub fn expected_responses(case: &Case, under: &Conditions, events: &EventLog) -> Vec<String> {
    let during = |what| events.overlaps(what, under.sent, under.answered);
    let judged_by = |what| events.overlaps(what, under.opening, under.opened);
    let passes = format!("200 {}", case.caller);
    let reason = |text: &str| vec![text.to_owned()];
    match case.kind {
        Kind::EastSteady | Kind::EastFresh | Kind::Body | Kind::Open | Kind::Masked => vec![passes],
        Kind::WestSteady | Kind::WestFresh => {
            maybe(passes, during(Event::WestTrouble), "503 review_unavailable")
        }
        Kind::Revoked => {
            maybe("401 revoked".to_owned(), during(Event::WestTrouble), "503 review_unavailable")
        }
        Kind::Toggled => {
            let (is_in, is_out) = (judged_by(Event::WebIsIn), judged_by(Event::WebIsOut));
            let both = [(is_in, passes.as_str()), (is_out, "403 forbidden")];
            both.iter().filter(|(on, _)| *on).map(|(_, answer)| (*answer).to_owned()).collect()
        }
        Kind::UnknownKey | Kind::Withdrawn => {
            let unfetched = during(Event::EastTrouble) || during(Event::EastRotates);
            let mut right = maybe("401 unknown_key".to_owned(), unfetched, "503 keys_unavailable");
            if case.kind == Kind::Withdrawn && during(Event::EastRotates) {
                right.push(passes);
            }
            right
        }
        Kind::Missing => reason("401 missing_token"),
        Kind::Malformed => reason("401 malformed_token"),
        Kind::Forbidden => reason("403 forbidden"),
        Kind::Conflicting => reason("400 conflicting_tokens"),
        Kind::AmbiguousPath => reason("400 ambiguous_path"),
        forged => {
            forged.vector().map(|vector| format!("401 {}", vector.reason)).into_iter().collect()
        }
    }
}

fn maybe(right: String, disturbance: bool, disturbed: &str) -> Vec<String> {
    match disturbance {
        true => vec![right, disturbed.to_owned()],
        false => vec![right],
    }
}
