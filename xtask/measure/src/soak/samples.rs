//! Samples of Envoy's memory and latency, every few seconds.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use envoy_test::bench::Process;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::interval;

use super::stage::Stage;
use crate::bench::statistics::quantile;

/// One moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Since the start, in seconds.
    pub at: f64,
    /// The resident memory of Envoy, in bytes.
    pub resident: u64,
    /// The linear memories of all VMs together, in bytes.
    pub wasm: u64,
    /// How many VMs there are.
    pub vms: usize,
    /// Answers so far.
    pub answers: u64,
    /// In microseconds, since the sample before: half of the steady callers with keys at hand took less.
    pub p50: f64,
    /// 99 of 100 did.
    pub p99: f64,
    /// 99 of 100 of all callers did.
    pub p99_all: f64,
}

/// Takes samples until the stage ends.
pub fn start(stage: &Arc<Stage>) -> JoinHandle<Result<Vec<Sample>>> {
    let stage = stage.clone();
    tokio::spawn(async move {
        let (mut samples, mut pace) = (Vec::new(), interval(PERIOD));
        pace.tick().await;
        while !stage.is_over() {
            pace.tick().await;
            samples.push(Sample::take(&stage)?);
        }
        Ok(samples)
    })
}

// === impl Sample ===

impl Sample {
    fn take(stage: &Stage) -> Result<Self> {
        let process = Process::new(stage.envoy.pid());
        let memories = process.wasm_memories()?;
        let counts = stage.tally.sample();
        let sorted = |mut latencies: Vec<f64>| {
            latencies.sort_by(f64::total_cmp);
            latencies
        };
        let (answers, steady, all) =
            (counts.right() + counts.wrong, sorted(counts.steady), sorted(counts.all));
        Ok(Self {
            at: stage.events.age().as_secs_f64(),
            resident: process.resident_bytes()?,
            wasm: memories.iter().sum(),
            vms: memories.len(),
            answers,
            p50: quantile(&steady, 0.5),
            p99: quantile(&steady, 0.99),
            p99_all: quantile(&all, 0.99),
        })
    }

    /// For summary.json.
    pub fn json(&self) -> Value {
        json!({
            "seconds": self.at.round(),
            "resident_bytes": self.resident,
            "wasm_bytes": self.wasm,
            "vms": self.vms,
            "answers": self.answers,
            "steady_p50_us": self.p50.round(),
            "steady_p99_us": self.p99.round(),
            "all_p99_us": self.p99_all.round(),
        })
    }
}

const PERIOD: Duration = Duration::from_secs(5);
