//! Key sets: parsing of a JWKS (RFC 7517 section 5), and lookup by key ID.

use super::jwk::Jwk;
use crate::authn::signature::{Algorithm, UnsupportedKey};
use crate::callout::what_is;
use crate::table::Table;
use serde_json::Value;
use std::fmt;
use std::rc::Rc;

/// The keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Rc<Jwk>>,
    by_kid: Table<Vec<Rc<Jwk>>>,
    skipped: Vec<SkippedKey>,
    takes_tokens_without_kid: bool,
}

/// A key of the document that no token is verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    kid: Option<String>,
    why: UnsupportedKey,
}

/// Why a document is not a usable key set. Such a document never replaces a cached key set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// Not JSON, or not an object with a list `keys`.
    NotAKeySet(String),
    /// More than a hundred keys.
    TooManyKeys(usize),
    /// No key is supported. Contains the reason for each key.
    NoUsableKey(Vec<SkippedKey>),
}

// === impl KeySet ===

impl KeySet {
    /// Parses a JWKS. Unsupported keys are skipped and counted; a set without a supported key is an error.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let document = serde_json::from_slice(json)
            .map_err(|error| KeySetError::NotAKeySet(error.to_string()))
            .and_then(|document: Value| Self::from_value(&document));
        document.map_err(|error| match (error, what_is(json)) {
            (KeySetError::NotAKeySet(_), Some(what)) => KeySetError::NotAKeySet(what.to_owned()),
            (error, _) => error,
        })
    }

    /// Reads a JWKS from parsed JSON (`keys.inline`).
    pub fn from_value(document: &Value) -> Result<Self, KeySetError> {
        let members = document.get("keys").and_then(Value::as_array).ok_or_else(|| {
            KeySetError::NotAKeySet("expected an object with a list `keys`".to_owned())
        })?;
        let parse = |json| Jwk::parse(json).map_err(|why| SkippedKey::of(json, why));
        Self::of(members.iter().map(parse))
    }

    /// A set of keys without key IDs (`keys.pem`). Each gets the key ID that Kubernetes derives from it, and a token
    /// without a `kid` may be signed by any of them.
    pub fn from_keys(
        keys: impl ExactSizeIterator<Item = Result<Jwk, UnsupportedKey>>,
    ) -> Result<Self, KeySetError> {
        let skipped = |why| SkippedKey { kid: None, why };
        let keys = keys.map(|key| key.map_err(skipped));
        Ok(Self { takes_tokens_without_kid: true, ..Self::of(keys)? })
    }

    fn of(
        keys: impl ExactSizeIterator<Item = Result<Jwk, SkippedKey>>,
    ) -> Result<Self, KeySetError> {
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys(keys.len()));
        }
        let mut set = Self::default();
        for key in keys {
            match key {
                Ok(key) => set.add(key),
                Err(skipped) => set.skipped.push(skipped),
            }
        }
        if set.keys.is_empty() { Err(KeySetError::NoUsableKey(set.skipped)) } else { Ok(set) }
    }

    fn add(&mut self, key: Jwk) {
        let same = self.by_kid.entry(key.kid().as_bytes().into()).or_default();
        if same.iter().any(|other| other.fingerprint() == key.fingerprint()) {
            return;
        }
        if same.len() >= MAX_SAME_KID {
            let why = UnsupportedKey("third key with this kid".to_owned());
            return self.skipped.push(SkippedKey { kid: Some(key.kid().to_owned()), why });
        }
        let key = Rc::new(key);
        same.push(Rc::clone(&key));
        self.keys.push(key);
    }

    /// The keys that may have signed a token with this `kid` and `alg`: the key with that key ID. If two keys have it,
    /// those with that algorithm.
    ///
    /// For a token without a `kid`, and PEM keys: at most four keys with that algorithm. A P-521 key is tried only if
    /// it is the only one, because a verification takes more than a millisecond and an attacker can send forged tokens
    /// for free.
    pub fn candidates(&self, kid: Option<&str>, alg: &str) -> Vec<Rc<Jwk>> {
        if let Some(kid) = kid {
            let same = self.by_kid.get(kid.as_bytes()).map(Vec::as_slice).unwrap_or_default();
            let fitting: Vec<_> = same.iter().filter(|key| key.algorithm().name() == alg).collect();
            // A key for another algorithm gives the reason for the rejection.
            let fitting = if fitting.is_empty() { same.iter().take(1).collect() } else { fitting };
            return fitting.into_iter().map(Rc::clone).collect();
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

    /// The skipped keys.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// Why the key with this key ID was skipped.
    pub fn why_skipped(&self, kid: &str) -> Option<&UnsupportedKey> {
        let skipped = self.skipped.iter().find(|skipped| skipped.kid.as_deref() == Some(kid));
        skipped.map(|skipped| &skipped.why)
    }

    /// A key ID that two keys have.
    pub fn duplicate_kid(&self) -> Option<&str> {
        let mut several = self.by_kid.values().filter(|same| same.len() > 1);
        several.next().and_then(|same| same.first()).map(|key| key.kid())
    }

    /// What the operator of the key server should know of the set; empty if there is nothing.
    pub fn remarks(&self) -> String {
        let duplicate =
            self.duplicate_kid().map(|kid| format!("two keys have kid {kid:?}, both are used"));
        let skipped = self.skipped.iter().map(SkippedKey::to_string);
        let remarks: Vec<_> = skipped.chain(duplicate).take(MAX_REMARKS).collect();
        remarks.join("; ")
    }
}

// === impl SkippedKey ===

impl SkippedKey {
    fn of(json: &Value, why: UnsupportedKey) -> Self {
        Self { kid: json.get("kid").and_then(Value::as_str).map(str::to_owned), why }
    }
}

impl fmt::Display for SkippedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(kid) = &self.kid {
            write!(f, "key {kid:?}: ")?;
        }
        f.write_str(&self.why.0)
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
                skipped.iter().take(3).try_for_each(|skipped| write!(f, "; {skipped}"))
            }
        }
    }
}

/// Far more than an API server publishes, including keys of earlier rotations.
pub(crate) const MAX_KEYS: usize = 100;

/// Of keys with one key ID, of which each must be tried.
const MAX_SAME_KID: usize = 2;

const MAX_REMARKS: usize = 5;

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
