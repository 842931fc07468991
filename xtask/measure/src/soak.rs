//! `cargo xtask soak`: mixed traffic and troubles go through one Envoy for long; what was lost, and what memory and
//! latency did, come out.
//!
//! `stage` is what runs, `callers` and `rude` send, `right` says what each answer must be while what `chronicle`
//! records goes on, `troubles` makes that go on, and `samples` measures. `flood` is the other soak: a great many
//! tokens, each once.

mod book;
mod callers;
mod chart;
mod chronicle;
mod dice;
mod flood;
mod judgement;
mod kind;
mod report;
mod right;
mod rude;
mod samples;
mod stage;
mod tally;
mod troubles;

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

/// What to run, and how long.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves summary.json, results.md and chart.svg in target/soak, and fails if any request was lost, stuck or wrongly
judged, if a VM died, or if memory grew. docs/endurance.md says what is sent and what is right.
ENVOY_PATH names an Envoy of your own, to run in place of a fetched one.")]
pub struct Options {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 30)]
    minutes: u64,

    /// Send N valid tokens that all differ, and N of junk, as fast as they are answered; in place of the soak
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    tokens: Option<u64>,

    /// Envoy's workers
    #[arg(long, value_name = "N", default_value_t = 4)]
    workers: u32,

    /// The Envoy to run
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_VERSION)]
    envoy_version: String,

    /// This module, in place of a fresh build
    #[arg(long, value_name = "PATH")]
    module: Option<PathBuf>,

    /// Where the wasm32-wasip1 toolchain comes from; without it each source is tried in this order
    #[arg(long, value_name = "SOURCE", env = "SA_AUTHN_WASM_TOOLCHAIN")]
    toolchain: Option<Source>,
}

/// Builds the module, and soaks it.
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

/// Until the time is up, or until it is asked to end: what was seen so far is reported then, too.
async fn soak(stage: &Arc<Stage>, time: Duration) -> Result<Report> {
    let mut interrupt = Interrupt::listen()?;
    let callers = callers::start(stage);
    let rude = rude::start(stage);
    let sampler = samples::start(stage);
    let troubles = tokio::select! {
        outcome = troubles::go_on(stage, time) => outcome,
        () = interrupt.comes() => Ok(()),
    };
    stage.over();
    for task in callers.into_iter().chain(rude) {
        task.await?;
    }
    let samples = sampler.await??;
    // What went wrong last explains what could not be restored.
    if let Err(error) = troubles {
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
