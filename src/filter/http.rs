//! One request: its headers go to the core, and nothing of it goes on before a verdict.

use super::apply::{Applied, clean_trailers, send};
use super::connection;
use super::state::{Happened, State, clock};
use crate::exchange::Exchange;
use crate::verdict::{Answer, Answers, Reason};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::cell::Cell;
use std::rc::Rc;

/// The proxy-wasm context of one request.
pub(super) struct Http {
    id: u32,
    /// `None` without a configuration, which Envoy does not let happen.
    state: Option<Rc<State>>,
    /// Set by whoever lets the request go on; shared with the root context, which does it for those
    /// that waited.
    passed: Rc<Cell<bool>>,
}

// === impl Http ===

impl Http {
    pub(super) fn new(id: u32, state: Option<Rc<State>>) -> Self {
        Self { id, state, passed: Rc::default() }
    }

    fn judge(&self) -> Applied {
        let (Some(state), Some(now)) = (&self.state, clock()) else {
            let denial = Reason::Internal.because("no configuration or no clock");
            return send(&Answer::to(&denial, false, &Answers::default()));
        };
        let connection = connection::read(state.settings().connection_facts);
        let exchange = Exchange::new(self.id, now).over(connection);
        state.advance(self.id, exchange, &Happened::Arrived, Rc::clone(&self.passed), now)
    }

    /// The body and the trailers go where the headers go. With `allow_on_headers_stop_iteration` Envoy
    /// asks about them while the headers wait, and a Continue would send the request on unjudged.
    fn follow(&self) -> Action {
        if self.passed.get() { Action::Continue } else { Action::Pause }
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.judge();
        self.follow()
    }

    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.follow()
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let cleaned = self.state.as_ref().map(|state| clean_trailers(state.settings()));
        // What cannot be cleaned goes no further.
        if cleaned == Some(Ok(())) { self.follow() } else { Action::Pause }
    }
}

impl Context for Http {}

/// The request is over. The module does without the callback that says so before, because every crossing
/// from the host costs.
impl Drop for Http {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            state.forget(self.id);
        }
    }
}
