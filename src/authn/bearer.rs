//! Extraction of the bearer token (RFC 6750 section 2.1) from the token headers.

use crate::denial::{Denial, Reason};
use std::fmt;
use std::rc::Rc;

/// A header that may contain the token (`tokenFrom`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// The name of the header, in lower case.
    pub header: Rc<str>,
    /// The prefix of the token, such as `Bearer `. Schemes are case-insensitive (RFC 9110 section 11.1). `None`: the
    /// value is the token.
    pub prefix: Option<String>,
}

/// A token as the caller sent it. `Debug` does not print its bytes.
#[derive(Clone, Copy, Eq)]
pub struct BearerToken<'h>(&'h [u8]);

// === impl BearerToken ===

impl<'h> BearerToken<'h> {
    /// Finds the token in `values`, each an index of `sources` and a value of that header. Ignores tokens for which
    /// `counts` is `false`.
    ///
    /// The same token twice is one token. Different tokens are an error, because the upstream might use the token that
    /// the filter did not check.
    pub fn find(
        sources: &[TokenSource],
        values: &[(usize, &'h [u8])],
        counts: impl Fn(Self) -> bool,
    ) -> Result<Option<Self>, Denial> {
        let mut found: Option<Self> = None;
        let mut see = |token: Option<Self>| match (token, found) {
            (None, _) => Ok(()),
            (Some(token), Some(other)) if other == token => Ok(()),
            (Some(token), _) if !counts(token) => Ok(()),
            (Some(token), None) => {
                found = Some(token);
                Ok(())
            }
            (Some(_), Some(_)) => {
                Err(Reason::ConflictingTokens.because("several different tokens"))
            }
        };
        for (source, value) in values {
            let Some(source) = sources.get(*source) else { continue };
            match has_comma(value) {
                false => see(source.token_in(value))?,
                true => items(value).try_for_each(|item| see(source.token_in(item)))?,
            }
        }
        Ok(found)
    }

    /// The bytes of the token.
    pub fn bytes(self) -> &'h [u8] {
        self.0
    }
}

impl PartialEq for BearerToken<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Most often both refer to the same thousand bytes.
        std::ptr::eq(self.0, other.0) || self.0 == other.0
    }
}

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BearerToken({} bytes)", self.0.len())
    }
}

// === impl TokenSource ===

impl TokenSource {
    /// The token in one item of the header's value; `None` if the item is empty or has another scheme.
    fn token_in<'h>(&self, item: &'h [u8]) -> Option<BearerToken<'h>> {
        if item.is_empty() {
            return None;
        }
        let Some(prefix) = &self.prefix else { return Some(BearerToken(item)) };
        match item.split_at_checked(prefix.len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(prefix.as_bytes()) => {
                Some(BearerToken(token))
            }
            // `Bearer` without a token: Envoy removes trailing spaces.
            _ => {
                item.eq_ignore_ascii_case(prefix.trim_end().as_bytes()).then_some(BearerToken(b""))
            }
        }
    }

    /// Whether a header's value consists of the prefix and this token, which was found in it.
    pub fn has_only(&self, token: BearerToken<'_>, value: &[u8]) -> bool {
        let prefix = self.prefix.as_ref().map_or(0, String::len);
        value.get(prefix..).is_some_and(|rest| std::ptr::eq(rest, token.0))
    }

    /// Whether one item of a header's value is this token.
    pub fn is(&self, token: BearerToken<'_>, item: &[u8]) -> bool {
        self.token_in(item) == Some(token)
    }
}

/// The items of a header value. Envoy joins several `Authorization` headers with a comma, which no token contains.
pub fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = has_comma(value);
    // White space surrounds the items of a list. In a single value it is part of the (malformed) token.
    let lone = (!list).then_some(value);
    let listed = list.then(|| value.split(|b| *b == b',').map(<[u8]>::trim_ascii));
    lone.into_iter().chain(listed.into_iter().flatten())
}

