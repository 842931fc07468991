//! The test driver of `sa-authn`: sends requests through real Envoys.
//!
//! ```text
//!                    ┌──────────────────── Envoy ────────────────────┐
//!  client::Request ─►│ listener ─► sa_authn.wasm ─► router           │─► upstream::Upstream (echoes)
//!                    │                  │ callouts                   │
//!                    │                  ▼                            │
//!                    │             cluster "kube-apiserver", with    │
//!                    │             the token of a ProjectedVolume    │
//!                    └──────────────────┬────────────────────────────┘
//!                                       ▼
//!  token::Token ◄─ mint ─ api_server::ApiServer (own CA, keys, objects, faults, counters)
//! ```
//!
//! Everything listens on 127.0.0.1 with a port of its own, and stops when it is dropped, so tests
//! run side by side.

pub mod api_server;
pub mod apps;
pub mod bench;
pub mod client;
pub mod command;
#[cfg(feature = "full")]
pub mod conformance;
#[cfg_attr(
    not(feature = "full"),
    expect(dead_code, reason = "the conformance tables use the rest")
)]
mod der;
pub mod envoy;
mod headers;
pub mod interrupt;
pub mod keys;
pub mod load;
mod lock;
pub mod mtls;
pub mod poll;
pub mod projected;
pub mod prometheus;
#[cfg(feature = "full")]
pub mod scenarios;
mod serve;
pub mod token;
pub mod upstream;
pub mod vectors;

pub use api_server::{ApiServer, ApiServerOptions, Endpoint, Fault, Rotation};
pub use client::{Request, Response};
pub use envoy::{CallerSetup, Envoy, EnvoySetup};
pub use headers::Pairs;
pub use keys::{KeyKind, SigningKey, jwks};
pub use mtls::{Identity, WorkloadCa};
pub use projected::ProjectedVolume;
pub use token::{Token, unix_now};
pub use upstream::Upstream;
