//! One request: its headers go to the core, and nothing of it goes on before a verdict.

use super::apply::{Applied, apply};
use super::host;
use super::root::{SharedState, clock};
use crate::exchange::{Exchange, Input, Step};
use crate::verdict::Reason;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::cell::Cell;
use std::rc::Rc;

/// The proxy-wasm context of one request.
pub(super) struct Http {
    id: u32,
    shared: Rc<SharedState>,
    /// Set by whoever lets the request go on; shared with the root context, which does it for those
    /// that waited.
    passed: Rc<Cell<bool>>,
}

// === impl Http ===

impl Http {
    pub(super) fn new(id: u32, shared: Rc<SharedState>) -> Self {
        Self { id, shared, passed: Rc::new(Cell::new(false)) }
    }

    fn judge(&self) -> Applied {
        let (Ok(map), Some(now)) = (host::request_headers(), clock()) else {
            return self.shared.refuse(Reason::Internal.because("no headers or no clock"));
        };
        let mut exchange = Exchange::new(self.id, now);
        match self.shared.step(&mut exchange, Input::Headers(&map), now) {
            None => self.shared.refuse(Reason::Internal.because("not configured")),
            Some(Step::Finish(finished)) => apply(&finished, self.shared.realm()),
            Some(Step::Hold) => {
                self.shared.hold(self.id, exchange, Rc::clone(&self.passed));
                Applied::Refused
            }
        }
    }

    /// The body and the trailers go where the headers go. With `allow_on_headers_stop_iteration` Envoy
    /// asks about them while the headers wait, and a Continue would send the request on unjudged.
    fn follow(&self) -> Action {
        if self.passed.get() { Action::Continue } else { Action::Pause }
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        self.passed.set(self.judge() == Applied::Pass);
        self.follow()
    }

    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.follow()
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.follow()
    }
}

impl Context for Http {
    /// The request is over, perhaps because its caller hung up while it waited.
    fn on_done(&mut self) -> bool {
        self.shared.forget(self.id);
        true
    }
}
