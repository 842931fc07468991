//! Applies metric changes to Envoy's stats. A stat is defined when it is first used.

use crate::metrics::Change;
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use std::collections::HashMap;

/// Envoy's numbers of the filter's stats, by name.
#[derive(Default)]
pub(super) struct Stats(HashMap<String, u32>);

// === impl Stats ===

impl Stats {
    /// Applies one change. A change that Envoy refuses is lost; no request depends on it.
    pub(super) fn tell(&mut self, change: &Change) {
        let (name, kind) = match change {
            Change::Count(name, _) => (name.as_str(), MetricType::Counter),
            Change::Level(name, _) => (name.as_str(), MetricType::Gauge),
            Change::Shift(name, _) => (*name, MetricType::Gauge),
        };
        let Some(id) = self.id(name, kind) else { return };
        let _ = match change {
            Change::Count(_, count) => {
                hostcalls::increment_metric(id, i64::try_from(*count).unwrap_or(i64::MAX))
            }
            Change::Level(_, level) => hostcalls::record_metric(id, *level),
            Change::Shift(_, shift) => hostcalls::increment_metric(id, *shift),
        };
    }

    fn id(&mut self, name: &str, kind: MetricType) -> Option<u32> {
        if let Some(id) = self.0.get(name) {
            return Some(*id);
        }
        let id = hostcalls::define_metric(kind, name).ok()?;
        self.0.insert(name.to_owned(), id);
        Some(id)
    }
}
