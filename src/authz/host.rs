//! Normalization of the request's host, and host patterns of rules.
//!
//! The host is compared as in the request, except for case, because Envoy's router selects the virtual host in the same
//! way. If rules ignored the port or a trailing dot, `www.example:9999` would match the rule for `www.example`, but
//! Envoy would route it to another virtual host.

use crate::denial::{Denial, Reason};
use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

/// A host in lower case, and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalHost {
    /// ASCII.
    name: Vec<u8>,
    port: Option<u16>,
}

/// The hosts that a rule covers: `a.example`, or every host below it (`*.a.example`), and the ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    pub(super) name: String,
    /// Whether the pattern covers the hosts below the name, and not the name itself.
    pub(super) below: bool,
    pub(super) port: PortPattern,
}

/// The ports that a pattern covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum PortPattern {
    /// `a.example`: the request's host has no port.
    Absent,
    /// `a.example:8080`: this one.
    Number(u16),
    /// `a.example:*`: any port, or none.
    Any,
}

// === impl NormalHost ===

impl NormalHost {
    /// Parses `:authority`. Envoy joins several Host headers with commas. The filter does not know which of them the
    /// upstream uses, so such a host is an error.
    pub fn parse(authority: &[u8]) -> Result<Self, Denial> {
        let (name, port) = split(authority).ok_or_else(|| ambiguous(MALFORMED))?;
        if name.len() > LONGEST_NAME {
            return Err(ambiguous(TOO_LONG));
        }
        let name = name.to_ascii_lowercase();
        if !is_name(&name) {
            check_address(&name)?;
        }
        let port = port.map(number).transpose()?;
        Ok(Self { name, port })
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name as text, without loss because it is ASCII.
    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for NormalHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text())?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

// === impl HostPattern ===

impl HostPattern {
    /// Parses a pattern of the configuration. `Err` has the error message.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let (host, below) = match pattern.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (pattern, false),
        };
        let (host, any_port) = match host.strip_suffix(":*") {
            Some(rest) => (rest, true),
            None => (host, false),
        };
        let expected = || {
            "expected a host without a port (\"api.example\", \"*.example\"), with a port \
             (\"api.example:8080\"), or with any port or none (\"api.example:*\")"
                .to_owned()
        };
        if (below && host.starts_with('['))
            || (any_port && split(host.as_bytes()).is_none_or(|(_, port)| port.is_some()))
        {
            return Err(expected());
        }
        let remedy = |host: &NormalHost| {
            let (below, any) = (if below { "*." } else { "" }, if any_port { ":*" } else { "" });
            format!("use \"{below}{host}{any}\"")
        };
        match NormalHost::parse(host.as_bytes()) {
            Ok(normal) if normal.to_string() == host => {
                let number = normal.port.map_or(PortPattern::Absent, PortPattern::Number);
                let port = if any_port { PortPattern::Any } else { number };
                Ok(Self { name: normal.text().into_owned(), below, port })
            }
            Ok(normal) => Err(format!("must be in lower case; {}", remedy(&normal))),
            Err(denial) => Err(nearest(host).map_or_else(expected, |host| {
                format!("matches no request: {}; {}", denial.detail(), remedy(&host))
            })),
        }
    }

    /// The same hosts with any port, and without one.
    #[must_use]
    pub fn with_any_port(&self) -> Self {
        Self { port: PortPattern::Any, ..self.clone() }
    }

    /// The same hosts with the port of `host`, or without a port if `host` has none.
    #[must_use]
    pub fn with_port_of(&self, host: &NormalHost) -> Self {
        let port = host.port.map_or(PortPattern::Absent, PortPattern::Number);
        Self { port, ..self.clone() }
    }

    /// Whether the pattern covers only hosts without a port.
    pub fn has_no_port(&self) -> bool {
        self.port == PortPattern::Absent
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)?;
        match self.port {
            PortPattern::Absent => Ok(()),
            PortPattern::Number(port) => write!(f, ":{port}"),
            PortPattern::Any => write!(f, ":*"),
        }
    }
}

