//! The request methods that rules know.

use crate::authz::Mode;
use crate::denial::{Denial, Reason};
use crate::table::Table;

/// The methods that a request can have if rules use methods. Method names are case-sensitive (RFC 9110 section 9.1), but
/// some upstreams ignore case or treat an unknown method as GET: a request with `delete` must not skip a rule for DELETE.
#[derive(Debug, Default)]
pub(super) struct KnownMethods {
    /// Methods of the configuration that no RFC below names, and whether an enforced rule names them.
    named: Table<bool>,
}

/// Whether rules know a request's method.
#[derive(Debug)]
pub(super) enum MethodCheck {
    /// It is standard, or an enforced rule names it.
    Known,
    /// Only shadow rules name it. For them it is known; for enforced rules it is not, because a shadow rule must not
    /// change what they decide.
    KnownToShadow(Denial),
    /// It is neither standard nor named by a rule.
    Unknown(Denial),
}

// === impl KnownMethods ===

impl KnownMethods {
    /// Adds a method that a rule in this mode names.
    pub(super) fn insert(&mut self, method: &str, mode: Mode) {
        if !is_standard(method.as_bytes()) {
            *self.named.entry(method.as_bytes().into()).or_default() |= mode == Mode::Enforce;
        }
    }

    /// Whether the method is standard or named by a rule.
    pub(super) fn look_up(&self, method: &[u8]) -> MethodCheck {
        let unknown =
            || Reason::UnknownMethod.because("a method that neither RFC 9110 nor a rule names");
        if is_standard(method) {
            return MethodCheck::Known;
        }
        match self.named.get(method) {
            Some(true) => MethodCheck::Known,
            Some(false) => MethodCheck::KnownToShadow(unknown()),
            None => MethodCheck::Unknown(unknown()),
        }
    }
}

/// RFC 9110 section 9.3, and PATCH (RFC 5789).
fn is_standard(method: &[u8]) -> bool {
    matches!(
        method,
        b"GET"
            | b"HEAD"
            | b"POST"
            | b"PUT"
            | b"DELETE"
            | b"CONNECT"
            | b"OPTIONS"
            | b"TRACE"
            | b"PATCH"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_known_by_its_exact_name() {
        let mut methods = KnownMethods::default();
        methods.insert("PURGE", Mode::Shadow);
        methods.insert("PURGE", Mode::Enforce);
        methods.insert("BAN", Mode::Shadow);
        methods.insert("GET", Mode::Shadow);
        for method in ["GET", "CONNECT", "TRACE", "PATCH", "PURGE"] {
            assert!(matches!(methods.look_up(method.as_bytes()), MethodCheck::Known), "{method}");
        }
        assert!(matches!(methods.look_up(b"BAN"), MethodCheck::KnownToShadow(_)));
        for method in ["", "get", "Get", "GET ", "GETX", "GE", "purge", "QUERY", "M-SEARCH"] {
            let MethodCheck::Unknown(denial) = methods.look_up(method.as_bytes()) else {
                panic!("{method:?} is known")
            };
            assert_eq!(denial.reason(), Reason::UnknownMethod, "{method:?}");
        }
    }
}
