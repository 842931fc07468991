//! `cargo xtask soak`: sends mixed traffic with disturbances through one Envoy for a long time, and reports lost requests,
//! memory and latency.
//!
//! `stage` has the running processes, `callers` and `slow_callers` send, `expected` has the expected responses during the events that `events`
//! records, `disturbances` causes these events, and `samples` measures. `flood` is the other soak: a large number of
//! different tokens.

mod callers;
mod chart;
mod disturbances;
mod events;
mod expected;
mod flood;
mod kind;
mod memory_growth;
mod random;
mod report;
mod samples;
mod slow_callers;
mod stage;
mod tally;
mod tokens;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use envoy_test::envoy::binary::{DEFAULT_VERSION, envoy_binary};
use tokio::runtime::Runtime;

use crate::interrupt::Interrupt;
use crate::toolchain::{Source, Toolchain};
use crate::{repository, wasm};

use report::Report;
use stage::Stage;

/// The options.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves summary.json, results.md and chart.svg in target/soak, and fails if any request was lost, stuck or wrongly
judged, if a VM died, or if memory grew. docs/endurance.md says what is sent and what is right.
ENVOY_PATH names an Envoy of your own, to run in place of a fetched one.")]
pub struct Options {
    /// Duration
    #[arg(long, value_name = "N", default_value_t = 30)]
    minutes: u64,

    /// Send N different valid tokens and N invalid tokens without pauses, instead of the soak
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    tokens: Option<u64>,

    /// Envoy's workers
    #[arg(long, value_name = "N", default_value_t = 4)]
    workers: u32,

    /// The Envoy to run
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_VERSION)]
    envoy_version: String,

    /// Use this module instead of a fresh build
    #[arg(long, value_name = "PATH")]
    module: Option<PathBuf>,

    /// Source of the wasm32-wasip1 toolchain; default: try each source in this order
    #[arg(long, value_name = "SOURCE", env = "SA_AUTHN_WASM_TOOLCHAIN")]
    toolchain: Option<Source>,
}

/// Builds the module, and runs the soak.
pub fn run(options: &Options) -> Result<ExitCode> {
    envoy_binary(&options.envoy_version)?;
    let module = match &options.module {
        Some(module) => module.canonicalize().with_context(|| module.display().to_string())?,
        None => wasm::build(&Toolchain::find(options.toolchain)?)?,
    };
    let (version, workers) = (options.envoy_version.as_str(), options.workers);
    Runtime::new()?.block_on(async {
        if let Some(tokens) = options.tokens {
            return flood::run(version, module, workers, tokens).await;
        }
        let stage = Arc::new(Stage::start(version, module, workers).await?);
        let report = soak(&stage, Duration::from_secs(60 * options.minutes)).await?;
        write(&report)?;
        Ok(report.exit_code())
    })
}

/// Runs until the time is over or a signal arrives; the report covers the time so far.
async fn soak(stage: &Arc<Stage>, time: Duration) -> Result<Report> {
    let mut interrupt = Interrupt::listen()?;
    let callers = callers::start(stage);
    let slow = slow_callers::start(stage);
    let sampler = samples::start(stage);
    let disturbances = tokio::select! {
        outcome = disturbances::go_on(stage, time) => outcome,
        () = interrupt.comes() => Ok(()),
    };
    stage.over();
    for task in callers.into_iter().chain(slow) {
        task.await?;
    }
    let samples = sampler.await??;
    // The last errors explain what could not be restored.
    if let Err(error) = disturbances {
        stage.tally.fault(format!("{error:#}"));
    }
    Report::of(stage, samples).await
}

fn write(report: &Report) -> Result<()> {
    let folder = repository::root().join("target/soak");
    fs::create_dir_all(&folder)?;
    let text = report.markdown();
    fs::write(
        folder.join("summary.json"),
        serde_json::to_string_pretty(&report.summary())? + "\n",
    )?;
    fs::write(folder.join("results.md"), &text)?;
    fs::write(folder.join("chart.svg"), chart::render(report))?;
    print!("{text}");
    eprintln!("Written: summary.json, results.md and chart.svg in {}", folder.display());
    Ok(())
}
