//! Key sets: parsing of a JWKS (RFC 7517 section 5), and lookup by key ID.

use super::jwk::Jwk;
use crate::authn::signature::{Algorithm, UnsupportedKey};
use crate::table::Table;
use serde_json::Value;
use std::fmt;
use std::rc::Rc;

/// The keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Rc<Jwk>>,
    by_kid: Table<Rc<Jwk>>,
    skipped: Vec<UnsupportedKey>,
    takes_tokens_without_kid: bool,
}

/// Why a document is not a usable key set. Such a document never replaces a cached key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// Not JSON, or not an object with a list `keys`.
    NotAKeySet(String),
    /// More than a hundred keys.
    TooManyKeys(usize),
    /// No key is supported. Contains the reason for each key.
    NoUsableKey(Vec<UnsupportedKey>),
}

// === impl KeySet ===

impl KeySet {
    /// Parses a JWKS. Unsupported keys are skipped and counted; a set without a supported key is an error.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let document: Value = serde_json::from_slice(json)
            .map_err(|error| KeySetError::NotAKeySet(error.to_string()))?;
        Self::from_value(&document)
    }

    /// Reads a JWKS from parsed JSON (`keys.inline`).
    pub fn from_value(document: &Value) -> Result<Self, KeySetError> {
        let members = document.get("keys").and_then(Value::as_array).ok_or_else(|| {
            KeySetError::NotAKeySet("expected an object with a list `keys`".to_owned())
        })?;
        Self::of(members.iter().map(Jwk::parse))
    }

    /// A set of keys without key IDs (`keys.pem`). Each gets the key ID that Kubernetes derives from it, and a token
    /// without a `kid` may be signed by any of them.
    pub fn from_keys(
        keys: impl ExactSizeIterator<Item = Result<Jwk, UnsupportedKey>>,
    ) -> Result<Self, KeySetError> {
        Ok(Self { takes_tokens_without_kid: true, ..Self::of(keys)? })
    }

    fn of(
        keys: impl ExactSizeIterator<Item = Result<Jwk, UnsupportedKey>>,
    ) -> Result<Self, KeySetError> {
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys(keys.len()));
        }
        let mut set = Self::default();
        for key in keys {
            match key {
                Ok(key) => set.add(key),
                Err(unsupported) => set.skipped.push(unsupported),
            }
        }
        if set.keys.is_empty() { Err(KeySetError::NoUsableKey(set.skipped)) } else { Ok(set) }
    }

    fn add(&mut self, key: Jwk) {
        match self.by_kid.get(key.kid().as_bytes()) {
            None => {
                let key = Rc::new(key);
                self.by_kid.insert(key.kid().as_bytes().into(), Rc::clone(&key));
                self.keys.push(key);
            }
            Some(same) if same.fingerprint() == key.fingerprint() => {}
            // The first key wins, so that a key ID has one meaning.
            Some(_) => self.skipped.push(UnsupportedKey(format!("duplicate kid {:?}", key.kid()))),
        }
    }

    /// The keys that may have signed a token with this `kid` and `alg`: the key with that key ID.
    ///
    /// For a token without a `kid`, and PEM keys: at most four keys with that algorithm. A P-521 key is tried only if
    /// it is the only one, because a verification takes more than a millisecond and an attacker can send forged tokens
    /// for free.
    pub fn candidates(&self, kid: Option<&str>, alg: &str) -> Vec<Rc<Jwk>> {
        if let Some(kid) = kid {
            return self.by_kid.get(kid.as_bytes()).map(Rc::clone).into_iter().collect();
        }
        if !self.takes_tokens_without_kid {
            return Vec::new();
        }
        let fitting = self.keys.iter().filter(|key| key.algorithm().name() == alg);
        let fitting: Vec<_> = fitting.take(MAX_TRIES).map(Rc::clone).collect();
        match fitting.as_slice() {
            [first, _, ..] if first.algorithm() == Algorithm::Es512 => Vec::new(),
            _ => fitting,
        }
    }

    /// Whether tokens without a `kid` are verified with the keys.
    pub fn takes_tokens_without_kid(&self) -> bool {
        self.takes_tokens_without_kid
    }

    /// The keys, in the order of the document.
    pub fn keys(&self) -> &[Rc<Jwk>] {
        &self.keys
    }

    /// The reasons why keys were skipped.
    pub fn skipped(&self) -> &[UnsupportedKey] {
        &self.skipped
    }
}

// === impl KeySetError ===

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKeySet(why) => write!(f, "not a JWKS: {why}"),
            Self::TooManyKeys(count) => write!(f, "{count} keys, expected at most {MAX_KEYS}"),
            Self::NoUsableKey(skipped) => {
                f.write_str("no supported key")?;
                skipped.iter().take(3).try_for_each(|UnsupportedKey(why)| write!(f, "; {why}"))
            }
        }
    }
}

/// Far more than an API server publishes, including keys of earlier rotations.
pub(crate) const MAX_KEYS: usize = 100;

/// Bounds the number of verifications that one forged token causes.
const MAX_TRIES: usize = 4;

#[cfg(test)]
mod tests {
    use super::super::from_pem;
    use super::*;
    use envoy_test::{KeyKind, SigningKey};

    fn set(kinds: &[KeyKind]) -> (KeySet, Vec<SigningKey>) {
        let keys: Vec<_> = kinds.iter().map(|kind| SigningKey::generate(*kind)).collect();
        (KeySet::from_keys(keys.iter().map(|key| from_pem(&key.pem()))).unwrap(), keys)
    }

    #[test]
    fn token_with_kid_is_verified_only_with_that_key() {
        let (set, keys) = set(&[KeyKind::P256, KeyKind::P256, KeyKind::P521, KeyKind::P521]);
        for key in &keys {
            let found = set.candidates(Some(key.kid()), key.alg());
            assert_eq!(found.iter().map(|key| key.kid()).collect::<Vec<_>>(), [key.kid()]);
        }
        for alg in ["ES256", "ES512"] {
            assert!(set.candidates(Some("another"), alg).is_empty(), "{alg}");
        }
    }

    #[test]
    fn token_without_kid_is_verified_with_at_most_four_keys_and_only_a_single_p521_key() {
        for (kinds, alg, tried) in [
            (&[KeyKind::P256; 5][..], "ES256", 4),
            (&[KeyKind::P384; 2], "ES384", 2),
            (&[KeyKind::P521], "ES512", 1),
            (&[KeyKind::P521, KeyKind::P256], "ES512", 1),
            (&[KeyKind::P521, KeyKind::P521], "ES512", 0),
            (&[KeyKind::P521; 5], "ES512", 0),
            (&[KeyKind::P521], "ES256", 0),
        ] {
            assert_eq!(set(kinds).0.candidates(None, alg).len(), tried, "{kinds:?} {alg}");
        }
    }
}
