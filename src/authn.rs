//! Authentication: from the bytes of a header to an authenticated [`ServiceAccount`].
//!
//! In the order of use: [`bearer`] finds the token, [`jwt`] parses it ([`header`], [`claims`]), [`issuer`] and [`keys`] hold
//! the keys, [`signature`] verifies it, [`verify`] checks its claims, and [`service_account`] identifies the caller.
//! [`embedded`] finds tokens that must not be forwarded. [`user_info`] tells the API server whose access it reviews.

mod access_plan;
pub mod bearer;
pub mod claims;
pub mod embedded;
pub mod header;
pub mod issuer;
mod json;
pub mod jwt;
pub mod keys;
pub mod peer;
mod proof;
pub mod service_account;
pub mod signature;
pub mod subject;
pub mod token_review;
pub mod trace;
pub mod user_info;
pub mod verify;

pub use access_plan::AccessPlan;
pub(crate) use json::check_members;
pub use proof::Proof;
pub use service_account::ServiceAccount;
