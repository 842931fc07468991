//! The events during the soak with their start and end, and whether an event overlaps a
//! request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An event that changes the expected responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The API server `east`, which has the keys of the first issuer, does not answer as it should.
    EastTrouble,
    /// The API server `west` fails key fetches: no caller may be affected.
    WestKeysTrouble,
    /// The API server `west`, which reviews the second issuer's tokens, does not answer as it should.
    WestTrouble,
    /// A key of `east` is being published or removed. Tokens with unknown keys watch this, and use
    /// the refetch limit.
    EastRotates,
    /// The configuration that denies `web/web` on `/toggle/*` is active on at least one worker.
    WebIsOut,
    /// The configuration that allows `web/web` on `/toggle/*` is active on at least one worker.
    WebIsIn,
}

/// The start and end of an event; no end while it lasts.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Event.
    pub what: Event,
    /// Since when.
    pub from: Instant,
    /// Until when.
    pub to: Option<Instant>,
}

/// All events so far.
#[derive(Debug)]
pub struct EventLog {
    start: Instant,
    spans: Mutex<Vec<Span>>,
}

// === impl EventLog ===

impl EventLog {
    /// Begins now.
    pub fn new() -> Self {
        Self { start: Instant::now(), spans: Mutex::default() }
    }

    /// It begins.
    pub fn begins(&self, what: Event) {
        self.with(|spans| spans.push(Span { what, from: Instant::now(), to: None }));
    }

    /// It is over.
    pub fn ends(&self, what: Event) {
        self.with(|spans| {
            let open = spans.iter_mut().filter(|span| span.what == what && span.to.is_none());
            open.for_each(|span| span.to = Some(Instant::now()));
        });
    }

    /// Whether the event overlaps this interval.
    pub fn overlaps(&self, what: Event, from: Instant, to: Instant) -> bool {
        let over = |span: &Span| span.from <= to && span.to.is_none_or(|end| end >= from);
        self.with(|spans| spans.iter().any(|span| span.what == what && over(span)))
    }

    /// Everything, with times since the start.
    pub fn since_start(&self) -> Vec<(Event, Duration, Duration)> {
        let end = Instant::now();
        let since = |at: Instant| at.saturating_duration_since(self.start);
        let told = |span: &Span| (span.what, since(span.from), since(span.to.unwrap_or(end)));
        self.with(|spans| spans.iter().map(told).collect())
    }

    /// The duration.
    pub fn age(&self) -> Duration {
        self.start.elapsed()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Span>) -> T) -> T {
        act(&mut self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_overlap_a_request_are_found() {
        let (before, events) = (Instant::now(), EventLog::new());
        let quiet = Instant::now();
        std::thread::sleep(Duration::from_millis(1));
        events.begins(Event::EastTrouble);
        let during = Instant::now();
        assert!(events.overlaps(Event::EastTrouble, before, during));
        assert!(!events.overlaps(Event::EastTrouble, before, quiet));
        assert!(!events.overlaps(Event::WestTrouble, before, during));
        events.ends(Event::EastTrouble);
        let after = Instant::now() + Duration::from_millis(1);
        assert!(events.overlaps(Event::EastTrouble, during, after));
        assert!(!events.overlaps(Event::EastTrouble, after, after));
    }
}
