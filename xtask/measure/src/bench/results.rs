//! The results of the benchmark, and their ratios.

use serde_json::{Value, json};

use super::contest::Cost;
use super::growth::{MANY_RULES, MANY_TOKENS, ONE_RULE, ONE_TOKEN};
use super::memory::Memory;
use super::optional::LeftOut;
use super::plan::Plan;
use super::rivals::{
    FLOOR, FLOOR_SDK, JWT_AUTHN, JWT_AUTHN_ES256, JWT_AUTHN_RS256, OURS, OURS_ES256, OURS_RS256,
    REVIEW_EACH, REVIEW_WARM,
};
use super::startup::Startup;

/// One run of the benchmark.
pub struct Results {
    /// The Envoy that was run.
    pub envoy_version: String,
    /// How many requests each contender got.
    pub plan: Plan,
    /// The main contest.
    pub rivals: Vec<Cost>,
    /// Tokens, rules, workers.
    pub growth: Vec<Vec<Cost>>,
    /// Contenders that the module does not support.
    pub left_out: Vec<LeftOut>,
    /// What a VM takes.
    pub memory: Memory,
    /// From start to first verdict.
    pub startup: Startup,
    /// The size of the module.
    pub module_bytes: u64,
}

// === impl Results ===

impl Results {
    /// summary.json: CPU over no filter, divided by that of what it is compared with. `null` where one of both
    /// was left out.
    pub fn summary(&self) -> Value {
        let of = |key, reference| ratio(&self.rivals, key, reference);
        let growth =
            |key, reference| self.growth.iter().find_map(|costs| ratio(costs, key, reference));
        json!({
            "warm_vs_jwt_authn": of(OURS, JWT_AUTHN),
            "warm_vs_floor": of(OURS, FLOOR),
            "warm_vs_floor_sdk": of(OURS, FLOOR_SDK),
            "cold_rs256_vs_jwt_authn": of(OURS_RS256, JWT_AUTHN_RS256),
            "cold_es256_vs_jwt_authn": of(OURS_ES256, JWT_AUTHN_ES256),
            "tokens_100k_vs_1": growth(MANY_TOKENS, ONE_TOKEN),
            "rules_10k_vs_1": growth(MANY_RULES, ONE_RULE),
            "review_saved": of(REVIEW_EACH, REVIEW_WARM),
            "module_bytes": self.module_bytes,
            "vm_bytes_10k_tokens": self.memory.vm_with_many_tokens,
        })
    }
}

// === private ===

fn ratio(costs: &[Cost], key: &str, reference: &str) -> Option<f64> {
    let over = |key| costs.iter().find(|cost| cost.key == key).map(|cost| cost.over.median);
    let (own, reference) = (over(key)?, over(reference)?);
    // Noise can make nothing of what is nearly nothing; no ratio is made of that.
    (reference > 0.0).then(|| rounded(own / reference))
}

fn rounded(ratio: f64) -> f64 {
    (ratio * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::statistics::Spread;

    fn cost(key: &str, over: f64) -> Cost {
        let spread = |median| Spread { low: median, median, high: median };
        let (key, label) = (key.to_owned(), key.to_owned());
        Cost { key, label, cpu: spread(100.0 + over), over: spread(over), p50: 0.0, p99: 0.0 }
    }

    #[test]
    fn ratio_compares_the_cost_above_no_filter() {
        let costs = [cost("a", 30.0), cost("b", 120.0)];
        assert_eq!(ratio(&costs, "a", "b"), Some(0.25));
    }

    #[test]
    fn no_ratio_without_a_measured_positive_cost() {
        let costs = [cost("a", 30.0), cost("b", -0.1)];
        assert_eq!(ratio(&costs, "a", "c"), None);
        assert_eq!(ratio(&costs, "a", "b"), None);
    }
}
