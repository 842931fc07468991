//! A measured filter with its tokens, and the expected request at the upstream.

use std::path::{Path, PathBuf};

use envoy_test::KeyKind;
use serde_json::Value;

/// One listener of the measured Envoy.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its name in Envoy and in summary.json.
    pub key: String,
    /// Its name in tables.
    pub label: String,
    /// `None`: the request goes straight to the router.
    pub filter: Option<Filter>,
    /// What its callers send.
    pub tokens: Tokens,
    /// What they ask for.
    pub path: String,
    /// Whether the upstream must be told who called, and must not see the token.
    pub edits: bool,
    /// Takes milliseconds a request, so that fewer must do.
    pub slow: bool,
}

/// An HTTP filter of Envoy's.
#[derive(Clone, Debug)]
pub enum Filter {
    /// `envoy.filters.http.jwt_authn` with this configuration.
    JwtAuthn(Value),
    /// A Wasm module.
    Wasm(Wasm),
}

/// A Wasm module and its configuration.
#[derive(Clone, Debug)]
pub struct Wasm {
    /// The module.
    pub module: PathBuf,
    /// What it is configured with.
    pub config: String,
    /// The functions of the ABI that Envoy lets it have; empty for all.
    pub capabilities: Vec<&'static str>,
}

/// The tokens of one contender's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// The same one each time.
    Same(KeyKind),
    /// A new one each time.
    Fresh(KeyKind),
    /// So many, one after another and over again.
    Ring(KeyKind, usize),
}

// === impl Contender ===

impl Contender {
    /// Without a filter: what all others are compared with, and the first of each contest.
    pub fn no_filter() -> Self {
        Self {
            key: NO_FILTER.to_owned(),
            label: "no filter".to_owned(),
            filter: None,
            tokens: Tokens::Same(KeyKind::Rsa2048),
            path: PATH.to_owned(),
            edits: false,
            slow: false,
        }
    }

    /// With a filter that takes the token and tells who called.
    pub fn new(key: &str, label: &str, filter: Filter) -> Self {
        let (key, label) = (key.to_owned(), label.to_owned());
        Self { key, label, filter: Some(filter), edits: true, ..Self::no_filter() }
    }

    /// With other tokens than one of RS256.
    pub fn tokens(self, tokens: Tokens) -> Self {
        Self { tokens, ..self }
    }

    /// Asks for another path.
    pub fn path(self, path: String) -> Self {
        Self { path, ..self }
    }

    /// Changes nothing, or not all, of what others change.
    pub fn without_edits(self) -> Self {
        Self { edits: false, ..self }
    }

    /// Gets a tenth of the requests.
    pub fn slow(self) -> Self {
        Self { slow: true, ..self }
    }
}

// === impl Filter ===

impl Filter {
    /// A module with its configuration.
    pub fn wasm(module: &Path, config: impl Into<String>) -> Self {
        Self::Wasm(Wasm {
            module: module.to_owned(),
            config: config.into(),
            capabilities: Vec::new(),
        })
    }

    /// A module that is kept from every other function of the ABI.
    pub fn wasm_with(
        module: &Path,
        config: impl Into<String>,
        capabilities: Vec<&'static str>,
    ) -> Self {
        let (module, config) = (module.to_owned(), config.into());
        Self::Wasm(Wasm { module, config, capabilities })
    }
}

/// The key of the contender without a filter.
pub const NO_FILTER: &str = "no_filter";

/// What is asked for where no rule is about paths.
pub const PATH: &str = "/secrets/1";
