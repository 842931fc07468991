//! One request: brings its headers, its body and its trailers to the core, and does with them what the core says.

use super::effects::Driver;
use super::{connection, host};
use crate::core::Event;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use std::rc::Rc;

/// The context of one request.
pub(super) struct Request {
    id: u32,
    driver: Rc<Driver>,
}

// === impl Request ===

impl Request {
    pub(super) fn new(id: u32, driver: Rc<Driver>) -> Self {
        Self { id, driver }
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let connection = connection::read(self.driver.facts_to_read());
        let headers = host::request_headers().ok();
        let headers = headers.as_deref();
        let event = Event::RequestHeaders { id: self.id, headers, connection, end_of_stream };
        self.driver.pass_for(self.id, event)
    }

    /// With `allow_on_headers_stop_iteration` Envoy asks about the body while the headers are held, and a Continue would
    /// send the request on without a verdict.
    fn on_http_request_body(&mut self, _: usize, _: bool) -> Action {
        self.driver.pass_untimed(self.id, Event::RequestBody(self.id))
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let trailers = host::request_trailers().ok();
        self.driver.pass_untimed(self.id, Event::RequestTrailers(self.id, trailers.as_deref()))
    }
}

/// The request is over, possibly because its caller hung up.
impl Drop for Request {
    fn drop(&mut self) {
        self.driver.pass_untimed(self.id, Event::RequestEnded(self.id));
    }
}
