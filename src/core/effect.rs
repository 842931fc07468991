//! What the filter does: all that [`super::Core`] tells the shell.

use crate::callout::Callout;
use crate::exchange::Finished;
use crate::metrics::Change;
use crate::paused::RequestId;
use crate::verdict::Answer;
use std::time::Duration;

/// Something that the shell must do.
#[derive(Debug)]
pub enum Effect {
    /// Hold a request, with its body and trailers, until [`Self::Finish`].
    Pause(RequestId),
    /// Read the headers of a paused request, and bring [`super::Event::HeadersRead`].
    ReadHeaders(RequestId),
    /// Carry out the verdict on a request.
    Finish {
        /// The request.
        id: RequestId,
        /// The verdict, and what led to it.
        finished: Box<Finished>,
        /// The response to a denied request.
        answer: Option<Box<Answer>>,
    },
    /// The next part of a request's body goes on (`true`), or is held with its headers.
    Body(RequestId, bool),
    /// Remove these trailers of a request; then they go on, or are held with its headers.
    Trailers {
        /// The request.
        id: RequestId,
        /// Names to remove, as they came.
        remove: Vec<Vec<u8>>,
        /// Whether the trailers go on.
        proceed: bool,
    },
    /// Send a request to a cluster, and bring [`super::Event::CallEnded`], at once if it cannot be sent.
    Call(Box<Callout>),
    /// Bring [`super::Event::Tick`] after this time, and again each time it has passed. Replaces the time given before.
    WakeIn(Duration),
    /// Bring no more ticks.
    StopTicking,
    /// Write a line to the log.
    Log(log::Level, String),
    /// Change one of Envoy's stats.
    Metric(Change),
    /// Run with the configuration that was loaded.
    AcceptConfiguration,
    /// Refuse the configuration that was loaded.
    RejectConfiguration,
}
