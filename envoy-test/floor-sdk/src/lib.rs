//! A minimal filter with the SDK: reads the headers, sets identity headers, removes the token.
//!
//! It makes no decisions. [`floor`](../floor) makes the same host calls with nothing around them; what this costs
//! beyond is the SDK's, which exports every callback and keeps a map of contexts. The feature `clock` reads the clock too.
#![cfg(target_arch = "wasm32")]

use std::hint::black_box;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

proxy_wasm::main! {{
    proxy_wasm::set_http_context(|_, _| Box::new(Floor));
}}

struct Floor;

impl Context for Floor {}

impl HttpContext for Floor {
    fn on_http_request_headers(&mut self, _count: usize, _end: bool) -> Action {
        black_box(self.get_http_request_headers_bytes());
        #[cfg(feature = "clock")]
        black_box(self.get_current_time());
        self.set_http_request_header("x-sa-namespace", Some("api"));
        self.set_http_request_header("x-sa-name", Some("api"));
        self.set_http_request_header("authorization", None);
        Action::Continue
    }
}
