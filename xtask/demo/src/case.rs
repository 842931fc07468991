//! One request of the demo: what is sent, what the table calls it, and what must become of it.

use envoy_test::Request;

/// A request and what must become of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// What it carries, in a few words.
    pub sent: &'static str,
    /// The request itself.
    pub request: Request,
    /// What must become of it.
    pub expected: Expected,
}

/// What must become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It reaches the upstream, with this caller (`namespace/name`) or none in the identity headers.
    Passes(Option<&'static str>),
    /// The filter answers with this status and reason, and nothing reaches the upstream.
    Refused(u16, &'static str),
}

// === impl Case ===

impl Case {
    /// A GET that carries what `load` puts on it.
    pub fn get(
        path: &'static str,
        sent: &'static str,
        expected: Expected,
        load: impl FnOnce(Request) -> Request,
    ) -> Self {
        Self::new("GET", path, sent, expected, load)
    }

    /// A POST that carries what `load` puts on it.
    pub fn post(
        path: &'static str,
        sent: &'static str,
        expected: Expected,
        load: impl FnOnce(Request) -> Request,
    ) -> Self {
        Self::new("POST", path, sent, expected, load)
    }

    fn new(
        method: &'static str,
        path: &'static str,
        sent: &'static str,
        expected: Expected,
        load: impl FnOnce(Request) -> Request,
    ) -> Self {
        Self { method, path, sent, request: load(Request::method(method, path)), expected }
    }
}

// === impl Expected ===

impl Expected {
    /// The status that the caller gets.
    pub fn status(self) -> u16 {
        match self {
            Self::Passes(_) => 200,
            Self::Refused(status, _) => status,
        }
    }

    /// The reason in the answer's body; None where the upstream answers.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Passes(_) => None,
            Self::Refused(_, reason) => Some(reason),
        }
    }
}
