//! What the fuzz targets share: the recorded world, and what must hold of it whatever comes in.
//!
//! Each target feeds one entrance of the core, and panics where what comes out breaks a promise. No
//! target has a key of its own but `signed_claims`: what passes was recorded, or is a hole.

pub mod genuine;
pub mod json;
pub mod map;
pub mod tamper;
pub mod world;
