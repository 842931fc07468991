//! Metrics of one VM, as changes of Envoy's stats.
//!
//! All VMs share Envoy's stats. So counters are incremented, and gauges are either changed by a difference (paused requests)
//! or set to a value that is the same in all VMs (when keys were fetched). Labels are parts of the stat's name, in a fixed
//! order, and Envoy's `stats_tags` extract them. Each label is a reason, or the name of a rule or an issuer, so callers
//! cannot create new ones.

use crate::authenticator::{AccessReviewed, KeysSettled, ReviewSettled, Tally};
use crate::authn::keys::Settled;
use crate::authz::access::AccessAnswer;
use crate::denial::{Denial, Reason};
use crate::exchange::Finished;
use crate::time::UnixTime;
use crate::verdict::Verdict;
use std::collections::HashMap;
use std::rc::Rc;

/// The metrics of one VM that have not been added to Envoy's stats yet.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By labels and not by name, because formatting a name costs more than the rest of a request.
    requests: HashMap<RequestLabels, u64>,
    /// The labels of the last request, and how many requests in a row had them.
    run: Option<(RequestLabels, u64)>,
    counts: HashMap<String, u64>,
    levels: HashMap<String, u64>,
    waiting: usize,
    waiting_told: usize,
}

/// The labels of a request.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RequestLabels {
    verdict: &'static str,
    reason: &'static str,
    rule: Option<Rc<str>>,
    issuer: Option<Rc<str>>,
}

/// A change of one of Envoy's stats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add to a counter.
    Count(String, u64),
    /// Set a gauge.
    Level(String, u64),
    /// Change a gauge by a difference.
    Shift(&'static str, i64),
}

// === impl Metrics ===

impl Metrics {
    /// Counts a request by its verdict.
    pub fn finished(&mut self, finished: &Finished) {
        let (verdict, denial) = match &finished.verdict {
            Verdict::Allow(..) => ("allowed", None),
            Verdict::Deny(denial) => ("denied", Some(denial)),
            Verdict::Shadow(permit, _) => ("shadow_denied", Some(permit.denial())),
        };
        // A request with an invalid token that passes by a rule for anyone has the token's reason.
        let unproven = finished.caller.as_ref().err();
        let reason = denial.or(unproven).map_or("none", |denial| denial.reason().code());
        let issuer = finished.caller.as_ref().ok().map(|caller| caller.issuer_name());
        if finished.unreviewed.is_some() {
            self.count(format!("unreviewed.{}", label(issuer.map(|name| &**name))));
        }
        self.request(verdict, reason, finished.rule.as_ref(), issuer);
        for rule in &finished.shadow_denied_by {
            self.count(format!("shadow_denied.{}", label(Some(rule))));
        }
    }

    fn request(
        &mut self,
        verdict: &'static str,
        reason: &'static str,
        rule: Option<&Rc<str>>,
        issuer: Option<&Rc<str>>,
    ) {
        if let Some((labels, count)) = &mut self.run
            && labels.are(verdict, reason, rule, issuer)
        {
            *count = count.saturating_add(1);
            return;
        }
        self.end_run();
        let (rule, issuer) = (rule.cloned(), issuer.cloned());
        self.run = Some((RequestLabels { verdict, reason, rule, issuer }, 1));
    }

    fn end_run(&mut self) {
        if let Some((labels, more)) = self.run.take() {
            let count = self.requests.entry(labels).or_default();
            *count = count.saturating_add(more);
        }
    }

    /// Counts a fetch of keys.
    pub fn fetched(&mut self, settled: &KeysSettled, now: UnixTime) {
        let issuer = label(Some(&settled.name));
        let outcome = match &settled.outcome {
            Settled::Continues => return,
            Settled::Renewed { keys, .. } => {
                self.levels.insert(format!("sa_authn.keys.count.{issuer}"), *keys as u64);
                self.levels.insert(format!("sa_authn.keys.fetched_at.{issuer}"), now.as_secs());
                "success"
            }
            Settled::Failed(_) => "failure",
        };
        self.count(format!("key_fetches.{outcome}.{issuer}"));
    }

    /// Counts lookups of unknown key IDs for which the rate limit allowed no fetch.
    pub fn rate_limited(&mut self, issuer: &str, count: u64) {
        self.add(&format!("key_fetches.rate_limited.{}", label(Some(issuer))), count);
    }

    /// Counts a review by its result.
    pub fn reviewed(&mut self, settled: &ReviewSettled) {
        let outcome = match settled.reviewed.outcome().map_err(Denial::reason) {
            Ok(_) => "accepted",
            Err(Reason::Revoked) => "refused",
            Err(Reason::ReviewMismatch) => "mismatch",
            Err(Reason::ReviewUnavailable) => "unavailable",
            // Expired, forged, or for another audience.
            Err(_) => "invalid",
        };
        self.count(format!("reviews.{outcome}.{}", label(Some(&settled.name))));
    }

