//! Authorization: decides by rules whether a request passes, and makes its [`Permit`].
//!
//! In flow order: [`host`], [`path`] and `method` bring the request into one form, an index finds the [`rule`]s
//! that cover it, [`policy`] asks them in order, [`accounts`] says who is meant, and [`access`] what to ask Kubernetes RBAC.

pub mod access;
pub mod accounts;
pub mod host;
mod index;
mod method;
#[cfg(not(target_arch = "wasm32"))]
pub mod mismatch;
pub mod path;
pub mod policy;
pub mod rule;
pub mod trace;
mod unclear;

pub use policy::{Decision, HeaderEdits, Outcome, Permit, Policy, ShadowPermit};
pub use rule::Mode;
