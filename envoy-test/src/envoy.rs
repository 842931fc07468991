//! A setup comes in; a running Envoy, or the log of one that refused its configuration, goes out.
//!
//! `setup` is what a test says, `bootstrap` makes Envoy's configuration of it (from `envoy.yaml`, the
//! example that users read), `process` runs it, and `observe` is what can be seen of it from outside.

pub mod binary;
mod bootstrap;
mod credential;
mod observe;
mod process;
mod setup;

pub use binary::envoy_binary;
pub use process::Envoy;
pub use setup::EnvoySetup;
