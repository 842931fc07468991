//! Attributes of a review, from the configuration, a segment of the path or a query parameter.
//!
//! A caller writes segments and parameters. If the upstream might read another value than the filter, the caller would be
//! allowed one object and get another. Such a value is an error (`ambiguous_attributes`).

use crate::authz::path::NormalPath;
use crate::denial::{Denial, Reason};
use std::borrow::Cow;

/// Where an attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The configuration.
    Fixed(String),
    /// A segment of the path in normal form; the first is 1.
    Segment(usize),
    /// A query parameter.
    Query(String),
}

// === impl Attribute ===

impl Attribute {
    /// The value in a request. `parameter` is one of the values of [`query_values`].
    pub(super) fn value<'a>(
        &'a self,
        path: &NormalPath<'_>,
        parameter: Option<&str>,
    ) -> Result<Cow<'a, str>, Denial> {
        match self {
            Self::Fixed(text) => Ok(Cow::Borrowed(text)),
            Self::Segment(at) => match path.text().split('/').nth(*at) {
                Some(segment) if is_clear(segment.as_bytes()) => Ok(segment.to_owned().into()),
                Some(_) => Err(unclear(format!("segment {at} of the path is empty or not a name"))),
                None => Err(unclear(format!("the path has no segment {at}"))),
            },
            Self::Query(_) => match parameter {
                Some(value) => Ok(value.to_owned().into()),
                None => Err(Reason::Internal.because("a query parameter without a value")),
            },
        }
    }
}

/// The values of a query parameter, at least one, each once. `path` has the query.
pub(super) fn query_values(path: &[u8], wanted: &str) -> Result<Vec<String>, Denial> {
    let ambiguous = |what: &str| unclear(format!("query parameter {wanted:?}: {what}"));
    let query = path.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
    // Some servers separate parameters by semicolons (CVE-2021-23336), and some cut the query at `#`.
    if query.contains(&b';') || query.contains(&b'#') {
        return Err(ambiguous("the query has a semicolon or #"));
    }
    let mut values: Vec<String> = Vec::new();
    for pair in query.split(|byte| *byte == b'&') {
        let mut parts = pair.splitn(2, |byte| *byte == b'=').map(decode);
        let name = parts.next().flatten().ok_or_else(|| ambiguous("a malformed escape"))?;
        if name != wanted.as_bytes() {
            // PHP, Rails and Express read `ns[]` as `ns`, ASP.NET ignores case, and PHP writes `_` for dots.
            if folded(&name) == folded(wanted.as_bytes()) {
                return Err(ambiguous("a name that servers read differently"));
            }
            continue;
        }
        let value = parts.next().flatten().filter(|value| is_clear(value));
        let value = value.and_then(|value| String::from_utf8(value).ok());
        let value = value.ok_or_else(|| ambiguous("a value that is empty or not a name"))?;
        if !values.contains(&value) {
            values.push(value);
        }
        if values.len() > MAX_VALUES {
            return Err(ambiguous("too many values"));
        }
    }
    if values.is_empty() { Err(ambiguous("missing")) } else { Ok(values) }
}

/// Decodes escapes once; `None` if one is malformed. `+` is a space in queries.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = text.iter();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => *byte,
        });
    }
    Some(decoded)
}

/// The name of a parameter as the most lenient server reads it.
fn folded(name: &[u8]) -> Vec<u8> {
    let name = name.split(|byte| matches!(byte, b'[' | 0)).next().unwrap_or_default();
    let fold = |byte: &u8| match byte.is_ascii_alphanumeric() {
        true => byte.to_ascii_lowercase(),
        false => b'_',
    };
    name.trim_ascii().iter().map(fold).collect()
}

/// Whether every server reads a value alike: characters that names in Kubernetes have, and that need no escape.
fn is_clear(value: &[u8]) -> bool {
    let clear = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:".contains(byte);
    value.len() <= MAX_VALUE_BYTES
        && value.iter().all(clear)
        && value.iter().any(|byte| *byte != b'.')
}

