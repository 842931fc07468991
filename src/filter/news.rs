//! What an operator hears of key sources and API servers: each change, and once a minute that one is
//! still failing.

use super::host::{self, Level};
use crate::authenticator::{KeysSettled, ReviewSettled};
use crate::authn::keys::Settled;
use crate::time::UnixTime;
use crate::verdict::{Denial, Reason};
use std::collections::HashMap;
use std::time::Duration;

/// What was said last of each topic, and when.
#[derive(Default)]
pub(super) struct News(HashMap<Topic, (String, UnixTime)>);

/// Of which issuer's what.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Topic {
    Keys(usize),
    Reviews(usize),
}

// === impl News ===

impl News {
    /// A fetch of keys ended.
    pub(super) fn of_keys(&mut self, settled: &KeysSettled, now: UnixTime) {
        let name = &settled.name;
        let (level, line) = match &settled.outcome {
            Settled::Continues => return,
            Settled::Renewed { keys, skipped, .. } => {
                let line =
                    format!("keys of {name:?}: {keys} usable, {skipped} of other kinds skipped");
                (Level::Info, line)
            }
            Settled::Failed(failure) => {
                let failure = shortened(&failure.to_string());
                (Level::Warn, format!("keys of {name:?} cannot be fetched: {failure}"))
            }
        };
        self.say(Topic::Keys(settled.issuer), level, line, now);
    }

    /// A review ended; whether with yes or no is nothing to tell of. There are many: an API server that
    /// answers now and again must not fill the log.
    pub(super) fn of_review(&mut self, settled: &ReviewSettled, now: UnixTime) {
        let topic = Topic::Reviews(settled.issuer);
        let just_said = |(_, at): &(String, UnixTime)| *at <= now && now.since(*at) < SAY_CHANGES;
        if self.0.get(&topic).is_some_and(just_said) {
            return;
        }
        let name = &settled.name;
        let outage = |denial: &Denial| {
            (denial.reason() == Reason::ReviewUnavailable).then(|| shortened(denial.detail()))
        };
        let (level, line) = match settled.reviewed.outcome().err().and_then(outage) {
            None => (Level::Info, format!("tokens of {name:?} are reviewed")),
            Some(why) => (Level::Warn, format!("tokens of {name:?} cannot be reviewed: {why}")),
        };
        self.say(topic, level, line, now);
    }

    fn say(&mut self, topic: Topic, level: Level, line: String, now: UnixTime) {
        let fails = matches!(level, Level::Warn);
        let known = self
            .0
            .get(&topic)
            .is_some_and(|(said, at)| *said == line && !(fails && now.since(*at) >= SAY_AGAIN));
        if !known {
            host::log(level, &line);
            self.0.insert(topic, (line, now));
        }
    }
}

/// A server's own words are in it, and may be many.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

const MAX_SHOWN: usize = 500;

/// How often a failure that goes on is said again.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// How often a change is said at most, of reviews.
const SAY_CHANGES: Duration = Duration::from_secs(1);
