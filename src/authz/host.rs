//! A request's `:authority` -> the one host that rules are compared with, or a refusal.

use crate::verdict::{Denial, Reason};
use std::net::Ipv6Addr;

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
        let text = std::str::from_utf8(authority).unwrap_or_default();
        let host = match text.strip_prefix('[') {
            Some(rest) => address(rest),
            None => name(text),
        };
        host.map(Self).ok_or_else(|| {
            Reason::AmbiguousPath.because("a host that is missing, manifold or malformed")
        })
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

/// `::1]:80`: what stands behind the bracket of an IPv6 address.
fn address(rest: &str) -> Option<String> {
    let (address, port) = rest.split_once(']')?;
    let address: Ipv6Addr = address.parse().ok()?;
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_number);
    port_fits.then(|| format!("[{address}]"))
}

/// `api.example.:80`
fn name(text: &str) -> Option<String> {
    let host = match text.split_once(':') {
        Some((host, port)) => is_number(port).then_some(host)?,
        None => text,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let labels = host.split('.').all(|label| !label.is_empty() && label.bytes().all(fits));
    labels.then_some(host)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
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
        for authority in [
            "",
            "a,b",
            "a, b",
            "a b",
            "user@host",
            "a/b",
            ":80",
            "h\u{f6}st",
            ".",
            "a:80:80",
            "a..",
            "a..b",
            ".a",
            "[a]",
            "[::1",
            "[::1]80",
        ] {
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
