//! Header maps as ordered pairs of names and raw bytes.

use hyper::header::HeaderMap;

/// Names (lower case) and values, as they came.
pub type Pairs = Vec<(String, Vec<u8>)>;

pub(crate) fn pairs(headers: &HeaderMap) -> Pairs {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

/// The first value of this name, as text.
pub(crate) fn first(pairs: &Pairs, name: &str) -> Option<String> {
    pairs.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| text(value))
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