    /// Counts a review of an access by its result.
    pub fn access_reviewed(&mut self, reviewed: &AccessReviewed) {
        let outcome = match reviewed.answer() {
            AccessAnswer::Allowed(_) => "allowed",
            AccessAnswer::Denied(_) => "denied",
            AccessAnswer::Unavailable(_) | AccessAnswer::Pending(_) => "unavailable",
        };
        self.count(format!("access_reviews.{outcome}.{}", label(Some(reviewed.issuer()))));
    }

    /// Counts cache lookups.
    pub fn looked_up(&mut self, tally: Tally) {
        let counts = [
            ("token_cache.hit", tally.token_hits),
            ("token_cache.miss", tally.token_misses),
            ("review_cache.accepted", tally.approval_hits),
            ("review_cache.refused", tally.refusal_hits),
            ("review_cache.miss", tally.review_misses),
            ("access_cache.allowed", tally.access_allowed),
            ("access_cache.denied", tally.access_denied),
            ("access_cache.miss", tally.access_misses),
        ];
        for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            self.add(name, count);
        }
    }

    /// Sets the number of paused requests.
    pub fn waiting(&mut self, count: usize) {
        self.waiting = count;
    }

    /// The changes since the last call.
    pub fn take(&mut self) -> Vec<Change> {
        self.end_run();
        for (labels, count) in std::mem::take(&mut self.requests) {
            self.add(&labels.name(), count);
        }
        let counts = self.counts.drain().map(|(name, count)| Change::Count(name, count));
        let levels = self.levels.drain().map(|(name, level)| Change::Level(name, level));
        let mut changes: Vec<_> = counts.chain(levels).collect();
        let shift = difference(self.waiting, self.waiting_told);
        if shift != 0 {
            changes.push(Change::Shift("sa_authn.waiting", shift));
            self.waiting_told = self.waiting;
        }
        changes
    }

    fn count(&mut self, name: String) {
        self.add(&name, 1);
    }

    fn add(&mut self, name: &str, more: u64) {
        let count = self.counts.entry(format!("sa_authn.{name}")).or_default();
        *count = count.saturating_add(more);
    }
}

// === impl RequestLabels ===

impl RequestLabels {
    /// Whether the labels are the same objects. `false` for equal labels from elsewhere does no harm.
    fn are(
        &self,
        verdict: &'static str,
        reason: &'static str,
        rule: Option<&Rc<str>>,
        issuer: Option<&Rc<str>>,
    ) -> bool {
        let same = |one: Option<&Rc<str>>, other: Option<&Rc<str>>| match (one, other) {
            (Some(one), Some(other)) => Rc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        std::ptr::eq(self.verdict, verdict)
            && std::ptr::eq(self.reason, reason)
            && same(self.rule.as_ref(), rule)
            && same(self.issuer.as_ref(), issuer)
    }

    fn name(&self) -> String {
        let (rule, issuer) = (label(self.rule.as_deref()), label(self.issuer.as_deref()));
        format!("requests.{}.{}.{rule}.{issuer}", self.verdict, self.reason)
    }
}

fn difference(now: usize, before: usize) -> i64 {
    let signed = |count| i64::try_from(count).unwrap_or(i64::MAX);
    signed(now).saturating_sub(signed(before))
}

/// Makes a name one part of a stat's name: dots separate parts, and Prometheus allows letters, digits and underscores.
pub fn label(name: Option<&str>) -> String {
    let Some(name) = name else { return "none".to_owned() };
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_-/:".contains(c) { c } else { '_' })
        .take(MAX_LABEL)
        .collect()
}

const MAX_LABEL: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_counted_by_reason_once() {
        let mut metrics = Metrics::default();
        let refused = Finished::refused(Reason::Expired.because(""));
        metrics.finished(&refused);
        metrics.finished(&refused);
        let name = "sa_authn.requests.denied.expired.none.none".to_owned();
        assert_eq!(metrics.take(), [Change::Count(name, 2)]);
        assert_eq!(metrics.take(), []);
    }

    #[test]
    fn a_gauge_that_all_vms_share_is_changed_by_what_changed_here() {
        let mut metrics = Metrics::default();
        metrics.waiting(3);
        assert_eq!(metrics.take(), [Change::Shift("sa_authn.waiting", 3)]);
        metrics.waiting(1);
        assert_eq!(metrics.take(), [Change::Shift("sa_authn.waiting", -2)]);
        assert_eq!(metrics.take(), []);
    }

    #[test]
    fn a_label_has_no_dots() {
        assert_eq!(label(Some("rules[0].x")), "rules_0__x");
        assert_eq!(label(Some("https://a.b")), "https://a_b");
    }
}
