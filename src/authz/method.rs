//! The methods that rules are compared with.

use crate::table::Table;
use crate::verdict::{Denial, Reason};

/// The methods that a request can have where rules look at methods. Method names are case-sensitive (RFC 9110
/// section 9.1), but there are upstreams that compare them without regard to case or take an unknown one for GET: a
/// request must not skip a rule for DELETE as `delete`.
#[derive(Debug, Default)]
pub(super) struct KnownMethods {
    /// Methods of the configuration that no RFC below names.
    named: Table<()>,
}

// === impl KnownMethods ===

impl KnownMethods {
    /// Adds a method that a rule names.
    pub(super) fn insert(&mut self, method: &str) {
        if !is_standard(method.as_bytes()) {
            self.named.insert(method.as_bytes().into(), ());
        }
    }

    /// Refuses a method that is neither standard nor named by a rule.
    pub(super) fn check(&self, method: &[u8]) -> Result<(), Denial> {
        if is_standard(method) || self.named.contains_key(method) {
            return Ok(());
        }
        Err(Reason::UnknownMethod.because("a method that neither RFC 9110 nor a rule names"))
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
        methods.insert("PURGE");
        methods.insert("GET");
        for method in ["GET", "CONNECT", "TRACE", "PATCH", "PURGE"] {
            methods.check(method.as_bytes()).expect(method);
        }
        for method in ["", "get", "Get", "GET ", "GETX", "GE", "purge", "QUERY", "M-SEARCH"] {
            let denial = methods.check(method.as_bytes()).expect_err(method);
            assert_eq!(denial.reason(), Reason::UnknownMethod, "{method:?}");
        }
    }
}
