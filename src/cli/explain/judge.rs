//! The filter's core on one request, with recorded answers of the API server where it asks.

use super::record::{Record, Recorder};
use sa_authn::authz::access;
use sa_authn::callout::{Callout, Reply};
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
    /// What is missing, if it cannot change the verdict.
    pub assumed: Option<Lack>,
}

/// A request, and when it arrives.
pub struct Request<'r> {
    pub map: &'r [u8],
    pub connection: &'r Connection,
    pub now: UnixTime,
}

/// Recorded answers of the API server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded<'r> {
    /// To a TokenReview.
    pub token: Option<&'r [u8]>,
    /// To a SubjectAccessReview.
    pub access: Option<&'r [u8]>,
}

/// What only a running filter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The issuer's keys.
    Keys,
    /// The API server's answer about the token.
    Review,
    /// The API server's answer about the access.
    Access,
    /// Envoy's own crypto.
    HostCrypto,
}

/// What the API server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// A TokenReview.
    Token,
    /// A SubjectAccessReview.
    Access,
}

/// The API server's response to the body of a question; `None` if it is not known.
pub type Answers<'a> = dyn Fn(Question, &[u8]) -> Option<Vec<u8>> + 'a;

/// Judges a request.
pub fn judge(config: Config, request: &Request<'_>, recorded: Recorded<'_>) -> Judged {
    run(config, request, &|question, _| {
        let answer = match question {
            Question::Token => recorded.token,
            Question::Access => recorded.access,
        };
        answer.map(<[u8]>::to_vec)
    })
}

/// Runs the core.
pub fn run(config: Config, request: &Request<'_>, answer: &Answers<'_>) -> Judged {
    let Request { map, connection, now } = *request;
    let mut driver = NativeDriver::new(config, Environment::default());
    let recorder = Recorder::default();
    let mut finished = driver.request_traced(REQUEST, map, connection, now, &recorder);
    let (mut asks, reviews) = split(driver.take_calls(now));
    let mut unanswered = None;
    let mut reviewed = false;
    if let Some(call) = reviews.first() {
        match reply(call, Question::Token, answer) {
            Some(reply) => {
                driver.handle_traced(Event::CallEnded(call.id, reply), now, &recorder);
                reviewed = true;
            }
            None => unanswered = Some(Lack::Review),
        }
        finished = driver.take_finished(REQUEST).or(finished);
        asks.extend(split(driver.take_calls(now)).0);
    }
    for call in &asks {
        match reply(call, Question::Access, answer) {
            Some(reply) => driver.handle_traced(Event::CallEnded(call.id, reply), now, &recorder),
            None => unanswered = unanswered.or(Some(Lack::Access)),
        }
    }
    finished = driver.take_finished(REQUEST).or(finished);
    let lacks = lack(finished.as_ref(), unanswered);
    Judged { record: recorder.finish(), finished, lacks, reviewed, assumed: None }
}

/// The only request.
const REQUEST: u32 = 1;

/// The reviews of accesses, and those of tokens. Calls for keys are left out.
fn split(calls: Vec<Callout>) -> (Vec<Callout>, Vec<Callout>) {
    let reviews = calls.into_iter().filter(|call| call.body.is_some());
    reviews.partition(|call| call.path.ends_with(access::PATH))
}

fn reply(call: &Callout, question: Question, answer: &Answers<'_>) -> Option<Reply> {
    let body = Some(answer(question, call.body.as_deref()?)?);
    Some(Reply::Response { status: 201, cache_control: None, retry_after: None, body })
}

fn lack(finished: Option<&Finished>, unanswered: Option<Lack>) -> Option<Lack> {
    let Some(finished) = finished else { return Some(unanswered.unwrap_or(Lack::Keys)) };
    let verdict = match &finished.verdict {
        Verdict::Allow(..) => return None,
        Verdict::Deny(denial) => denial,
        Verdict::Shadow(shadowed, _) => shadowed.denial(),
    };
    if verdict.reason() == Reason::AuthorizationUnavailable && unanswered == Some(Lack::Access) {
        return unanswered;
    }
    let denial = finished.caller.as_ref().err()?;
    match denial.reason() {
        Reason::KeysUnavailable => Some(Lack::Keys),
        Reason::ReviewUnavailable if unanswered == Some(Lack::Review) => unanswered,
        Reason::UnsupportedAlgorithm if denial.detail().contains("verify_signature") => {
            Some(Lack::HostCrypto)
        }
        _ => None,
    }
}
