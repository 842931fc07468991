//! The filter's core on one request, with a recorded answer of the API server where it asks.

use super::record::{Record, Recorder};
use sa_authn::callout::Reply;
use sa_authn::config::Config;
use sa_authn::connection::Connection;
use sa_authn::core::{Environment, Event, NativeDriver};
use sa_authn::denial::Reason;
use sa_authn::exchange::Finished;
use sa_authn::time::UnixTime;
use sa_authn::verdict::Verdict;

/// The outcome of the request.
pub struct Judged {
    /// The steps that led to it.
    pub record: Record,
    /// `None` if the request is paused because something is missing.
    pub finished: Option<Finished>,
    /// What is missing, if the verdict depends on it.
    pub lacks: Option<Lack>,
    /// Whether the API server was asked for a review.
    pub reviewed: bool,
}

/// What only a running filter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The issuer's keys.
    Keys,
    /// The API server's answer.
    Review,
    /// Envoy's own crypto.
    HostCrypto,
}

/// Judges a request.
pub fn judge(
    config: Config,
    map: &[u8],
    connection: &Connection,
    now: UnixTime,
    review: Option<&[u8]>,
) -> Judged {
    let mut driver = NativeDriver::new(config, Environment::default());
    let recorder = Recorder::default();
    let mut finished = driver.request_traced(REQUEST, map, connection, now, &recorder);
    let review_call = driver.take_calls(now).into_iter().find(|call| call.body.is_some());
    let asked = review_call.is_some();
    if let (Some(call), Some(review)) = (review_call, review) {
        let body = Some(review.to_vec());
        let reply = Reply::Response { status: 201, cache_control: None, retry_after: None, body };
        driver.handle_traced(Event::CallEnded(call.id, reply), now, &recorder);
        finished = driver.take_finished(REQUEST).or(finished);
    }
    let unanswered = asked && review.is_none();
    let lacks = lack(finished.as_ref(), unanswered);
    let reviewed = asked && review.is_some();
    Judged { record: recorder.finish(), finished, lacks, reviewed }
}

/// The only request.
const REQUEST: u32 = 1;

fn lack(finished: Option<&Finished>, unanswered: bool) -> Option<Lack> {
    let waits_for = if unanswered { Lack::Review } else { Lack::Keys };
    let Some(finished) = finished else { return Some(waits_for) };
    if matches!(finished.verdict, Verdict::Allow(..)) {
        return None;
    }
    let denial = finished.caller.as_ref().err()?;
    match denial.reason() {
        Reason::KeysUnavailable => Some(Lack::Keys),
        Reason::ReviewUnavailable if unanswered => Some(Lack::Review),
        Reason::UnsupportedAlgorithm if denial.detail().contains("verify_signature") => {
            Some(Lack::HostCrypto)
        }
        _ => None,
    }
}
