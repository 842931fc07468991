//! sa-authn authenticates service-to-service requests by Kubernetes ServiceAccount tokens, inside Envoy.
//!
//! This is the map; [`exchange`] is the story of one request, and the file to read first.
//!
//! ```text
//!   the host's header map            connection: what rules and issuers ask of it
//!        │  headers                      │
//!        ▼  what of it we look at        ▼
//!   exchange ───────────── one request: headers in, verdict out
//!        │
//!        ├─ authn          WHO IS CALLING?
//!        │    bearer → jwt (header, claims) → issuer → keys → signature → verify → service_account → peer
//!        │                                               ▲
//!        │  authenticator  what outlives a request: issuers and their keys, tokens that were proven before,
//!        │                 the API server's reviews of them; callouts for both
//!        │                 waiting: the requests that wait for keys or a review
//!        │
//!        ├─ authz          MAY THEY PASS?
//!        │    host, path → index of rules → policy → Permit
//!        │
//!        ├─ identity       what the upstream is told
//!        ▼
//!   verdict                Allow(Permit, HeaderEdits) | Deny(Denial) | Shadow(Shadowed, HeaderEdits)
//!        │
//!        └─ decision_log, metrics   what the operator is told
//! ```
//!
//! The core is pure: headers, key sets, replies and the time go in; verdicts, callouts and deadlines
//! come out. It knows no clock and no host. Two shells drive it: `filter` inside Envoy (wasm32 only), and
//! the command line (`main.rs` and `cli`, native only), beside the tests.
//!
//! Nothing passes without proof: [`Verdict::Allow`] needs a [`authz::Permit`], which only
//! [`authz::Policy`] makes, from a [`authn::ServiceAccount`], which needs an [`authn::Proof`], which only
//! verification and an accepted TokenReview give.
//!
//! [`Verdict::Allow`]: verdict::Verdict::Allow

pub mod headers;

pub mod exchange;

pub mod authn;
pub mod authz;
pub mod identity;
pub mod verdict;

pub mod authenticator;
pub mod callout;
pub mod config;
pub mod connection;
pub mod decision_log;
pub mod metrics;
pub mod printable;
mod table;
pub mod time;
pub mod waiting;

#[cfg(target_arch = "wasm32")]
mod filter;

/// What of the shell needs no host, for its tests.
#[cfg(all(test, not(target_arch = "wasm32")))]
#[path = "filter/host/handed.rs"]
mod handed;
