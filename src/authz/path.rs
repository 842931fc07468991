//! Normalization of the request's path.
//!
//! Proxies and applications interpret paths differently. If the upstream might interpret a path differently from the
//! filter, an attacker could send a path that the filter takes for an open path and the upstream for a protected one.
//! Such a path is an error (`ambiguous_path`).

use crate::denial::{Denial, Reason};
use std::borrow::Cow;

/// A path in normal form: it begins with `/`, and has no dot segments, no empty segments except the last, and no
/// unnecessary escapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'p>(Cow<'p, [u8]>);

// === impl NormalPath ===

impl<'p> NormalPath<'p> {
    /// Removes the query and decodes escaped visible ASCII.
    ///
    /// A dot segment, escaped or not, is ambiguous: without `normalize_path`, Envoy's router and upstreams that match by
    /// prefix read the segments before it, and other upstreams remove them (RFC 3986 section 5.2.4).
    ///
    /// An empty segment, except after a trailing slash, is ambiguous: some upstreams merge slashes, and others do not.
    /// An upstream that resolves `//public/x` as a reference (RFC 3986 section 4.2; Node's `new URL(req.url, base)`)
    /// reads the authority `public` and the path `/x`.
    pub fn parse(path: &'p [u8]) -> Result<Self, Denial> {
        let query = path.iter().position(|byte| *byte == b'?');
        let path = query.and_then(|at| path.get(..at)).unwrap_or(path);
        let Some((b'/', below)) = path.split_first() else {
            return Err(ambiguous("path does not begin with /"));
        };
        if is_normal(below) {
            return Ok(Self(Cow::Borrowed(path)));
        }
        Self::normalize(below)
    }

    #[inline(never)]
    fn normalize(below: &[u8]) -> Result<Self, Denial> {
        let mut segments = Vec::new();
        let mut pieces = below.split(|byte| *byte == b'/').peekable();
        while let Some(piece) = pieces.next() {
            let segment = decode(piece)?;
            match segment.as_str() {
                "" if pieces.peek().is_some() => {
                    return Err(ambiguous("empty segment (two slashes)"));
                }
                "." | ".." => return Err(ambiguous("dot segment (. or ..)")),
                _ => segments.push(segment),
            }
        }
        Ok(Self(Cow::Owned(format!("/{}", segments.join("/")).into_bytes())))
    }

    /// `/`.
    pub fn root() -> Self {
        Self(Cow::Borrowed(b"/"))
    }

    /// The normal form as text, without loss because it is ASCII.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The path after the first slash.
    pub(super) fn below_root(&self) -> Option<&[u8]> {
        self.0.get(1..)
    }
}

/// Whether a path is already in normal form, as most paths are. `below` is the path after the first slash.
fn is_normal(below: &[u8]) -> bool {
    let (mut length, mut dots) = (0usize, 0usize);
    let is_dots = |length, dots| length == dots && (length == 1 || length == 2);
    for byte in below {
        match byte {
            b'/' if length == 0 || is_dots(length, dots) => return false,
            b'/' => (length, dots) = (0, 0),
            b'%' | b'\\' | b';' | b'#' => return false,
            0x21..=0x7e => {
                length += 1;
                dots += usize::from(*byte == b'.');
            }
            _ => return false,
        }
    }
    !is_dots(length, dots)
}

/// Normalizes one segment: decodes unnecessary escapes, and writes the others in upper case. So rules treat `%3A` and
/// `:` as equal, as upstreams that decode paths do.
fn decode(segment: &[u8]) -> Result<String, Denial> {
    let mut text = String::with_capacity(segment.len());
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else {
                    return Err(ambiguous("truncated escape"));
                };
                push_escaped(&mut text, &mut decoded, *high, *low)?;
            }
            b'\\' | b';' | b'#' => return Err(ambiguous("backslash, semicolon or #")),
            0x21..=0x7e => {
                text.push(char::from(*byte));
                decoded.push(*byte);
            }
            _ => return Err(ambiguous("byte that is not visible ASCII")),
        }
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(ambiguous("escapes that are not UTF-8"));
    }
    // An upstream that decodes twice would read another path.
    let escaped_escape =
        |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if text.match_indices("%25").any(|(at, _)| text.get(at + 3..).is_some_and(escaped_escape)) {
        return Err(ambiguous("double escape"));
    }
    Ok(text)
}

