//! One request: its headers go to the core, and nothing of it goes on before a verdict.

use super::apply::{Applied, clean_trailers, send};
use super::contexts::{self, Progress};
use super::host;
use super::state::{Happened, State, clock};
use crate::exchange::Exchange;
use crate::time::UnixTime;
use crate::verdict::{Answer, Answers, Reason};
use crate::waiting::RequestId;

/// What Envoy does with what it asks about (`proxy_action_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Continue = 0,
    Pause = 1,
}

/// A request has come.
///
/// `is_all`: neither body nor trailers follow, so that Envoy will ask about nothing else of it.
pub(super) fn judge(id: RequestId, is_all: bool) -> Action {
    let (Some(state), Some(now)) = (contexts::begin(id), clock()) else {
        let denial = Reason::Internal.because("no configuration or no clock");
        send(&Answer::to(&denial, false, &Answers::default()));
        return Action::Pause;
    };
    let connection = super::connection::read(state.settings().connection_facts);
    let exchange = Exchange::new(id, now).over(connection);
    match state.advance(id, exchange, &Happened::Arrived, now) {
        Applied::Stays => Action::Pause,
        Applied::Waits(exchange) => {
            contexts::put(id, state, Progress::Waits(exchange));
            Action::Pause
        }
        Applied::Passes => {
            if !is_all {
                contexts::put(id, state, Progress::Passed);
            }
            Action::Continue
        }
    }
}

/// The body goes where the headers go. With `allow_on_headers_stop_iteration` Envoy asks about it
/// while the headers wait, and a Continue would send the request on unjudged.
pub(super) fn follow(id: RequestId) -> Action {
    if contexts::has_passed(id) { Action::Continue } else { Action::Pause }
}

/// So do the trailers, when nothing stands in them any more that only we may say.
pub(super) fn follow_with_trailers(id: RequestId) -> Action {
    let cleaned = contexts::state_of(id).map(|state| clean_trailers(state.settings()));
    // What cannot be cleaned goes no further.
    if cleaned == Some(Ok(())) { follow(id) } else { Action::Pause }
}

/// Wakes a request that waits. One that is gone is forgotten.
pub(super) fn wake(state: &State, id: RequestId, happened: &Happened, now: UnixTime) {
    let exchange = contexts::take_up(id).filter(|_| host::set_effective_context(id).is_ok());
    let Some(exchange) = exchange else {
        // Whoever stays in the queue without being held would be overdue for ever.
        state.forget(id);
        return;
    };
    match state.advance(id, exchange, happened, now) {
        // Its end may have come while the answer was sent.
        Applied::Stays => {}
        Applied::Waits(exchange) => contexts::update(id, Progress::Waits(exchange)),
        Applied::Passes => {
            contexts::update(id, Progress::Passed);
            let _ = host::resume_request();
        }
    }
}
