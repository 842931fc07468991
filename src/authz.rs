//! MAY THEY PASS? From a proven caller (or none) and a request to a [`Permit`].
//!
//! In flow order: [`path`] brings the request's path into one form, [`rule`] says what a rule
//! covers, [`policy`] finds the first that does and decides.

pub mod path;
pub mod policy;
pub mod rule;

pub use policy::{Permit, Policy};
