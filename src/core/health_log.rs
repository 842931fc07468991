//! The log of key sources and API servers: each change of state, and once a minute that a failure continues.

use crate::authenticator::{AccessReviewed, KeysSettled, ReviewSettled};
use crate::authn::keys::Settled;
use crate::authz::access::AccessAnswer;
use crate::denial::{Denial, Reason};
use crate::time::UnixTime;
use log::Level;
use std::time::Duration;

/// The last line of each topic, and when it was logged. There are three topics for each issuer at most.
#[derive(Debug, Default)]
pub(super) struct HealthLog {
    last: Vec<(Topic, Logged)>,
    /// When a call first found no cluster.
    first: Option<UnixTime>,
}

/// A line, and when it was logged.
type Logged = (String, UnixTime);

/// What a line is about; issuers as the configuration numbers them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Topic {
    Keys(usize),
    Reviews(usize),
    /// By the issuer's name.
    Access(String),
}

/// A line for the log.
type Line = (Level, String);

// === impl HealthLog ===

impl HealthLog {
    /// A fetch of keys ended.
    pub(super) fn keys(&mut self, settled: &KeysSettled, now: UnixTime) -> Option<Line> {
        let name = &settled.name;
        let line = match &settled.outcome {
            Settled::Continues => return None,
            Settled::Renewed { keys, skipped, remarks } => {
                let plural = if *keys == 1 { "key" } else { "keys" };
                let loaded = format!("loaded {keys} {plural}, skipped {skipped} unsupported");
                let colon = if remarks.is_empty() { "" } else { ": " };
                let remarks = shortened(remarks);
                (Level::Info, format!("issuer {name:?}: {loaded}{colon}{remarks}"))
            }
            // Envoy has clusters only when they are warm, and fetches begin before that.
            Settled::Failed(failure)
                if failure.is_without_cluster()
                    && now.since(*self.first.get_or_insert(now)) < WARM_UP =>
            {
                (Level::Info, format!("issuer {name:?}: waiting for the cluster"))
            }
            Settled::Failed(failure) => {
                let failure = shortened(&failure.to_string());
                (Level::Warn, format!("issuer {name:?}: cannot fetch keys: {failure}"))
            }
        };
        self.on_change(Topic::Keys(settled.issuer), line, now)
    }

    /// A review ended. Only whether the API server could be asked is logged. There are many reviews: an API server that
    /// answers now and again must not fill the log.
    pub(super) fn review(&mut self, settled: &ReviewSettled, now: UnixTime) -> Option<Line> {
        let unavailable = settled.reviewed.outcome().err();
        let topic = Topic::Reviews(settled.issuer);
        self.reviewed(topic, ("TokenReview", &settled.name), unavailable, now)
    }

    /// The same for a review of an access.
    pub(super) fn access(&mut self, reviewed: &AccessReviewed, now: UnixTime) -> Option<Line> {
        let unavailable = match reviewed.answer() {
            AccessAnswer::Unavailable(denial) => Some(denial),
            _ => None,
        };
        let topic = Topic::Access(reviewed.issuer().to_owned());
        self.reviewed(topic, ("SubjectAccessReview", reviewed.issuer()), unavailable, now)
    }

    fn reviewed(
        &mut self,
        topic: Topic,
        (kind, issuer): (&str, &str),
        denial: Option<&Denial>,
        now: UnixTime,
    ) -> Option<Line> {
        let just_logged = |(_, at): &Logged| *at <= now && now.since(*at) < CHANGE_INTERVAL;
        if self.last(&topic).is_some_and(just_logged) {
            return None;
        }
        let is_outage = |denial: &&Denial| {
            let reason = denial.reason();
            matches!(reason, Reason::ReviewUnavailable | Reason::AuthorizationUnavailable)
        };
        let line = match denial.filter(is_outage) {
            None => (Level::Info, format!("issuer {issuer:?}: {kind} available")),
            Some(denial) => {
                let why = shortened(denial.detail());
                (Level::Warn, format!("issuer {issuer:?}: {kind} unavailable: {why}"))
            }
        };
        self.on_change(topic, line, now)
    }

    fn on_change(&mut self, topic: Topic, (level, line): Line, now: UnixTime) -> Option<Line> {
        let repeats = level == Level::Warn;
        let is_known = self.last(&topic).is_some_and(|(logged, at)| {
            *logged == line && !(repeats && now.since(*at) >= REPEAT_INTERVAL)
        });
        if is_known {
            return None;
        }
        self.last.retain(|(known, _)| *known != topic);
        self.last.push((topic, (line.clone(), now)));
        Some((level, line))
    }

    fn last(&self, topic: &Topic) -> Option<&Logged> {
        self.last.iter().find(|(known, _)| known == topic).map(|(_, logged)| logged)
    }
}

/// Parts of the text come from a server, and may be long.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

const MAX_CHARS: usize = 500;

/// How often a failure that continues is logged again.
const REPEAT_INTERVAL: Duration = Duration::from_secs(60);

/// How long a cluster may be missing before that is a failure.
const WARM_UP: Duration = Duration::from_secs(5);

/// Changes of one issuer's reviews are logged at most this often.
const CHANGE_INTERVAL: Duration = Duration::from_secs(1);
