//! The real exchange, with a recorded answer of the API server where it asks.

use sa_authn::authenticator::{Authenticator, Settlement};
use sa_authn::authn::signature::Verifier;
use sa_authn::callout::Reply;
use sa_authn::config::Config;
use sa_authn::connection::Connection;
use sa_authn::exchange::{Exchange, Finished, Input, Step};
use sa_authn::time::UnixTime;
use sa_authn::verdict::{Reason, Verdict};

/// What came of it.
pub struct Judged {
    /// `None` when the request waits for what is not at hand.
    pub finished: Option<Finished>,
    /// What is not at hand, where the verdict hangs on it.
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
    let mut authenticator = Authenticator::new(config, Verifier::default(), 0);
    let exchange = || Exchange::new(1, now).over(connection.clone());
    let mut step = exchange().step(Input::Headers(map), &mut authenticator, now);
    let asked = authenticator.next_review();
    if let (Some(call), Some(review)) = (&asked, review) {
        let body = Some(review.to_vec());
        let reply = Reply::Response { status: 201, cache_control: None, body };
        let settled = authenticator.settle(call.id, reply, now);
        if let Some(Settlement::Review(settled)) = settled {
            step =
                exchange().step(Input::Reviewed(map, &settled.reviewed), &mut authenticator, now);
        }
    }
    let unanswered = asked.is_some() && review.is_none();
    let finished = match step {
        Step::Hold => None,
        Step::Finish(finished) => Some(finished),
    };
    let lacks = lack(finished.as_ref(), unanswered);
    Judged { finished, lacks, reviewed: asked.is_some() && review.is_some() }
}

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
