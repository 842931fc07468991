//! An issuer's keys over time: fetch, refresh, rotation, outage, and paused requests.

mod answers;
mod elsewhere;
mod genuine;
mod metrics;
mod no_answer;
mod outage;
mod refresh;
mod refusals;
mod skipped;
mod take_over;
mod two_issuers;
mod unknown_kid;
mod waiting;

use crate::support::{self, Core, Outcome, answered, get, good, seconds, with};
use envoy_test::{KeyKind, SigningKey, jwks};
use sa_authn::authn::keys::Settled;
use sa_authn::callout::Reply;
use sa_authn::denial::{Denial, Reason};
use sa_authn::time::UnixTime;
use serde_json::{Value, json};
use std::time::Duration;

/// The start time of every test.
const START: u64 = 1_800_000_000;

const HELD: Outcome = Outcome::Held;
const UNKNOWN_KEY: Outcome = Outcome::Refused(Reason::UnknownKey);
const UNAVAILABLE: Outcome = Outcome::Refused(Reason::KeysUnavailable);

/// One issuer whose keys are discovered, with these members of `keys`.
fn discovered(keys: Value) -> Value {
    let mut config = support::discovered();
    let own = config["issuers"][0]["keys"].take();
    config["issuers"][0]["keys"] = with(own, keys);
    config
}

/// The core at the start time.
fn core(keys: Value) -> Core {
    Core::at(START, &discovered(keys))
}

fn key() -> SigningKey {
    SigningKey::generate(KeyKind::P256)
}

fn set(keys: &[&SigningKey]) -> String {
    jwks(keys).to_string()
}

/// A token that outlives every test.
fn token(key: &SigningKey) -> String {
    good().issued_at(START).lifetime(10 * 365 * 24 * 3600).sign(key)
}

/// The time `duration` before `time`.
fn before(time: UnixTime, duration: Duration) -> UnixTime {
    let start = UnixTime::from_secs(0);
    start.plus(time.since(start) - duration)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

// === impl Core ===

impl Core {
    /// Answers the discovery call that is due.
    fn publish_document(&mut self) {
        let call = self.call();
        let document = support::discovery_document(envoy_test::token::DEFAULT_ISSUER);
        self.reply(&call, support::ok(document));
    }

    /// Answers the only call that is due with this reply, which must be a failure.
    fn fails(&mut self, reply: Reply) {
        let call = self.call();
        let settled = self.reply(&call, reply).expect("a call in flight");
        assert!(matches!(settled.outcome, Settled::Failed(_)), "{:?}", settled.outcome);
    }

    /// The time until the next deadline.
    fn until_next(&mut self) -> Duration {
        self.next_deadline().expect("a deadline").since(self.now)
    }

    /// Advances the time to the next deadline.
    fn wait_for_next(&mut self) {
        let wait = self.until_next();
        self.wait(wait);
    }

    /// The outcome of a request now, with a token signed by this key.
    fn by(&mut self, key: &SigningKey) -> Outcome {
        self.bearer(&token(key))
    }

    /// A request with a token signed by this key, which must be paused.
    fn held_by(&mut self, key: &SigningKey) -> support::Request {
        let mut request = self.request(&get("/", &token(key)));
        assert_eq!(request.arrives(self), HELD);
        request
    }

    /// Whether a request with a token signed by this key is paused. Its caller hangs up at once.
    fn holds(&mut self, key: &SigningKey) -> bool {
        let mut request = self.request(&get("/", &token(key)));
        let held = request.arrives(self) == HELD;
        self.hangs_up(request.id);
        held
    }

    fn denial_of(&mut self, key: &SigningKey) -> Denial {
        self.denial(&get("/", &token(key)))
    }
}

/// Whether a wait with jitter is between 90 % and 100 % of `full`.
fn is_about(wait: Duration, full: Duration) -> bool {
    full / 10 * 9 <= wait && wait <= full
}

/// An answer of status 200 with a `cache-control`.
fn cached(body: &str, cache_control: &str) -> Reply {
    let (body, cache_control) = (Some(body.into()), Some(cache_control.to_owned()));
    Reply::Response { status: 200, cache_control, retry_after: None, body }
}

/// An answer of the server itself with this status.
fn status(status: u16) -> Reply {
    answered(status, json!({}).to_string())
}

/// An answer with this status and `Retry-After`.
fn retry_after(status: u16, after: &str) -> Reply {
    let retry_after = Some(after.to_owned());
    Reply::Response { status, cache_control: None, retry_after, body: Some(Vec::new()) }
}

/// Envoy's own response for a server that it cannot reach.
fn of_envoy(status: u16, text: &str) -> Reply {
    answered(status, text)
}
