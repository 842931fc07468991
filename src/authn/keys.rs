//! With what must a token be signed? Key sets, from a JWKS or PEM, and where they come from.

mod algorithm;
mod cache;
pub mod discovery;
mod fetch;
mod jwk;
mod key_set;
mod pace;
mod pem;
mod public_key;
mod ration;

pub use algorithm::{Algorithm, Family};
pub use cache::{Cause, KeyCache, Lookup, Settled};
pub use fetch::{FetchFailure, FetchPlan};
pub use jwk::Jwk;
pub use key_set::{KeySet, KeySetError};
pub use pace::Pace;
pub use pem::from_pem;
pub use public_key::{Curve, PublicKey, Unfit};
