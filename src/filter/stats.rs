//! Changes of figures -> Envoy's stats, each defined the first time that it is needed.

use crate::metrics::Change;
use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use std::collections::HashMap;

/// The numbers of the stats that Envoy knows of us, by name.
#[derive(Default)]
pub(super) struct Stats(HashMap<String, u32>);

// === impl Stats ===

impl Stats {
    /// Tells Envoy of one change. What it does not take is lost: no request depends on it.
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
