//! Limits the log lines of one kind per second, and counts the dropped ones by reason.

use crate::time::UnixTime;
use std::collections::BTreeMap;
use std::time::Duration;

/// Lines that were not written, by reason.
pub(super) type Dropped = BTreeMap<&'static str, u64>;

/// The lines of one kind.
#[derive(Debug)]
pub(super) struct Budget {
    second: UnixTime,
    lines: u32,
    dropped: Dropped,
}

// === impl Budget ===

impl Budget {
    /// Admits a line, with the counts of lines dropped since the previous one; `None` if this line is dropped, too.
    pub(super) fn admit(&mut self, reason: &'static str, now: UnixTime) -> Option<Dropped> {
        if self.is_over(now) {
            (self.second, self.lines) = (now, 0);
        }
        if self.lines >= LINES_PER_SECOND {
            let count = self.dropped.entry(reason).or_insert(0);
            *count = count.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.dropped))
    }

    /// The counts of lines dropped in a past second, if no line has reported them since.
    pub(super) fn overdue(&mut self, now: UnixTime) -> Option<Dropped> {
        if self.is_over(now) { self.rest() } else { None }
    }

    /// The counts of dropped lines that no line has reported yet.
    pub(super) fn rest(&mut self) -> Option<Dropped> {
        let dropped = std::mem::take(&mut self.dropped);
        (!dropped.is_empty()).then_some(dropped)
    }

    /// Also when the clock was set back.
    fn is_over(&self, now: UnixTime) -> bool {
        now < self.second || now.since(self.second) >= SECOND
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { second: UnixTime::from_secs(0), lines: 0, dropped: Dropped::new() }
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// Enough to see what happens. A caller that is denied a thousand times a second must not fill a disk.
const LINES_PER_SECOND: u32 = 10;
