//! The properties of the core that must hold for any input.
//!
//! `cargo xtask fuzz` searches for inputs that violate one, with libFuzzer and coverage. The tests of this package change
//! genuine inputs, 10,000 times for each target, and need neither. No target except `signed_claims` has a signing key, so only
//! recorded tokens may pass.

pub mod genuine;
pub mod json;
pub mod map;
pub mod tamper;
pub mod targets;
pub mod world;
