//! A request's `:authority` -> the host and port that rules are compared with, or a refusal.
//!
//! The host is compared as the request has it, but for the case of its letters: so does Envoy's router choose the
//! virtual host. If rules left the port or a final dot out, `www.example:9999` would meet the rule for `www.example`
//! and be routed to another virtual host than `www.example`.

use crate::verdict::{Denial, Reason};
use std::fmt;
use std::net::Ipv6Addr;

/// A host in lower case, and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalHost {
    name: String,
    port: Option<u16>,
}

/// Which hosts a rule covers: `a.example` or, with `*.` in front, everything below it; with which ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    pub(super) name: String,
    /// Hosts with one or more labels before the name, and not the name itself.
    pub(super) below: bool,
    pub(super) port: PortPattern,
}

/// Which ports of a host.
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
    /// Several Host lines reach a filter as one value with commas between. Which of them the upstream
    /// uses is unknown, so such a request meets no rule.
    pub fn parse(authority: &[u8]) -> Result<Self, Denial> {
        let text = std::str::from_utf8(authority).map_err(|_| ambiguous(MALFORMED))?;
        let (name, port) = split(text).ok_or_else(|| ambiguous(MALFORMED))?;
        let name = name.to_ascii_lowercase();
        match name.strip_prefix('[') {
            Some(_) if canonical_address(&name).as_ref() == Some(&name) => {}
            Some(_) => {
                return Err(ambiguous("an IPv6 address that is not in canonical form (RFC 5952)"));
            }
            None if is_name(&name) => {}
            None if name.strip_suffix('.').is_some_and(is_name) => {
                return Err(ambiguous("a host with a dot at its end"));
            }
            None => return Err(ambiguous(MALFORMED)),
        }
        let port = port.map(number).transpose()?;
        Ok(Self { name, port })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Display for NormalHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

// === impl HostPattern ===

impl HostPattern {
    /// Reads a pattern of the configuration. `Err` says what is expected.
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
            "must be a host such as \"api.example\" or \"*.example\", which match no port, or with a port: \
             \"api.example:8080\", or \"api.example:*\" for any port and none"
                .to_owned()
        };
        if (below && host.starts_with('['))
            || (any_port && split(host).is_none_or(|(_, port)| port.is_some()))
        {
            return Err(expected());
        }
        let write = |host: &NormalHost| {
            let (below, any) = (if below { "*." } else { "" }, if any_port { ":*" } else { "" });
            format!("write \"{below}{host}{any}\"")
        };
        match NormalHost::parse(host.as_bytes()) {
            Ok(normal) if normal.to_string() == host => {
                let number = normal.port.map_or(PortPattern::Absent, PortPattern::Number);
                let port = if any_port { PortPattern::Any } else { number };
                Ok(Self { name: normal.name, below, port })
            }
            Ok(normal) => Err(format!("hosts are compared in lower case: {}", write(&normal))),
            Err(denial) => Err(nearest(host).map_or_else(expected, |host| {
                format!("no request's host can match it: {}: {}", denial.detail(), write(&host))
            })),
        }
    }

    /// The same hosts with any port, and without one.
    #[must_use]
    pub fn with_any_port(&self) -> Self {
        Self { port: PortPattern::Any, ..self.clone() }
    }

    /// The same hosts with the port of `host`, or without one as it.
    #[must_use]
    pub fn with_port_of(&self, host: &NormalHost) -> Self {
        let port = host.port.map_or(PortPattern::Absent, PortPattern::Number);
        Self { port, ..self.clone() }
    }

    /// Whether it leaves out requests that name a port.
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

/// What follows each dot of a name, longest first.
pub(super) fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').filter_map(|(at, _)| name.get(at + 1..))
}

const MALFORMED: &str = "a host that is missing, repeated or malformed";

/// `a.example:80`, `[::1]:80`: the name or the address with its brackets, and what follows the colon.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let colon = match text.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')? + 2;
            match text.get(end..)? {
                "" => return Some((text, None)),
                rest if rest.starts_with(':') => end,
                _ => return None,
            }
        }
        None => match text.find(':') {
            Some(at) => at,
            None => return Some((text, None)),
        },
    };
    Some((text.get(..colon)?, Some(text.get(colon + 1..)?)))
}

/// Letters, digits, `-` and `_`, in labels with a dot between two.
fn is_name(name: &str) -> bool {
    let mut label = 0usize;
    for byte in name.bytes() {
        match byte {
            b'.' if label == 0 => return false,
            b'.' => label = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            _ => return false,
        }
    }
    label > 0
}

/// `[::1]`, for an address in brackets that is written in any form.
fn canonical_address(name: &str) -> Option<String> {
    let address: Ipv6Addr = name.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
    Some(format!("[{address}]"))
}

/// `1*5DIGIT`, of which there is one form for each port.
fn number(port: &str) -> Result<u16, Denial> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let port = port.parse().ok().filter(|_| digits);
    port.ok_or_else(|| {
        ambiguous("a port that is not a number from 1 to 65535 without leading zeros")
    })
}

/// What was probably meant by a host that no request can have.
fn nearest(host: &str) -> Option<NormalHost> {
    let host = host.to_ascii_lowercase();
    let address = host.parse::<Ipv6Addr>().map(|address| format!("[{address}]"));
    let host = address.unwrap_or(host);
    let (name, port) = split(&host)?;
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
    fn a_host_is_compared_as_it_is_written_but_for_its_case() {
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
    fn a_host_with_two_readings_is_refused() {
        const DOT: &str = "a host with a dot at its end";
        const PORT: &str = "a port that is not a number from 1 to 65535 without leading zeros";
        const ADDRESS: &str = "an IPv6 address that is not in canonical form (RFC 5952)";
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
    }

    #[test]
    fn a_pattern_is_a_host_or_everything_below_one_and_the_ports() {
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
            assert!(message.contains("must be a host such as"), "{pattern}: {message}");
        }
        assert_eq!(parents("a.b.example").collect::<Vec<_>>(), ["b.example", "example"]);
    }

    #[test]
    fn a_pattern_that_no_host_has_is_answered_with_the_form_to_write() {
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
            assert!(message.ends_with(&format!("write {written:?}")), "{pattern}: {message}");
        }
    }
}
