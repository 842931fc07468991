//! The stats of an Envoy.

use sa_authn::metrics::label;
use std::collections::BTreeMap;

/// Counters and gauges by name.
#[derive(Debug, Default)]
pub struct Stats(BTreeMap<String, u64>);

// === impl Stats ===

impl Stats {
    /// Parses `/stats`: a line for each counter and gauge. Histograms have no single value.
    pub fn parse(text: &str) -> Self {
        let stat = |line: &str| {
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(text.lines().filter_map(stat).collect())
    }

    /// One of Envoy's own stats.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// The sum of the stats whose name contains this text.
    pub fn sum(&self, piece: &str) -> u64 {
        let matching = self.0.iter().filter(|(name, _)| name.contains(piece));
        matching.map(|(_, value)| value).fold(0, |sum, value| sum.saturating_add(*value))
    }

    /// One of the filter's stats with the name of an issuer as its last label.
    pub fn of_issuer(&self, name: &str, issuer: &str) -> Option<u64> {
        self.0.get(&format!("{PREFIX}{name}.{}", label(Some(issuer)))).copied()
    }

    /// The version of the module.
    pub fn version(&self) -> Option<String> {
        let start = format!("{PREFIX}build.");
        let version = self.0.keys().find_map(|name| name.strip_prefix(&start))?;
        Some(version.replace('_', "."))
    }

    /// The number of requests with this verdict, by reason.
    pub fn requests(&self, verdict: &str) -> BTreeMap<&str, u64> {
        let start = format!("{PREFIX}requests.{verdict}.");
        let mut counts = BTreeMap::new();
        for (name, count) in &self.0 {
            if let Some(rest) = name.strip_prefix(&start) {
                let reason = rest.split('.').next().unwrap_or_default();
                *counts.entry(reason).or_default() += count;
            }
        }
        counts
    }
}

const PREFIX: &str = "wasmcustom.sa_authn.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_of_the_filter_are_found_by_their_labels() {
        let stats = Stats::parse(
            "wasmcustom.sa_authn.build.0_1_0: 1\n\
             wasmcustom.sa_authn.keys.fetched_at.https://a_b: 7\n\
             wasmcustom.sa_authn.requests.denied.expired.none.none: 2\n\
             wasmcustom.sa_authn.requests.denied.expired.x.none: 3\n\
             http.a.downstream_cx_length_ms: P0(nan,1.0)\n",
        );
        assert_eq!(stats.version().as_deref(), Some("0.1.0"));
        assert_eq!(stats.of_issuer("keys.fetched_at", "https://a.b"), Some(7));
        assert_eq!(stats.requests("denied"), BTreeMap::from([("expired", 5)]));
    }
}
