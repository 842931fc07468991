//! ENVOY SHELL, wasm32 only: proxy-wasm contexts around the pure core. Nothing is decided here.
//!
//! [`root`] is the plugin: configuration, ticks, and the waking of requests that waited; [`calls`] sends
//! its callouts. [`http`] is one request, [`state`] what both share. [`connection`] reads what the core asks of a
//! connection, [`apply`] carries a verdict out, [`stats`] tells figures and
//! [`news`] what changes. [`host`] is the only file that calls the host.

mod apply;
mod calls;
mod connection;
mod host;
mod http;
mod news;
mod root;
mod state;
mod stats;

use proxy_wasm::types::LogLevel;

// The SDK's macro expands to an unsafe item; nothing else here may be unsafe but `host`.
#[allow(unsafe_code)]
mod entry {
    proxy_wasm::main! {{
        // The SDK logs each callback at trace level, through a call that panics when it fails.
        proxy_wasm::set_log_level(super::LogLevel::Error);
        proxy_wasm::set_root_context(|id| Box::new(super::root::Root::new(id)));
    }}
}
