//! One request of the demo, with its description and expected outcome.

use envoy_test::Request;

/// A request and its expected outcome.
#[derive(Clone, Debug)]
pub struct Case {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// A short description of its token and headers.
    pub sent: &'static str,
    /// The request itself.
    pub request: Request,
    /// The expected outcome.
    pub expected: Expected,
}

/// The expected outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The request reaches the upstream with this caller (`namespace/name`), or without one.
    Passes(Option<&'static str>),
    /// The filter denies the request with this status and reason.
    Refused(u16, &'static str),
}

// === impl Case ===

impl Case {
    /// A GET with the changes of `load`.
    pub fn get(
        path: &'static str,
        sent: &'static str,
        expected: Expected,
        load: impl FnOnce(Request) -> Request,
    ) -> Self {
        Self::new("GET", path, sent, expected, load)
    }

    /// A POST with the changes of `load`.
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
    /// The expected status.
    pub fn status(self) -> u16 {
        match self {
            Self::Passes(_) => 200,
            Self::Refused(status, _) => status,
        }
    }

    /// The reason in the body; `None` if the upstream responds.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Passes(_) => None,
            Self::Refused(_, reason) => Some(reason),
        }
    }
}