/// Compares a word at a time, because a token has about a thousand bytes. Uses Alan Mycroft's test for a zero byte:
/// `(x - 0x0101..) & !x & 0x8080..`.
fn has_comma(value: &[u8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let (words, rest) = value.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| {
        let zero_where_comma = u64::from_le_bytes(*word) ^ u64::from_le_bytes([b','; 8]);
        found | (zero_where_comma.wrapping_sub(ONES) & !zero_where_comma)
    });
    found & HIGHS != 0 || rest.contains(&b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<TokenSource> {
        vec![
            TokenSource { header: "authorization".into(), prefix: Some("Bearer ".into()) },
            TokenSource { header: "x-client-id".into(), prefix: None },
        ]
    }

    fn find(values: &[(usize, &'static str)]) -> Result<Option<&'static [u8]>, Reason> {
        let values: Vec<_> = values.iter().map(|(source, v)| (*source, v.as_bytes())).collect();
        BearerToken::find(&sources(), &values, |_| true)
            .map(|token| token.map(BearerToken::bytes))
            .map_err(|denial| denial.reason())
    }

    #[test]
    fn scheme_is_case_insensitive() {
        assert_eq!(find(&[(0, "bEaReR abc")]), Ok(Some(b"abc".as_slice())));
    }

    #[test]
    fn second_space_is_part_of_the_token() {
        assert_eq!(find(&[(0, "Bearer  abc")]), Ok(Some(b" abc".as_slice())));
    }

    #[test]
    fn another_scheme_or_an_empty_header_is_not_a_token() {
        for value in ["Basic YTpi", "", "Bearerabc", "Digest username=\"Bearer\""] {
            assert_eq!(find(&[(0, value)]), Ok(None), "{value}");
        }
        assert_eq!(find(&[(1, "")]), Ok(None));
    }

    #[test]
    fn scheme_without_a_token_is_an_empty_token() {
        assert_eq!(find(&[(0, "Bearer")]), Ok(Some(b"".as_slice())));
        assert_eq!(find(&[(0, "Bearer ")]), Ok(Some(b"".as_slice())));
    }

    #[test]
    fn the_same_token_twice_is_one_token() {
        assert_eq!(find(&[(0, "Bearer abc,Bearer abc"), (1, "abc")]), Ok(Some(b"abc".as_slice())));
    }

    #[test]
    fn different_tokens_conflict_in_any_header() {
        for values in [
            vec![(0, "Bearer abc,Bearer abd")],
            vec![(0, "Bearer abc"), (1, "abd")],
            vec![(1, "abc"), (1, "abd")],
            vec![(0, "Basic YTpi, Bearer abc, Bearer abd")],
        ] {
            assert_eq!(find(&values), Err(Reason::ConflictingTokens), "{values:?}");
        }
    }

    #[test]
    fn ignored_tokens_are_not_found_and_do_not_conflict() {
        let values: [(usize, &[u8]); 2] = [(0, b"Bearer foreign"), (1, b"ours")];
        let ours = |token: BearerToken<'_>| token.bytes() == b"ours";
        let found = BearerToken::find(&sources(), &values, ours);
        assert_eq!(found, Ok(Some(BearerToken(b"ours"))));
        assert_eq!(BearerToken::find(&sources(), &values[..1], ours), Ok(None));
    }

    #[test]
    fn comma_is_found_at_any_position() {
        for length in 0..80 {
            let plain: Vec<u8> =
                (0..length).map(|n| [b'-', b'+', 0xff, 0x80, 0, 0xac][n % 6]).collect();
            assert!(!has_comma(&plain), "{plain:?}");
            for at in 0..length {
                let mut listed = plain.clone();
                listed[at] = b',';
                assert!(has_comma(&listed), "{listed:?}");
            }
        }
    }

    #[test]
    fn debug_output_does_not_contain_the_token() {
        assert_eq!(format!("{:?}", BearerToken(b"secret")), "BearerToken(6 bytes)");
    }
}
