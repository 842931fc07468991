//! Authorization rules and path patterns.

use super::access::AccessRule;
use super::accounts::Who;
use super::host::HostPattern;
use super::path::NormalPath;
use crate::connection::Direction;
use std::rc::Rc;

/// A validated rule.
#[derive(Debug)]
pub struct Rule {
    /// The name in logs and metrics.
    pub name: Rc<str>,
    /// The hosts; `None` matches any host.
    pub hosts: Option<Vec<HostPattern>>,
    /// The methods; `None` matches any method. `GET` does not include `HEAD`.
    pub methods: Option<Vec<String>>,
    /// The paths; `None` matches any path.
    pub paths: Option<Vec<PathPattern>>,
    /// The listeners.
    pub arrival: ArrivalPattern,
    /// Whether the rule covers only CORS preflight requests.
    pub cors_preflight: bool,
    /// The callers that the rule denies. For other callers `allow` is evaluated, or the next rule.
    pub deny: Option<Who>,
    /// The callers that the rule allows. An enforced rule with `allow` decides every request that it covers.
    pub allow: Option<Who>,
    /// `Shadow`: denials are only logged and counted.
    pub mode: Mode,
}

/// The listeners that a rule covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrivalPattern {
    /// The direction; `None` matches both.
    pub direction: Option<Direction>,
    /// The ports of the listener; empty matches any port.
    pub ports: Vec<u16>,
}

/// Whether denials are enforced (`mode` in the configuration).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A denied request is rejected.
    #[default]
    Enforce,
    /// A denied request is counted and logged, and passes.
    Shadow,
}

/// The request attributes that rules are compared with, besides host and path.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestAttributes<'r> {
    /// `:method`.
    pub method: &'r [u8],
    /// Whether the request is a CORS preflight (Fetch standard: OPTIONS with Origin and Access-Control-Request-Method).
    pub cors_preflight: bool,
    /// The direction of the listener, if a rule has `direction`.
    pub direction: Option<Direction>,
    /// The port of the listener, if a rule has `ports`.
    pub port: Option<u16>,
}

/// `/a/b`, `/a/*` (every path below `/a`, but not `/a` itself), or `/a/*/b` (one segment in place of `*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    pub(super) segments: Vec<Segment>,
    /// Whether the pattern covers every path below the segments, and not the segments themselves.
    pub(super) below: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    /// Any segment that is not empty.
    Any,
}

// === impl Rule ===

impl Rule {
    /// Whether the rule covers the request, apart from its host and path.
    pub fn covers(&self, request: &RequestAttributes<'_>) -> bool {
        self.covers_method(request) && self.covers_arrival(request)
    }

    /// Whether the rule covers the method of the request, and `corsPreflight` matches.
    pub(super) fn covers_method(&self, request: &RequestAttributes<'_>) -> bool {
        let is = |name: &String| name.as_bytes() == request.method;
        self.methods.as_ref().is_none_or(|methods| methods.iter().any(is))
            && (!self.cors_preflight || request.cors_preflight)
    }

    /// Whether the rule covers the listener that received the request.
    pub(super) fn covers_arrival(&self, request: &RequestAttributes<'_>) -> bool {
        self.arrival.matches(request.direction, request.port)
    }

    /// Whether the rule depends on the method. `corsPreflight` does, because a preflight has the method `OPTIONS`.
    pub(super) fn looks_at_method(&self) -> bool {
        self.methods.is_some()
            || self.cors_preflight
            || self.access().is_some_and(AccessRule::looks_at_method)
    }

    /// Whether the rule depends on the path.
    pub(super) fn looks_at_path(&self) -> bool {
        self.paths.is_some() || self.access().is_some_and(AccessRule::looks_at_path)
    }

    /// What the rule asks Kubernetes RBAC, if it does.
    pub fn access(&self) -> Option<&AccessRule> {
        match &self.allow {
            Some(Who::KubernetesRbac(access)) => Some(access),
            _ => None,
        }
    }

