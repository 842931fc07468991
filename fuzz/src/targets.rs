//! The targets. Each fuzzes one input of the core.

pub mod configurations;
pub mod discovery;
pub mod key_sets;
pub mod requests;
pub mod signed_claims;
pub mod tampering;
pub mod token_reviews;
pub mod tokens;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its module, and of its program in fuzz_targets.
    pub name: &'static str,
    /// Panics if the property does not hold for this input.
    pub check: fn(&[u8]),
    /// Genuine inputs to begin with, made from the recordings in tests/testdata, so that nothing recorded is kept twice.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    configurations::TARGET,
    discovery::TARGET,
    key_sets::TARGET,
    requests::TARGET,
    signed_claims::TARGET,
    tampering::TARGET,
    token_reviews::TARGET,
    tokens::TARGET,
];
