//! sa-authn authenticates service-to-service requests by Kubernetes ServiceAccount tokens, inside Envoy.
//!
//! This is the map. One request takes this way, and its story is [`exchange`], the file to read first:
//!
//! ```text
//!   filter                 the shell in Envoy (wasm32 only): proxy-wasm contexts around the core
//!        │  Event          headers, body, trailers, end of a request; reply to a call; tick; configuration
//!        ▼
//!   core ───────────────── the protocol: which requests are paused, which calls are sent, what is logged and counted
//!        │  paused         requests that wait for keys or for a review of the token or of the access
//!        ▼
//!   exchange ───────────── one request: headers in, verdict out
//!        │  headers        what the filter looks at in the host's header map
//!        │
//!        ├─ authenticator  WHO IS CALLING? What outlives a request: issuers and their keys, known tokens, reviews
//!        │    authn: bearer → jwt (header, claims) → issuer → keys → signature → verify → service_account → peer
//!        │
//!        ├─ authz          MAY THEY PASS?
//!        │    host, path, method → index of rules → policy → Permit; access asks Kubernetes RBAC
//!        │
//!        ├─ identity       header values that tell the upstream who called
//!        ▼
//!   verdict                Allow(Permit, HeaderEdits) | Deny(Denial) | Shadow(ShadowPermit, HeaderEdits)
//!        │
//!        ├─ decision_log, metrics   what the operator learns
//!        ▼  Effect         pause, finish with a verdict, send a call, wake, log, count
//!   filter
//! ```
//!
//! A request's way in ten files: `filter/request.rs`, `filter/effects.rs`, `core.rs`, `core/running.rs`, `exchange.rs`,
//! `authenticator/proving.rs`, `authn/verify.rs`, `authz/policy.rs`, `authz/policy/matched_rules.rs`,
//! `authz/policy/permit.rs`. Functions on this way have names of their own.
//!
//! The core is pure: it knows no clock and no host. Each driver brings it [`core::Event`]s with the time, and performs
//! its [`core::Effect`]s: `filter` inside Envoy, [`core::NativeDriver`] for the command line (`main.rs` and `cli`), the
//! tests, the fuzz targets and the benchmarks. A driver can pass a [`trace::Trace`], which learns each step of a request:
//! `explain` prints it.
//!
//! A request passes only with a [`authz::Permit`], which only [`authz::Policy`] makes. Where a rule asks for a caller, it
//! is from an [`authn::ServiceAccount`], which needs an [`authn::Proof`], which only verification and an accepted
//! TokenReview give. Where a rule lets Kubernetes RBAC decide, a permit needs an [`authz::access::AccessGrant`], which only the
//! API server's answer to that question gives.

// From top to bottom: each module uses only modules below it (tests/architecture.rs).
#[cfg(target_arch = "wasm32")]
mod filter;

pub mod core;

pub mod decision_log;
pub mod metrics;

pub mod exchange;

pub mod trace;

pub mod paused;

pub mod authenticator;

pub mod config;

pub mod verdict;

pub mod authz;

pub mod identity;

pub mod authn;

pub mod callout;

pub mod account_name;
pub mod connection;
pub mod denial;
pub mod headers;
pub mod printable;
mod table;
pub mod time;
