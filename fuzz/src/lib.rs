//! Shared by the fuzz targets: cores with the recorded key, and the properties that must hold for any input.
//!
//! Each target fuzzes one input of the core, and panics if the result violates a property. No
//! target except `signed_claims` has a signing key, so only recorded tokens may pass.

pub mod genuine;
pub mod json;
pub mod map;
pub mod tamper;
pub mod world;
