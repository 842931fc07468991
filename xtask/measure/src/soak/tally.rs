//! Answers come in; counts, latencies and what was wrong go out.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::kind::Kind;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// The figures.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Answers by kind of request and by what they said.
    pub answers: BTreeMap<Kind, BTreeMap<String, u64>>,
    /// Answers that were not right, in words; the first of them.
    pub faults: Vec<String>,
    /// How many answers were not right.
    pub wrong: u64,
    /// How many requests had no answer, though they were sent.
    pub lost: u64,
    /// How many had none in time.
    pub stuck: u64,
    /// Callers that hung up, and expect no answer.
    pub gone: u64,
    /// Connections that ended before a request was sent on them; it went over another one.
    pub reopened: u64,
    /// Whatever else went wrong, such as a trouble that did not end.
    pub other: u64,
    /// In microseconds, since the last sample: steady callers with keys at hand, and everybody.
    pub steady: Vec<f64>,
    /// The same of everybody who is not slow himself.
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
            counts.note(format!("{kind:?}: {answer} instead of {}", right.join(" or ")));
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

    /// Anything else that should not have been.
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
    /// How many requests were answered as they should be.
    pub fn right(&self) -> u64 {
        self.answers.values().flat_map(BTreeMap::values).sum()
    }

    /// Whether nothing was lost, stuck, wrong or amiss.
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
