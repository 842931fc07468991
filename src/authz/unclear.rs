//! The route of a request of which the host, the path or the method has two readings.

use super::index::Numbers;
use super::rule::{Circumstances, Rule};
use crate::verdict::{Denial, Mode, Reason};

/// What of a request has two readings, each with its refusal.
#[derive(Debug)]
pub(super) struct Unclear {
    pub(super) host: Option<Denial>,
    pub(super) path: Option<Denial>,
    pub(super) method: Option<Denial>,
}

// === impl Unclear ===

impl Unclear {
    /// The rules up to the first that decides, or the refusal by the first rule that looks at what is unclear.
    ///
    /// `clear` are the rules that cover the host and the path as far as these are clear, in order.
    #[cold]
    pub(super) fn route(
        self,
        rules: &[Rule],
        clear: &Numbers,
        request: &Circumstances<'_>,
    ) -> Result<Numbers, Denial> {
        let mut numbers = Numbers::new();
        for (at, rule) in rules.iter().enumerate() {
            let covers_method = self.method.is_some() || rule.covers_method(request);
            if !covers_method || !rule.covers_arrival(request) {
                continue;
            }
            let is_clear = clear.binary_search(&at).is_ok();
            if let Some(denial) = self.looked_at_by(rule, is_clear) {
                // A shadow rule without `allow` changes nothing, whether or not it covers the request.
                if rule.mode == Mode::Shadow && rule.allow.is_none() {
                    continue;
                }
                return Err(denial.clone());
            }
            if !is_clear {
                continue;
            }
            numbers.push(at);
            if rule.allow.is_some() {
                return Ok(numbers);
            }
        }
        let nothing = || Reason::Internal.because("nothing of the request is unclear");
        Err(self.host.or(self.path).or(self.method).unwrap_or_else(nothing))
    }

    fn looked_at_by(&self, rule: &Rule, is_clear: bool) -> Option<&Denial> {
        let host = self.host.as_ref().filter(|_| rule.hosts.is_some());
        let path = self.path.as_ref().filter(|_| rule.paths.is_some());
        // A rule for another path or host is not compared with the method.
        let method = self.method.as_ref().filter(|_| is_clear && rule.looks_at_method());
        host.or(path).or(method)
    }
}