/// The parent domains of a name, longest first.
pub(super) fn parents(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let dots = name.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    dots.filter_map(|(at, _)| name.get(at + 1..))
}

const MALFORMED: &str = "missing, repeated or malformed host";
const TOO_LONG: &str = "host longer than 253 bytes";

/// The longest name of a host (RFC 1035 section 3.1, as text). Each of its parent domains costs a lookup: without a limit, a
/// name that fills a request's headers, of 59 KB, would cost 29,500 lookups in 870 MB of text.
const LONGEST_NAME: usize = 253;

/// Splits `a.example:80` or `[::1]:80` into the name, or the address in brackets, and the port.
fn split(host: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let address = match host {
        [b'[', ..] => host.iter().position(|byte| *byte == b']')? + 1,
        _ => 0,
    };
    let rest = host.get(address..)?;
    match rest.iter().position(|byte| *byte == b':') {
        // Something else follows the address.
        Some(1..) if address > 0 => None,
        None if address > 0 && !rest.is_empty() => None,
        None => Some((host, None)),
        Some(colon) => Some((host.get(..address + colon)?, rest.get(colon + 1..))),
    }
}

/// Whether a name in lower case consists of labels of letters, digits, `-` and `_`, separated by dots.
fn is_name(name: &[u8]) -> bool {
    let mut is_empty = true;
    for byte in name {
        is_empty = match byte {
            b'.' if is_empty => return false,
            b'.' => true,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => false,
            _ => return false,
        }
    }
    !is_empty
}

/// Checks what is not a name: only the canonical form of an IPv6 address is a host.
#[cold]
fn check_address(host: &[u8]) -> Result<(), Denial> {
    let is_canonical = || {
        let host = std::str::from_utf8(host).ok()?;
        (canonical_address(host)? == host).then_some(())
    };
    match host {
        [b'[', ..] => {
            is_canonical().ok_or_else(|| ambiguous("IPv6 address not in canonical form (RFC 5952)"))
        }
        [name @ .., b'.'] if is_name(name) => Err(ambiguous("host with a trailing dot")),
        _ => Err(ambiguous(MALFORMED)),
    }
}

/// The canonical form (RFC 5952) of an IPv6 address in brackets, such as `[::1]`.
fn canonical_address(name: &str) -> Option<String> {
    let address: Ipv6Addr = name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    Some(format!("[{address}]"))
}

/// Parses a port without leading zeros, so that each port has one form.
fn number(port: &[u8]) -> Result<u16, Denial> {
    let digits = port.iter().all(u8::is_ascii_digit) && !port.starts_with(b"0");
    let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
    port.filter(|_| digits)
        .ok_or_else(|| ambiguous("port is not a number from 1 to 65535 without leading zeros"))
}

/// The closest valid host, for the remedy in error messages.
fn nearest(host: &str) -> Option<NormalHost> {
    let host = host.to_ascii_lowercase();
    let address = host.parse::<Ipv6Addr>().map(|address| format!("[{address}]"));
    let host = address.unwrap_or(host);
    let (name, port) = split(host.as_bytes())?;
    let name = std::str::from_utf8(name).ok()?;
    let port = port.and_then(|port| std::str::from_utf8(port).ok());
    let name = canonical_address(name).unwrap_or_else(|| name.trim_end_matches('.').to_owned());
    let port = port.map(|port| port.trim_start_matches('0')).filter(|port| !port.is_empty());
    let host = port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"));
    NormalHost::parse(host.as_bytes()).ok()
}

