//! The shell inside Envoy, wasm32 only: proxy-wasm contexts around [`crate::core`]. Nothing is decided here.
//!
//! [`plugin`] is the root context of one configuration, and [`request`] the context of one request; both bring events.
//! [`effects`] performs what the core returns. [`host`] has the calls that the SDK cannot make, [`connection`] reads what
//! the core asks of a connection, [`stats`] keeps the numbers of Envoy's stats, and [`logger`] writes to Envoy's log.

mod connection;
mod effects;
mod host;
mod logger;
mod plugin;
mod request;
mod stats;

mod start {
    #![allow(unsafe_code, reason = "the macro exports a function under a fixed name")]

    proxy_wasm::main! {{
        super::logger::install();
        proxy_wasm::set_root_context(|id| Box::new(super::plugin::Plugin::new(id)));
    }}
}
