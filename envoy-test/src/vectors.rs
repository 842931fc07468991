//! The table of vectors: tokens that the filter must reject, each with its reason.
//!
//! Each attack has one row. The scenario table sends every row to the core, to `sa-authn explain` and to real Envoys; the demo
//! and the soak take rows by name.

mod claims;
mod encodings;
mod headers;
mod names;

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::keys::SigningKey;
use crate::token::{Token, assemble};

/// A token that must be rejected.
pub struct Vector {
    /// The unique name of the row.
    pub name: String,
    /// The reason of the denial.
    pub reason: &'static str,
    recipe: Recipe,
}

type Recipe = Box<dyn Fn(&Attacker<'_>) -> String + Send + Sync>;

/// What the attacker has.
#[derive(Clone, Copy, Debug)]
pub struct Attacker<'k> {
    /// The issuer's key. Genuine tokens of other accounts are signed with it; the attacker has the public half.
    pub key: &'k SigningKey,
    /// The attacker's key.
    pub own: &'k SigningKey,
    /// Namespace and name of the account that the attacker would like to be.
    pub account: (&'k str, &'k str),
}

/// The rows.
pub fn table() -> &'static [Vector] {
    static TABLE: LazyLock<Vec<Vector>> = LazyLock::new(|| {
        let parts = [headers::rows(), encodings::rows(), claims::rows(), names::rows()];
        parts.into_iter().flatten().collect()
    });
    &TABLE
}

/// The row with this name.
pub fn named(name: &str) -> &'static Vector {
    let found = table().iter().find(|vector| vector.name == name);
    found.unwrap_or_else(|| panic!("no vector {name:?}"))
}

// === impl Vector ===

impl Vector {
    fn new(
        name: impl Into<String>,
        reason: &'static str,
        recipe: impl Fn(&Attacker<'_>) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), reason, recipe: Box::new(recipe) }
    }

    /// The token.
    pub fn token(&self, attacker: &Attacker<'_>) -> String {
        (self.recipe)(attacker)
    }
}

// === impl Attacker ===

impl Attacker<'_> {
    /// A token of the account.
    fn wanted(&self) -> Token {
        let (namespace, name) = self.account;
        Token::for_service_account(namespace, name).pod("api-1")
    }

    /// The claims of a token of the account.
    fn wanted_claims(&self) -> String {
        self.wanted().claims().to_string()
    }

    /// A genuine token of another account.
    fn genuine(&self) -> String {
        Token::for_service_account("web", "web").sign(self.key)
    }

    /// The three parts of a genuine token of another account.
    fn genuine_parts(&self) -> [String; 3] {
        let token = self.genuine();
        let mut parts = token.split('.').map(str::to_owned);
        std::array::from_fn(|_| parts.next().expect("three parts"))
    }

    /// The JOSE header of a genuine token.
    fn header(&self) -> Value {
        json!({ "alg": self.key.alg(), "kid": self.key.kid() })
    }

    /// A header and claims, with a genuine signature.
    fn sign(&self, header: &str, claims: &str) -> String {
        assemble(header, claims, |input| self.key.sign(input))
    }

    /// Claims as text, with a genuine signature.
    fn sign_claims(&self, claims: &str) -> String {
        self.sign(&self.header().to_string(), claims)
    }
}

const MALFORMED: &str = "malformed_token";
const UNSUPPORTED: &str = "unsupported_algorithm";
const BAD_SIGNATURE: &str = "bad_signature";
const UNKNOWN_KEY: &str = "unknown_key";
const UNKNOWN_ISSUER: &str = "unknown_issuer";
const MISSING_CLAIM: &str = "missing_claim";
const WRONG_AUDIENCE: &str = "wrong_audience";
const NO_ACCOUNT: &str = "not_a_service_account";