fn ambiguous(what: &'static str) -> Denial {
    Reason::AmbiguousPath.because(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_compared_as_written_except_for_case() {
        for (authority, expected) in [
            ("api.example", "api.example"),
            ("API.Example:8080", "api.example:8080"),
            ("a_b-c.example:65535", "a_b-c.example:65535"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"),
        ] {
            assert_eq!(NormalHost::parse(authority.as_bytes()).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn ambiguous_host_is_rejected() {
        const DOT: &str = "host with a trailing dot";
        const PORT: &str = "port is not a number from 1 to 65535 without leading zeros";
        const ADDRESS: &str = "IPv6 address not in canonical form (RFC 5952)";
        for (authority, detail) in [
            ("", MALFORMED),
            ("a,b", MALFORMED),
            ("a, b", MALFORMED),
            ("a b", MALFORMED),
            ("user@host", MALFORMED),
            ("a/b", MALFORMED),
            (":80", MALFORMED),
            ("h\u{f6}st", MALFORMED),
            (".", MALFORMED),
            ("a..", MALFORMED),
            ("a..b", MALFORMED),
            (".a", MALFORMED),
            ("[::1", MALFORMED),
            ("[::1]80", MALFORMED),
            ("*", MALFORMED),
            ("a.", DOT),
            ("a.example.:80", DOT),
            ("a:", PORT),
            ("a:0", PORT),
            ("a:080", PORT),
            ("a:65536", PORT),
            ("a:99999999999", PORT),
            ("a:+80", PORT),
            ("a:x", PORT),
            ("a:80:80", PORT),
            ("[::1]:", PORT),
            ("[a]", ADDRESS),
            ("[]", ADDRESS),
            ("[0:0:0:0:0:0:0:1]", ADDRESS),
            ("[::0001]:80", ADDRESS),
            ("[::1%eth0]", ADDRESS),
        ] {
            let denial = NormalHost::parse(authority.as_bytes()).expect_err(authority);
            assert_eq!(
                (denial.reason(), denial.detail()),
                (Reason::AmbiguousPath, detail),
                "{authority}"
            );
        }
        assert_eq!(NormalHost::parse(b"\xff").unwrap_err().detail(), MALFORMED);
        let longest = format!("{}a", "a.".repeat(126));
        assert!(NormalHost::parse(format!("{longest}:80").as_bytes()).is_ok());
        let longer = format!("a{longest}");
        assert_eq!(NormalHost::parse(longer.as_bytes()).unwrap_err().detail(), TOO_LONG);
    }

    #[test]
    fn pattern_is_a_host_or_a_parent_domain_with_optional_ports() {
        for pattern in [
            "a.example",
            "a.example:80",
            "a.example:*",
            "*.example",
            "*.example:8080",
            "*.example:*",
            "[::1]",
            "[::1]:80",
            "[::1]:*",
            "127.0.0.1:*",
        ] {
            assert_eq!(HostPattern::parse(pattern).unwrap().to_string(), pattern);
        }
        for pattern in [
            "",
            "*",
            "*:*",
            ":*",
            "a.*.example",
            "*example",
            "a:80:*",
            "a:*:80",
            "*.[::1]",
            "a,b",
            "a:65536",
            "a:x",
            "https://a",
        ] {
            let message = HostPattern::parse(pattern).expect_err(pattern);
            assert!(message.contains("expected a host"), "{pattern}: {message}");
        }
        let parents: Vec<_> = parents(b"a.b.example").collect();
        assert_eq!(parents, [b"b.example".as_slice(), b"example"]);
    }

    #[test]
    fn error_for_a_non_canonical_pattern_contains_the_canonical_form() {
        for (pattern, written) in [
            ("A.example", "a.example"),
            ("*.Example:*", "*.example:*"),
            ("a.example.", "a.example"),
            ("*.example.:8080", "*.example:8080"),
            ("a.example.:*", "a.example:*"),
            ("a.example:", "a.example"),
            ("a.example:0080", "a.example:80"),
            ("[0:0::1]:80", "[::1]:80"),
            ("::1", "[::1]"),
        ] {
            let message = HostPattern::parse(pattern).expect_err(pattern);
            assert!(message.ends_with(&format!("use {written:?}")), "{pattern}: {message}");
        }
    }
}
