//! A request's `:authority` -> the one host that rules are compared with, or a refusal.

use crate::verdict::{Denial, Reason};

/// A host in normal form: lower-case, without port and final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalHost(String);

/// `a.example`, or `*.example` for everything below.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Hosts with one or more labels before this.
    Below(String),
}

// === impl NormalHost ===

impl NormalHost {
    /// Several Host lines reach a filter as one value with commas between. Which of them the upstream
    /// goes by nobody knows, so such a request meets no rule.
    pub fn parse(authority: &[u8]) -> Result<Self, Denial> {
        let ambiguous = |what: &'static str| Reason::AmbiguousPath.because(what);
        let text =
            std::str::from_utf8(authority).map_err(|_| ambiguous("a host that is no text"))?;
        let host = match text.rsplit_once(':') {
            // The last colon of an IPv6 address stands inside its brackets.
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => text,
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if host.is_empty() || !host.bytes().all(is_host_byte) {
            return Err(ambiguous("a host that is missing, manifold or malformed"));
        }
        Ok(Self(host))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What remains behind each dot, longest first.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('.').filter_map(|(at, _)| self.0.get(at + 1..))
    }
}

// === impl HostPattern ===

impl HostPattern {
    /// Reads a pattern of the configuration. `Err` says what would be right.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let (host, below) = match pattern.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        match NormalHost::parse(host.as_bytes()) {
            Ok(normal) if normal.0 == host && below => Ok(Self::Below(normal.0)),
            Ok(normal) if normal.0 == host => Ok(Self::Exact(normal.0)),
            Ok(normal) => Err(format!("hosts are compared in normal form: write {:?}", normal.0)),
            Err(_) => Err("must be a host such as \"api.example\" or \"*.example\"".to_owned()),
        }
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_host_has_one_form() {
        for (authority, expected) in [
            ("api.example", "api.example"),
            ("API.Example:8080", "api.example"),
            ("api.example.", "api.example"),
            ("api.example.:80", "api.example"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(NormalHost::parse(authority.as_bytes()).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_host_that_is_two_hosts_or_none_is_refused() {
        for authority in ["", "a,b", "a, b", "a b", "user@host", "a/b", ":80", "h\u{f6}st", "."] {
            let denial = NormalHost::parse(authority.as_bytes()).expect_err(authority);
            assert_eq!(denial.reason(), Reason::AmbiguousPath, "{authority}");
        }
    }

    #[test]
    fn a_pattern_is_a_host_or_everything_below_one() {
        assert_eq!(HostPattern::parse("*.example"), Ok(HostPattern::Below("example".into())));
        assert_eq!(HostPattern::parse("a.example"), Ok(HostPattern::Exact("a.example".into())));
        for pattern in ["*", "a.*.example", "*example", "A.example", "a.example:80", ""] {
            HostPattern::parse(pattern).expect_err(pattern);
        }
        let host = NormalHost::parse(b"a.b.example").unwrap();
        assert_eq!(host.parents().collect::<Vec<_>>(), ["b.example", "example"]);
    }
}
