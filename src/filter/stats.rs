//! Changes of figures -> Envoy's stats, each defined the first time that it is needed.

use super::host;
use crate::metrics::Change;
use crate::time::UnixTime;
use std::collections::HashMap;
use std::time::Duration;

/// The stats that Envoy knows of us, by name; and when it was told last.
#[derive(Default)]
pub(super) struct Stats {
    ids: HashMap<String, u32>,
    told: Option<UnixTime>,
}

// === impl Stats ===

impl Stats {
    /// Whether it is time again.
    pub(super) fn is_due(&mut self, now: UnixTime) -> bool {
        let due = self.told.is_none_or(|told| now < told || now.since(told) >= INTERVAL);
        if due {
            self.told = Some(now);
        }
        due
    }

    /// Tells Envoy of one change. What it does not take is lost: no request depends on it.
    pub(super) fn tell(&mut self, change: &Change) {
        let (name, kind) = match change {
            Change::Count(name, _) => (name.as_str(), host::Metric::Counter),
            Change::Level(name, _) => (name.as_str(), host::Metric::Gauge),
            Change::Shift(name, _) => (*name, host::Metric::Gauge),
        };
        let Some(id) = self.id(name, kind) else { return };
        let _ = match change {
            Change::Count(_, count) => {
                host::increment_metric(id, i64::try_from(*count).unwrap_or(i64::MAX))
            }
            Change::Level(_, level) => host::record_metric(id, *level),
            Change::Shift(_, shift) => host::increment_metric(id, *shift),
        };
    }

    fn id(&mut self, name: &str, kind: host::Metric) -> Option<u32> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        let id = host::define_metric(kind, name).ok()?;
        self.ids.insert(name.to_owned(), id);
        Some(id)
    }
}

const INTERVAL: Duration = Duration::from_secs(1);