/// Appends an escape to the normal form, and its byte to `decoded`.
fn push_escaped(text: &mut String, decoded: &mut Vec<u8>, high: u8, low: u8) -> Result<(), Denial> {
    let byte = hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low);
    match byte.ok_or_else(|| ambiguous("escape with other characters than hexadecimal digits"))? {
        b'/' | b'\\' | b';' | b'?' | b'#' | 0..=0x1f | 0x7f => {
            return Err(ambiguous(
                "escaped slash, backslash, semicolon, ?, # or control character",
            ));
        }
        // `*` is a wildcard in patterns.
        byte @ (b'%' | b'*' | b' ' | 0x80..) => {
            text.push_str(&format!("%{byte:02X}"));
            decoded.push(byte);
        }
        byte => {
            text.push(char::from(byte));
            decoded.push(byte);
        }
    }
    Ok(())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn ambiguous(what: &'static str) -> Denial {
    Reason::AmbiguousPath.because(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(path: &str) -> String {
        NormalPath::parse(path.as_bytes())
            .unwrap_or_else(|d| panic!("{path}: {}", d.detail()))
            .text()
            .into_owned()
    }

    #[test]
    fn every_spelling_of_a_path_has_the_same_normal_form() {
        for (path, expected) in [
            ("/", "/"),
            ("/?x=/y", "/"),
            ("/secrets/db", "/secrets/db"),
            ("/secrets/db/", "/secrets/db/"),
            ("/%73ecrets/d%62", "/secrets/db"),
            ("/...", "/..."),
            ("/.a/b./%2e%2ec", "/.a/b./..c"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("/a:b@c!d$e&f'(g)*h+i,j=k", "/a:b@c!d$e&f'(g)*h+i,j=k"),
            ("/100%25", "/100%25"),
            ("/v1/secrets%3Aexport%40%21", "/v1/secrets:export@!"),
            ("/%2a", "/%2A"),
        ] {
            assert_eq!(normal(path), expected, "{path}");
            assert_eq!(normal(expected), expected, "the normal form of {path} is its own");
        }
    }

    #[test]
    fn path_that_upstreams_interpret_differently_is_ambiguous() {
        for path in [
            "",
            "secrets",
            "*",
            "http://h/secrets",
            "/a%2fb",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a;b",
            "/a%3bb",
            "/a%00",
            "/a%0d%0a",
            "/a%7f",
            "/a#b",
            "/a%23b",
            "/a%3fb",
            "/%",
            "/%4",
            "/%zz",
            "/%+1",
            "/%252e%252e/",
            "/a b",
            "/\u{fc}",
            "/\u{7f}",
            "/%25%32%65",
            "/%c0%af",
            "/%e2%82",
            "/%c3x%a9",
        ] {
            let denial = NormalPath::parse(path.as_bytes()).expect_err(path);
            assert_eq!(denial.reason(), Reason::AmbiguousPath, "{path}");
        }
        assert_eq!(NormalPath::parse(b"/\xff").unwrap_err().reason(), Reason::AmbiguousPath);
    }

    #[test]
    fn empty_segment_except_after_a_trailing_slash_is_ambiguous() {
        for path in [
            "//",
            "//?x",
            "///",
            "//secrets/db",
            "/secrets//db",
            "/secrets/db//",
            "/secrets/db//?x",
            "/a//..",
            "/a//../b",
            "/a//.",
            "/%61//",
        ] {
            let denial = NormalPath::parse(path.as_bytes()).expect_err(path);
            assert_eq!(denial.reason(), Reason::AmbiguousPath, "{path}");
            assert_eq!(denial.detail(), "empty segment (two slashes)", "{path}");
        }
    }

    #[test]
    fn dot_segment_is_ambiguous() {
        for path in [
            "/.",
            "/./",
            "/..",
            "/../",
            "/../../a",
            "/a/.",
            "/a/..",
            "/a/b/../",
            "/a/./b",
            "/public/../secrets/db",
            "/public/%2e%2E/secrets/db",
            "/public/.%2e/secrets/db?x",
            "/secrets/../public/1",
            "/.//secrets",
            "/..//secrets",
        ] {
            let denial = NormalPath::parse(path.as_bytes()).expect_err(path);
            assert_eq!(denial.reason(), Reason::AmbiguousPath, "{path}");
            assert_eq!(denial.detail(), "dot segment (. or ..)", "{path}");
        }
    }
}
