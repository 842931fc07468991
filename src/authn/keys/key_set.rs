//! A JWKS document -> the keys of it that we take, found by kid (RFC 7517 section 5).

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
    any_key_may_fit: bool,
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

    /// Keys that were given without a kid of the issuer's choosing (`keys.pem`): a token whose kid
    /// matches none may be by any of them.
    pub fn from_keys(
        keys: impl IntoIterator<Item = Result<Jwk, Unfit>>,
    ) -> Result<Self, KeySetError> {
        Ok(Self { any_key_may_fit: true, ..Self::of(keys)? })
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

    /// The keys that may have signed a token with this `kid` and `alg`: one, or for a set that was
    /// given as PEM up to four.
    pub fn candidates(&self, kid: Option<&str>, alg: &str) -> Vec<Rc<Jwk>> {
        if let Some(key) = kid.and_then(|kid| self.by_kid.get(kid.as_bytes())) {
            return vec![Rc::clone(key)];
        }
        if !self.any_key_may_fit {
            return Vec::new();
        }
        let fitting = self.keys.iter().filter(|key| key.algorithm().name() == alg);
        fitting.take(MAX_TRIES).map(Rc::clone).collect()
    }

    /// Whether a token whose kid is unknown is tried against the keys all the same.
    pub fn any_key_may_fit(&self) -> bool {
        self.any_key_may_fit
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

/// Each try costs a verification, and a token without a known kid costs an attacker nothing.
const MAX_TRIES: usize = 4;
