//! Small modifications of genuine tokens.

use arbitrary::Arbitrary;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::genuine::TOKENS;
use crate::world::encode;

/// A token and its modifications.
#[derive(Debug, Arbitrary)]
pub struct Tampered {
    token: u8,
    changes: Vec<Change>,
}

/// A part of a token.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Part {
    /// The JOSE header.
    Header,
    /// The claims.
    Claims,
    /// The signature.
    Signature,
}

/// One small modification.
#[derive(Debug, Arbitrary)]
pub enum Change {
    /// Flips a bit of a part.
    Flip { part: Part, at: u16, bit: u8 },
    /// Replaces a part.
    Say { part: Part, bytes: Vec<u8> },
    /// Extends a part.
    Append { part: Part, bytes: Vec<u8> },
    /// Truncates a part.
    Cut { part: Part, bytes: u8 },
    /// Uses a part of another genuine token.
    Exchange { part: Part, with: u8 },
    /// Swaps two parts.
    Swap { one: Part, other: Part },
    /// Sets a member of the header or the claims.
    Member { claims: bool, name: u8, value: Json },
    /// Adds a duplicate member at the beginning, so that lenient parsers use the other one.
    Double { claims: bool, name: u8, value: Json },
    /// Removes a member.
    Without { claims: bool, name: u8 },
    /// Reformats the JSON.
    Respell { claims: bool },
    /// Replaces a character of the token.
    Replace { at: u16, byte: u8 },
    /// Inserts bytes into the token.
    Insert { at: u16, bytes: Vec<u8> },
    /// Removes characters of the token.
    Remove { at: u16, bytes: u8 },
}

/// JSON values.
#[derive(Debug, Arbitrary)]
pub enum Json {
    /// A string of the list.
    Known(u8),
    /// Any string.
    Text(String),
    /// Any number.
    Number(u64),
    /// Several.
    List(Vec<u8>),
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
}

// === impl Tampered ===

impl Tampered {
    /// The token as it would be sent.
    pub fn token(&self) -> Vec<u8> {
        let genuine = &TOKENS[usize::from(self.token) % TOKENS.len()];
        let token = genuine.token.clone().into_bytes();
        self.changes.iter().take(MAX_CHANGES).fold(token, |token, change| change.of(token))
    }
}

// === impl Change ===

impl Change {
    fn of(&self, mut token: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Replace { at, byte } => {
                let at = usize::from(*at) % token.len().max(1);
                if let Some(place) = token.get_mut(at) {
                    *place = *byte;
                }
                token
            }
            Self::Insert { at, bytes } => {
                let at = usize::from(*at) % (token.len() + 1);
                token.splice(at..at, bytes.iter().copied());
                token
            }
            Self::Remove { at, bytes } => {
                let at = usize::from(*at) % (token.len() + 1);
                let end = token.len().min(at + usize::from(*bytes));
                token.drain(at..end);
                token
            }
            _ => match split(&token) {
                Some(parts) => self.of_parts(parts).join(".").into_bytes(),
                None => token,
            },
        }
    }

    fn of_parts(&self, mut parts: [String; 3]) -> [String; 3] {
        match self {
            Self::Exchange { part, with } => {
                let other = &TOKENS[usize::from(*with) % TOKENS.len()];
                let other = split(other.token.as_bytes()).expect("three parts");
                parts[*part as usize] = other[*part as usize].clone();
            }
            Self::Swap { one, other } => parts.swap(*one as usize, *other as usize),
            Self::Member { claims, .. }
            | Self::Double { claims, .. }
            | Self::Without { claims, .. }
            | Self::Respell { claims } => {
                let part = &mut parts[usize::from(*claims)];
                if let Some(text) = self.of_json(part) {
                    *part = encode(text);
                }
            }
            Self::Flip { part, .. }
            | Self::Say { part, .. }
            | Self::Append { part, .. }
            | Self::Cut { part, .. } => {
                let part = &mut parts[*part as usize];
                if let Ok(bytes) = URL_SAFE_NO_PAD.decode(&*part) {
                    *part = encode(self.of_bytes(bytes));
                }
            }
            Self::Replace { .. } | Self::Insert { .. } | Self::Remove { .. } => {}
        }
        parts
    }

    fn of_bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Flip { at, bit, .. } => {
                let at = usize::from(*at) % bytes.len().max(1);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Self::Say { bytes: said, .. } => bytes.clone_from(said),
            Self::Append { bytes: more, .. } => bytes.extend(more),
            Self::Cut { bytes: less, .. } => {
                bytes.truncate(bytes.len().saturating_sub(usize::from(*less)));
            }
            _ => {}
        }
        bytes
    }

    fn of_json(&self, part: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        let mut object: Value = serde_json::from_slice(&bytes).ok()?;
        let members = object.as_object_mut()?;
        let name_of = |name: u8| NAMES[usize::from(name) % NAMES.len()];
        match self {
            Self::Member { name, value, .. } => {
                members.insert(name_of(*name).to_owned(), value.value());
            }
            Self::Double { name, value, .. } => {
                let text = String::from_utf8(bytes).ok()?;
                let (name, value) = (Value::from(name_of(*name)), value.value());
                return Some(text.replacen('{', &format!("{{{name}:{value},"), 1));
            }
            Self::Without { name, .. } => {
                members.remove(name_of(*name));
            }
            _ => return serde_json::to_string_pretty(&object).ok(),
        }
        Some(object.to_string())
    }
}

fn split(token: &[u8]) -> Option<[String; 3]> {
    let text = std::str::from_utf8(token).ok()?;
    let parts: Vec<_> = text.split('.').map(str::to_owned).collect();
    parts.try_into().ok()
}

// === impl Json ===

impl Json {
    fn value(&self) -> Value {
        let known = |at: &u8| Value::from(VALUES[usize::from(*at) % VALUES.len()]);
        match self {
            Self::Known(at) => known(at),
            Self::Text(text) => text.as_str().into(),
            Self::Number(number) => (*number).into(),
            Self::List(values) => values.iter().map(known).collect(),
            Self::Null => Value::Null,
            Self::Bool(yes) => (*yes).into(),
        }
    }
}

const NAMES: [&str; 20] = [
    "alg",
    "kid",
    "typ",
    "crit",
    "b64",
    "jwk",
    "jku",
    "x5c",
    "zip",
    "enc",
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "kubernetes.io",
    "any",
];

const VALUES: [&str; 16] = [
    "none",
    "HS256",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "ES256",
    "EdDSA",
    "JWT",
    "at+jwt",
    "b64",
    "",
    "https://kubernetes.default.svc.cluster.local",
    "https://filter.example",
    "system:serviceaccount:kube-system:admin",
    "system:serviceaccount:demo:other",
];

/// More modifications find nothing that fewer do not find.
const MAX_CHANGES: usize = 8;
