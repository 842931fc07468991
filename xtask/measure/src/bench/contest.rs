//! Measures the contenders of a stage in turn.

use anyhow::{Context, Result, ensure};
use envoy_test::bench::Process;

use super::contender::{Contender, NO_FILTER};
use super::interrupted;
use super::plan::Plan;
use super::stage::{Lane, Stage};
use super::statistics::{Spread, quantile};
use super::tokens::Mint;

/// What a request cost with one contender. Times in microseconds.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The contender's key.
    pub key: String,
    /// The contender's label.
    pub label: String,
    /// CPU time of the Envoy process for a request.
    pub cpu: Spread,
    /// The same without what no filter cost just before.
    pub over: Spread,
    /// How long half of the answers took at most.
    pub p50: f64,
    /// How long 99 of 100 answers took at most.
    pub p99: f64,
}

/// One turn of a contender. Times in microseconds.
pub struct Turn {
    /// CPU time of the Envoy process for a request.
    pub cpu: f64,
    latencies: Vec<f64>,
}

#[derive(Default)]
struct Samples {
    cpu: Vec<f64>,
    over: Vec<f64>,
    latencies: Vec<f64>,
}

/// Starts an Envoy with these contenders, and measures them.
pub async fn hold(
    name: &str,
    envoy_version: &str,
    plan: &Plan,
    mint: &Mint,
    contenders: Vec<Contender>,
) -> Result<Vec<Cost>> {
    eprintln!("{name}:");
    let mut stage = Stage::start(envoy_version, plan, mint, contenders).await?;
    measure(&mut stage, plan).with_context(|| stage.log_tail())
}

/// Lets the contenders of a stage have their turns; the first must be the one without a filter.
///
/// Each turn follows as many requests without a filter, and their difference is the sample: what else the
/// machine does meanwhile changes both.
pub fn measure(stage: &mut Stage, plan: &Plan) -> Result<Vec<Cost>> {
    let process = stage.process();
    let (base, rivals) = stage.lanes.split_first_mut().context("no contenders")?;
    ensure!(base.contender.key == NO_FILTER, "{} comes first", base.contender.label);
    let mut base_samples = Samples::default();
    let mut samples: Vec<_> = rivals.iter().map(|_| Samples::default()).collect();
    for round in 0..plan.rounds {
        if (round + 1) % SAY_EVERY == 0 {
            eprintln!("  round {} of {}", round + 1, plan.rounds);
        }
        for at in order(round, rivals.len()) {
            interrupted()?;
            let (Some(lane), Some(samples)) = (rivals.get_mut(at), samples.get_mut(at)) else {
                continue;
            };
            let without = base_samples.take(turn(base, plan, process)?);
            let with = samples.take(turn(lane, plan, process)?);
            samples.over.push(with - without);
        }
    }
    base_samples.over.push(0.0);
    let costs = std::iter::once((&*base, &base_samples)).chain(rivals.iter().zip(&samples));
    Ok(costs.map(|(lane, samples)| Cost::of(&lane.contender, samples)).collect())
}

/// Sends the requests of one turn, and measures them.
pub fn turn(lane: &mut Lane, plan: &Plan, process: Process) -> Result<Turn> {
    let count = plan.turn(&lane.contender);
    let before = process.cpu_time()?;
    let latencies = lane.send(count).with_context(|| lane.contender.label.clone())?;
    let used = process.cpu_time()?.saturating_sub(before);
    ensure!(latencies.len() == count, "{} of {count} requests were answered", latencies.len());
    Ok(Turn { cpu: used.as_secs_f64() * 1e6 / count as f64, latencies })
}

// === impl Samples ===

impl Samples {
    /// Keeps a turn, and returns its CPU time.
    fn take(&mut self, turn: Turn) -> f64 {
        self.cpu.push(turn.cpu);
        self.latencies.extend(turn.latencies);
        turn.cpu
    }
}

// === impl Cost ===

impl Cost {
    fn of(contender: &Contender, samples: &Samples) -> Self {
        let mut latencies = samples.latencies.clone();
        latencies.sort_by(f64::total_cmp);
        Self {
            key: contender.key.clone(),
            label: contender.label.clone(),
            cpu: Spread::of(&samples.cpu),
            over: Spread::of(&samples.over),
            p50: quantile(&latencies, 0.5),
            p99: quantile(&latencies, 0.99),
        }
    }
}

// === private ===

/// No contender is always first, or always after the same one, because the previous one affects CPU caches.
pub fn order(round: usize, count: usize) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    order.rotate_left(round % count.max(1));
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

const SAY_EVERY: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_contender_has_one_turn_per_round_in_rotating_order() {
        let orders: Vec<_> = (0..4).map(|round| order(round, 4)).collect();
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3]);
        }
        let first: Vec<_> = orders.iter().map(|order| order[0]).collect();
        assert_eq!(first, [0, 0, 2, 2]);
    }
}
