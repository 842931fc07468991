//! What happens to the filter: all that the shell tells [`super::Core`].

use super::Core;
use crate::callout::{CalloutId, Reply};
use crate::connection::Connection;
use crate::paused::RequestId;

/// Something that happened. Header maps are in the host's form; see [`crate::headers`].
#[derive(Debug)]
pub enum Event<'e> {
    /// The plugin's configuration arrived. Answered by [`super::Effect::AcceptConfiguration`] or
    /// [`super::Effect::RejectConfiguration`].
    ConfigurationLoaded {
        /// As JSON; `None` if the host cannot read it.
        json: Option<&'e [u8]>,
        /// The plugin's `root_id`, which also says what to do if the configuration is invalid; `None` if the host cannot
        /// read it.
        root_id: Option<&'e [u8]>,
    },
    /// This core's configuration replaces the one of another core in the same VM, whose requests finish there.
    ConfigurationReplaces(&'e mut Core),
    /// The configuration is gone, and the last of its requests is over.
    ConfigurationRemoved,
    /// A request's headers arrived.
    RequestHeaders {
        /// The request, unique in the VM.
        id: RequestId,
        /// Its header map; `None` if the host cannot read it.
        headers: Option<&'e [u8]>,
        /// The facts about its connection that [`Core::connection_facts`] asks for.
        connection: Connection,
        /// Neither a body nor trailers follow.
        end_of_stream: bool,
    },
    /// The headers of a paused request, after [`super::Effect::ReadHeaders`]; `None` if the host cannot read them.
    HeadersRead(RequestId, Option<&'e [u8]>),
    /// A part of a request's body arrived.
    RequestBody(RequestId),
    /// A request's trailers arrived; `None` if the host cannot read them.
    RequestTrailers(RequestId, Option<&'e [u8]>),
    /// A request ended, possibly while it was paused because its caller hung up.
    RequestEnded(RequestId),
    /// A callout ended.
    CallEnded(CalloutId, Reply),
    /// The time of [`super::Effect::WakeIn`] has come.
    Tick,
    /// The host did not perform an effect.
    Refused(Refusal),
}

/// An effect that the host did not perform. `status` is proxy-wasm's `proxy_status_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The headers of an allowed request could not be edited. It must not be forwarded: half edited, it could carry a
    /// forged identity header or a token.
    HeaderEdits {
        /// The request.
        id: RequestId,
        /// Whether the caller speaks gRPC.
        grpc: bool,
        /// What the host answered.
        status: u32,
    },
    /// The trailers of a request could not be edited. The request stays where it is.
    TrailerEdits {
        /// What the host answered.
        status: u32,
    },
    /// The filter state of an allowed request could not be set.
    FilterState {
        /// What the host answered.
        status: u32,
    },
    /// The response to a denied request could not be sent. The request stays where it is, and Envoy's timeouts end it.
    Response {
        /// What the host answered.
        status: u32,
    },
}
