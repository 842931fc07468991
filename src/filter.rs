//! ENVOY SHELL, wasm32 only: proxy-wasm contexts around the pure core. Nothing is decided here.
//!
//! [`exports`] is what Envoy calls, [`contexts`] whom that is about. [`root`] is the plugin: configuration, ticks, and the
//! waking of requests that waited; [`calls`] sends its callouts. [`http`] is one request, [`state`] what all of a plugin's
//! share. [`connection`] reads what the core asks of a connection, [`apply`] carries a verdict out, [`stats`] tells figures
//! and [`news`] what changes. [`host`] is the only file that calls the host.
//!
//! There is no SDK between the host and this: its dispatcher panics where the host says what it does not expect, and
//! looks every callback up in tables that a request pays for (docs/benchmark.md).

mod apply;
mod calls;
mod connection;
mod contexts;
mod exports;
mod host;
mod http;
mod news;
mod root;
mod state;
mod stats;
