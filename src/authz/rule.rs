//! One rule: which requests it covers, and whom it lets in or keeps out.

use super::accounts::Who;
use super::host::HostPattern;
use super::path::NormalPath;
use crate::verdict::Mode;
use std::rc::Rc;

/// A rule of the configuration, checked.
#[derive(Debug)]
pub struct Rule {
    /// How logs and metrics call it.
    pub name: Rc<str>,
    /// Any of these; `None` is any host.
    pub hosts: Option<Vec<HostPattern>>,
    /// Exact method names; `None` is any. `GET` does not include `HEAD`.
    pub methods: Option<Vec<String>>,
    /// Any of these; `None` is any path.
    pub paths: Option<Vec<PathPattern>>,
    /// Where the request came in.
    pub arrival: ArrivalPattern,
    /// Covers CORS preflights alone.
    pub cors_preflight: bool,
    /// Who is refused; everybody else goes on to `allow`, or to the next rule.
    pub deny: Option<Who>,
    /// Who may pass. An enforced rule that has it decides.
    pub allow: Option<Who>,
    /// `Shadow`: what it denies is only counted and logged.
    pub mode: Mode,
}

/// Where a request came in, as far as rules ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrivalPattern {
    /// Inbound or outbound listener.
    pub direction: Option<Direction>,
    /// The listener's ports; empty is any.
    pub ports: Vec<u16>,
}

/// `xds.listener_direction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the workload.
    Inbound,
    /// From the workload.
    Outbound,
}

/// What a rule is compared with, besides host and path.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'r> {
    /// `:method`.
    pub method: &'r [u8],
    /// Whether it is a CORS preflight (Fetch standard: OPTIONS with Origin and
    /// Access-Control-Request-Method).
    pub cors_preflight: bool,
    /// The listener's direction, where rules ask for it.
    pub direction: Option<Direction>,
    /// The listener's port, where rules ask for it.
    pub port: Option<u16>,
}

/// `/a/b`, `/a/*` (everything below `/a`, not `/a` itself), `/a/*/b` (one segment).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    pub(super) segments: Vec<Segment>,
    /// Whether everything below the segments is meant, and not they themselves.
    pub(super) below: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    /// One segment that is not empty.
    Any,
}

// === impl Rule ===

impl Rule {
    /// Whether the rule covers a request whose host and path it covers.
    pub fn covers(&self, request: &Circumstances<'_>) -> bool {
        self.covers_method(request) && self.covers_arrival(request)
    }

    /// Whether it covers the request's method, and that it is a CORS preflight where the rule asks for one.
    pub(super) fn covers_method(&self, request: &Circumstances<'_>) -> bool {
        let is = |name: &String| name.as_bytes() == request.method;
        self.methods.as_ref().is_none_or(|methods| methods.iter().any(is))
            && (!self.cors_preflight || request.cors_preflight)
    }

    /// Whether it covers the listener that received the request.
    pub(super) fn covers_arrival(&self, request: &Circumstances<'_>) -> bool {
        self.arrival.covers(request.direction, request.port)
    }

    /// Whether it is compared with a request's method. A CORS preflight is known by `OPTIONS`.
    pub(super) fn looks_at_method(&self) -> bool {
        self.methods.is_some() || self.cors_preflight
    }

    /// Whether everybody may pass, so that nobody needs to be proven.
    pub fn is_open(&self) -> bool {
        self.deny.is_none() && matches!(self.allow, Some(Who::Anyone))
    }

    /// Whether it decides every request that it covers, so that no rule behind it is asked.
    pub(super) fn is_last(&self) -> bool {
        self.allow.is_some() && self.mode == Mode::Enforce
    }

    /// Whether it is a shadow rule with `allow`: it decides where no enforced rule does.
    pub(super) fn is_shadow_allow(&self) -> bool {
        self.allow.is_some() && self.mode == Mode::Shadow
    }

    /// Whether it covers what its hosts, methods and paths say, whatever the request.
    pub(super) fn is_unconditional(&self) -> bool {
        !self.cors_preflight && self.arrival == ArrivalPattern::default()
    }
}

// === impl ArrivalPattern ===

impl ArrivalPattern {
    fn covers(&self, direction: Option<Direction>, port: Option<u16>) -> bool {
        self.direction.is_none_or(|wanted| direction == Some(wanted))
            && (self.ports.is_empty() || port.is_some_and(|port| self.ports.contains(&port)))
    }
}

// === impl PathPattern ===

impl PathPattern {
    /// Covers every path.
    pub const EVERYTHING: Self = Self { segments: Vec::new(), below: true };

    /// Reads a pattern of the configuration. `Err` says what is expected.
    ///
    /// A pattern that looks like a regular expression or a path template is refused: taken literally it would match
    /// no request, and a `deny` by it would let every request pass.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let normal = NormalPath::parse(pattern.as_bytes())
            .map_err(|denial| format!("no request's path can match it: {}", denial.detail()))?;
        let normal = normal.text();
        if normal.contains("%2A") {
            return Err("a `*` that stands for itself cannot be written: requests write it in two ways, which \
                        upstreams take for one"
                .to_owned());
        }
        if let Some(found) = normal.chars().find(|char| TEMPLATE.contains(char)) {
            return Err(format!("`{found}` is not supported: {FORMS}"));
        }
        let segments = || normal.split('/').skip(1);
        if let Some(segment) = segments().find(|segment| segment.starts_with(':')) {
            return Err(format!("{segment:?} is not a parameter: {FORMS}"));
        }
        // What a request is compared with has these characters themselves, and only their literal form is escaped.
        let written = LITERAL
            .iter()
            .fold(normal.clone().into_owned(), |text, (char, escape)| text.replace(*char, escape));
        if let Some((found, _)) = LITERAL.iter().find(|(char, _)| pattern.contains(*char)) {
            return Err(format!(
                "`{found}` is not supported: {FORMS}; for the character itself write {written:?}"
            ));
        }
        if written != pattern {
            return Err(format!("requests are compared in normal form: write {written:?}"));
        }
        let mut segments: Vec<_> = segments().map(Segment::parse).collect::<Result<_, _>>()?;
        let below = segments.last() == Some(&Segment::Any);
        if below {
            segments.pop();
        }
        Ok(Self { segments, below })
    }
}

/// What a pattern can be.
const FORMS: &str = "a pattern is an exact path (/a/b), with `*` for one whole segment (/a/*/b), or with a `/*` at the \
                     end for everything below (/a/*)";

/// Characters of regular expressions and path templates that no pattern has, escaped or not.
const TEMPLATE: [char; 8] = ['[', ']', '|', '^', '{', '}', '<', '>'];

/// Characters of regular expressions that paths have, too: escaped, they stand for themselves.
const LITERAL: [(char, &str); 4] = [('(', "%28"), (')', "%29"), ('+', "%2B"), ('$', "%24")];

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "*" => Ok(Self::Any),
            word if word.contains('*') => {
                Err(format!("`*` in {word:?} must stand for a whole segment, as in /a/* or /a/*/b"))
            }
            word => Ok(Self::Literal(word.to_owned())),
        }
    }
}
