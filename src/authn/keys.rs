//! Signing keys of issuers: parsing, fetching and caching.

mod cache;
pub mod discovery;
mod fetch;
mod jwk;
mod key_set;
mod pem;
mod refetch_limiter;
mod refresh_schedule;
mod retry;

pub use cache::{Cause, KeyCache, Lookup, Settled};
pub use fetch::{FetchFailure, FetchPlan};
pub use jwk::Jwk;
#[cfg(all(feature = "cli", not(target_arch = "wasm32")))]
pub(crate) use key_set::MAX_KEYS;
pub use key_set::{KeySet, KeySetError, SkippedKey};
pub use pem::from_pem;
pub use refresh_schedule::RefreshSchedule;
