//! Counts of responses, latencies and errors.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::kind::Kind;

/// The results so far.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// The counts.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Answers by kind of request and by what they said.
    pub answers: BTreeMap<Kind, BTreeMap<String, u64>>,
    /// Descriptions of the first unexpected responses.
    pub faults: Vec<String>,
    /// The number of unexpected responses.
    pub wrong: u64,
    /// The number of sent requests without a response.
    pub lost: u64,
    /// The number of requests without a response in time.
    pub stuck: u64,
    /// Callers that hung up, and expect no answer.
    pub gone: u64,
    /// Connections that ended before a request was sent on them; it went over another one.
    pub reopened: u64,
    /// Other errors, such as a disturbance that did not end.
    pub other: u64,
    /// In microseconds, since the last sample: steady callers with cached keys, and all callers.
    pub steady: Vec<f64>,
    /// The same for all callers except slow ones.
    pub all: Vec<f64>,
}

// === impl Tally ===

impl Tally {
    /// An answer that was right.
    pub fn right(&self, kind: Kind, answer: String, took: Duration) {
        self.with(|counts| {
            *counts.answers.entry(kind).or_default().entry(answer).or_default() += 1;
            let micros = took.as_secs_f64() * 1e6;
            if kind == Kind::EastSteady {
                counts.steady.push(micros);
            }
            counts.all.push(micros);
        });
    }

    /// An answer that was not.
    pub fn wrong(&self, kind: Kind, answer: &str, right: &[String]) {
        self.with(|counts| {
            counts.wrong += 1;
            counts.note(format!("{kind:?}: {answer}, expected {}", right.join(" or ")));
        });
    }

    /// No answer.
    pub fn lost(&self, kind: Kind, why: &anyhow::Error) {
        self.with(|counts| {
            counts.lost += 1;
            counts.note(format!("{kind:?}: lost: {why:#}"));
        });
    }

    /// No answer in time.
    pub fn stuck(&self, kind: Kind, limit: Duration) {
        self.with(|counts| {
            counts.stuck += 1;
            counts.note(format!("{kind:?}: no answer in {limit:?}"));
        });
    }

    /// Any other error.
    pub fn fault(&self, what: String) {
        self.with(|counts| {
            counts.other += 1;
            counts.note(what);
        });
    }

    /// A caller hung up.
    pub fn gone(&self) {
        self.with(|counts| counts.gone += 1);
    }

    /// A connection had ended.
    pub fn reopened(&self) {
        self.with(|counts| counts.reopened += 1);
    }

    /// The counts so far; the latencies are those since the last call.
    pub fn sample(&self) -> Counts {
        self.with(|counts| {
            let sample = counts.clone();
            counts.steady.clear();
            counts.all.clear();
            sample
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Counts ===

impl Counts {
    /// The number of requests with the expected response.
    pub fn right(&self) -> u64 {
        self.answers.values().flat_map(BTreeMap::values).sum()
    }

    /// Whether there were no errors.
    pub fn is_clean(&self) -> bool {
        self.wrong + self.lost + self.stuck + self.other == 0
    }

    fn note(&mut self, fault: String) {
        eprintln!("  FAULT: {fault}");
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        }
    }
}

const MOST_FAULTS: usize = 100;