fn unclear(what: String) -> Denial {
    Reason::AmbiguousAttributes.because(what)
}

/// The longest name of an object in Kubernetes.
const MAX_VALUE_BYTES: usize = 253;

/// Each value is a review.
const MAX_VALUES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn values(path: &str) -> Result<Vec<String>, String> {
        query_values(path.as_bytes(), "ns").map_err(|denial| {
            assert_eq!(denial.reason(), Reason::AmbiguousAttributes, "{path}");
            denial.detail().to_owned()
        })
    }

    #[test]
    fn parameters_are_decoded_once_and_each_value_counts_once() {
        for (path, expected) in [
            ("/x?ns=a", vec!["a"]),
            // The value of another parameter does not matter.
            ("/x?a=1&ns=a&b=%zz", vec!["a"]),
            ("/x?a=1&ns=a&b=2", vec!["a"]),
            ("/x?ns=a&ns=b&ns=a", vec!["a", "b"]),
            ("/x?n%73=%61", vec!["a"]),
            ("/x?ns=a-b.c_d:e", vec!["a-b.c_d:e"]),
            ("/x?nsx=b&ns=a", vec!["a"]),
        ] {
            assert_eq!(values(path).unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn parameter_that_servers_read_differently_is_ambiguous() {
        for path in [
            "/x",
            "/x?",
            "/x?a=ns",
            "/x?ns",
            "/x?ns=",
            "/x?ns=a&ns",
            "/x?ns=a&ns=",
            "/x?ns=a&NS=b",
            "/x?ns=a&ns[]=b",
            "/x?ns=a&ns%5B0%5D=b",
            "/x?ns=a&+ns=b",
            "/x?ns=a&ns%00x=b",
            "/x?ns=a;ns=b",
            "/x?ns=a#&ns=b",
            "/x?ns=a,b",
            "/x?ns=a%2Fb",
            "/x?ns=a%252Fb",
            "/x?ns=..",
            "/x?ns=.",
            "/x?ns=*",
            "/x?ns=a+b",
            "/x?ns=%ff",
            "/x?ns=%4",
            "/x?%zz=1&ns=a",
            "/x?ns=%c3%a9",
        ] {
            assert!(values(path).is_err(), "{path}");
        }
        assert!(values(&format!("/x?ns={}", "a".repeat(253))).is_ok());
        assert!(values(&format!("/x?ns={}", "a".repeat(254))).is_err());
        let many = |count| (0..count).map(|at| format!("ns={at}")).collect::<Vec<_>>().join("&");
        assert_eq!(values(&format!("/x?{}", many(8))).map(|values| values.len()), Ok(8));
        assert!(values(&format!("/x?{}", many(9))).unwrap_err().contains("too many"));
    }

    #[test]
    fn segment_is_taken_from_the_normal_form_and_must_be_a_name() {
        let segment = |path: &str, at| {
            let path = NormalPath::parse(path.as_bytes()).unwrap();
            Attribute::Segment(at).value(&path, None).map(Cow::into_owned).map_err(|denial| {
                assert_eq!(denial.reason(), Reason::AmbiguousAttributes);
                denial.detail().to_owned()
            })
        };
        assert_eq!(segment("/ns/a/x", 2).as_deref(), Ok("a"));
        assert_eq!(segment("/ns/%61?ns=c", 2).as_deref(), Ok("a"));
        for (path, at) in [
            ("/ns/", 2),
            ("/ns", 2),
            ("/", 1),
            ("/ns/a%20b", 2),
            ("/ns/%C3%A9", 2),
            ("/ns/%2A", 2),
            ("/ns/*", 2),
            ("/ns/a,b", 2),
            ("/ns/a%25", 2),
            ("/ns/...", 2),
        ] {
            assert!(segment(path, at).is_err(), "{path}");
        }
    }
}
