//! WHO IS CALLING? From the bytes of a header to a [`ServiceAccount`] that has been proven.
//!
//! In flow order: [`bearer`] finds the token, [`jwt`] takes it apart ([`header`], [`claims`]),
//! [`issuer`] and [`keys`] say with what it must be signed, [`signature`] says whether it is,
//! [`verify`] judges its claims, [`service_account`] names the caller. [`embedded`] finds tokens that must not go on.

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
pub mod token_review;
pub mod verify;

pub(crate) use json::check_members;
pub use proof::Proof;
pub use service_account::ServiceAccount;
