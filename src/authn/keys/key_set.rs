//! A JWKS document -> the keys of it that we take, found by kid (RFC 7517 section 5).

use super::algorithm::Algorithm;
use super::jwk::Jwk;
use super::public_key::Unfit;
use crate::table::Table;
use serde_json::Value;
use std::fmt;
use std::rc::Rc;

/// The keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<Rc<Jwk>>,
    by_kid: Table<Rc<Jwk>>,
    skipped: Vec<Unfit>,
    takes_tokens_without_kid: bool,
}

/// Why a document is no key set. It never replaces one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// Not JSON, or not an object with a list `keys`.
    NotAKeySet(String),
    /// More than a hundred keys.
    TooManyKeys(usize),
    /// No key at all, or none that we take; why not, for each.
    NoUsableKey(Vec<Unfit>),
}

// === impl KeySet ===

impl KeySet {
    /// Reads a JWKS. Keys of kinds that we do not take are skipped and counted; a set without any
    /// usable key is an error.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        let document: Value = serde_json::from_slice(json)
            .map_err(|error| KeySetError::NotAKeySet(error.to_string()))?;
        Self::from_value(&document)
    }

    /// The same for JSON that has been parsed (`keys.inline`).
    pub fn from_value(document: &Value) -> Result<Self, KeySetError> {
        let members = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or_else(|| KeySetError::NotAKeySet("no list \"keys\"".to_owned()))?;
        if members.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys(members.len()));
        }
        Self::of(members.iter().map(Jwk::parse))
    }

    /// Keys without a kid of the issuer's choosing (`keys.pem`). Each has the kid that Kubernetes derives from it, and a
    /// token without a kid may be signed by any of them.
    pub fn from_keys(
        keys: impl IntoIterator<Item = Result<Jwk, Unfit>>,
    ) -> Result<Self, KeySetError> {
        Ok(Self { takes_tokens_without_kid: true, ..Self::of(keys)? })
    }

    fn of(keys: impl IntoIterator<Item = Result<Jwk, Unfit>>) -> Result<Self, KeySetError> {
        let mut set = Self::default();
        for key in keys {
            match key {
                Ok(key) => set.add(key),
                Err(unfit) => set.skipped.push(unfit),
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
            // The first counts: which key a kid means must not depend on who asks.
            Some(_) => self.skipped.push(Unfit(format!("a second key with kid {:?}", key.kid()))),
        }
    }

    /// The keys that may have signed a token with this `kid` and `alg`: the one with that kid. For a token without a kid,
    /// and keys that were given as PEM: at most four with that algorithm, and of P-521 the only one. A P-521 signature costs
    /// more than a millisecond, and a forged token costs its sender nothing; which of several is tried must not depend on
    /// their order, so that none is.
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

    /// Whether a token without a kid is tried against the keys.
    pub fn takes_tokens_without_kid(&self) -> bool {
        self.takes_tokens_without_kid
    }

    /// The keys, in the document's order.
    pub fn keys(&self) -> &[Rc<Jwk>] {
        &self.keys
    }

    /// Why keys of the document were left out.
    pub fn skipped(&self) -> &[Unfit] {
        &self.skipped
    }
}

// === impl KeySetError ===

impl fmt::Display for KeySetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKeySet(why) => write!(f, "not a JWKS: {why}"),
            Self::TooManyKeys(count) => write!(f, "{count} keys, the limit is {MAX_KEYS}"),
            Self::NoUsableKey(skipped) => {
                f.write_str("no usable key")?;
                skipped.iter().take(3).try_for_each(|Unfit(why)| write!(f, "; {why}"))
            }
        }
    }
}

/// Five clusters' worth of rotations; a set of more is no API server's.
const MAX_KEYS: usize = 100;

/// Each try costs a verification, and a token without a kid costs an attacker nothing.
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
    fn a_token_with_a_kid_is_tried_against_the_key_with_that_kid_alone() {
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
    fn a_token_without_a_kid_is_tried_against_four_keys_and_of_p521_the_only_one() {
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