    /// Whether the rule allows every caller, so that no authentication is needed.
    pub fn is_open(&self) -> bool {
        self.deny.is_none() && matches!(self.allow, Some(Who::Anyone))
    }

    /// Whether the rule decides every request that it covers, so that no later rule is evaluated.
    pub(super) fn is_last(&self) -> bool {
        self.allow.is_some() && self.mode == Mode::Enforce
    }

    /// Whether this is a shadow rule with `allow`, which decides if no enforced rule does.
    pub(super) fn is_shadow_allow(&self) -> bool {
        self.allow.is_some() && self.mode == Mode::Shadow
    }

    /// Whether only hosts, methods and paths determine which requests the rule covers.
    pub(super) fn is_unconditional(&self) -> bool {
        !self.cors_preflight && self.arrival == ArrivalPattern::default()
    }
}

// === impl ArrivalPattern ===

impl ArrivalPattern {
    fn matches(&self, direction: Option<Direction>, port: Option<u16>) -> bool {
        self.direction.is_none_or(|wanted| direction == Some(wanted))
            && (self.ports.is_empty() || port.is_some_and(|port| self.ports.contains(&port)))
    }
}

// === impl PathPattern ===

impl PathPattern {
    /// The pattern that covers every path.
    pub const EVERYTHING: Self = Self { segments: Vec::new(), below: true };

    /// Parses a pattern of the configuration. `Err` has the error message.
    ///
    /// A pattern that looks like a regular expression or a path template is an error: taken literally, it would match
    /// no request, and a `deny` rule with it would deny no request.
    pub fn parse(pattern: &str) -> Result<Self, String> {
        let normal = NormalPath::parse(pattern.as_bytes())
            .map_err(|denial| format!("matches no request: {}", denial.detail()))?;
        let normal = normal.text();
        if normal.contains("%2A") {
            return Err(
                "a literal `*` is not supported, because upstreams treat its two forms in requests \
                 (`*`, `%2A`) as equal"
                    .to_owned(),
            );
        }
        if let Some(found) = normal.chars().find(|char| TEMPLATE.contains(char)) {
            return Err(format!("`{found}` is not supported: {FORMS}"));
        }
        let segments = || normal.split('/').skip(1);
        if let Some(segment) = segments().find(|segment| segment.starts_with(':')) {
            return Err(format!("parameters such as {segment:?} are not supported: {FORMS}"));
        }
        // The normal form of a request contains these characters unescaped; a pattern must escape them.
        let written = LITERAL
            .iter()
            .fold(normal.clone().into_owned(), |text, (char, escape)| text.replace(*char, escape));
        if let Some((found, _)) = LITERAL.iter().find(|(char, _)| pattern.contains(*char)) {
            return Err(format!(
                "`{found}` is not supported: {FORMS}; for the literal character use {written:?}"
            ));
        }
        if written != pattern {
            return Err(format!("must be in normal form; use {written:?}"));
        }
        let mut segments: Vec<_> = segments().map(Segment::parse).collect::<Result<_, _>>()?;
        let below = segments.last() == Some(&Segment::Any);
        if below {
            segments.pop();
        }
        Ok(Self { segments, below })
    }
}

/// The forms of patterns, for error messages.
const FORMS: &str = "use an exact path (/a/b), `*` in place of one segment (/a/*/b), or `/*` at the \
                     end for every path below (/a/*)";

/// Characters of regular expressions and path templates. They are not allowed in patterns, escaped or not.
const TEMPLATE: [char; 8] = ['[', ']', '|', '^', '{', '}', '<', '>'];

/// Characters of regular expressions that also occur in paths. A pattern must escape them.
const LITERAL: [(char, &str); 4] = [('(', "%28"), (')', "%29"), ('+', "%2B"), ('$', "%24")];

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "*" => Ok(Self::Any),
            word if word.contains('*') => {
                Err(format!("`*` in {word:?} must replace a whole segment, as in /a/* or /a/*/b"))
            }
            word => Ok(Self::Literal(word.to_owned())),
        }
    }
}
