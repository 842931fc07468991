//! Faults of an endpoint, applied to its responses.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::Frame;

use super::answer::Answer;

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// A fault of an endpoint.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers with this status, and a Status for a body.
    Status(u16),
    /// Answers with this status, and `Retry-After` in seconds.
    RetryAfter(u16, u64),
    /// Takes the request and never answers.
    Stall,
    /// Accepts the request and answers it after the fault is cleared.
    UntilCleared,
    /// Sends the headers and half of the body, then nothing more.
    StallMidBody,
    /// Answers rightly, but so much later.
    Slow(Duration),
    /// Answers 200 with these bytes for a body.
    Body(Vec<u8>),
    /// Sends half of the body and cuts the connection.
    Truncate,
    /// Answers 302 with this Location.
    Redirect(String),
    /// Cuts the connection without an answer.
    Close,
}

/// Answers as well as the fault allows.
pub(super) async fn befall(answer: Answer, fault: Option<Fault>) -> io::Result<Response<Body>> {
    match fault {
        // The fault was cleared while the request was waiting.
        None | Some(Fault::UntilCleared) => response(answer),
        Some(Fault::Status(code)) => response(failure(code)),
        Some(Fault::RetryAfter(code, seconds)) => {
            response(failure(code).with_header("retry-after", seconds.to_string()))
        }
        Some(Fault::Stall) => pending().await,
        Some(Fault::StallMidBody) => half(answer, false),
        Some(Fault::Slow(delay)) => {
            tokio::time::sleep(delay).await;
            response(answer)
        }
        Some(Fault::Body(body)) => response(Answer { status: 200, body, ..answer }),
        Some(Fault::Truncate) => half(answer, true),
        Some(Fault::Redirect(to)) => response(failure(302).with_header("location", to)),
        Some(Fault::Close) => Err(io::Error::other("the test asked for a cut connection")),
    }
}

// === private ===

fn failure(code: u16) -> Answer {
    Answer::failure(code, "InternalError", "the test asked for this", None)
}

fn response(answer: Answer) -> io::Result<Response<Body>> {
    let body = Full::new(Bytes::from(answer.body.clone())).map_err(|never| match never {}).boxed();
    build(&answer, body)
}

/// Announces the whole body, and sends the first half of it.
fn half(answer: Answer, then_cut: bool) -> io::Result<Response<Body>> {
    let announced = answer.body.len().to_string();
    let start = Bytes::copy_from_slice(&answer.body[..answer.body.len() / 2]);
    let body = HalfBody { start: Some(start), flushed: false, then_cut };
    build(&answer.with_header("content-length", announced), body.boxed())
}

fn build(answer: &Answer, body: Body) -> io::Result<Response<Body>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    response.body(body).map_err(io::Error::other)
}

/// A body that starts well and then fails, or never ends.
struct HalfBody {
    start: Option<Bytes>,
    flushed: bool,
    then_cut: bool,
}

impl hyper::body::Body for HalfBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(start) = self.start.take() {
            return Poll::Ready(Some(Ok(Frame::data(start))));
        }
        if !self.then_cut {
            return Poll::Pending;
        }
        // One turn of waiting lets the first half out before the error throws it away.
        if !std::mem::replace(&mut self.flushed, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::Error::other("the test asked for half a body"))))
    }
}
