//! `cargo xtask test`: every check and test runs in order, and a summary comes out.

mod session;
mod step;
mod summary;
mod tally;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;

use crate::toolchain::Source;
use session::Session;
use step::Step;
use summary::Summary;

/// What to check, and with what.
#[derive(clap::Args)]
#[command(
    after_help = "ENVOY_PATH names an Envoy of your own, to run in place of the fetched ones."
)]
pub struct Options {
    /// Run this step alone; may be given more than once
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,

    /// List the steps, run nothing
    #[arg(long)]
    list: bool,

    /// Test in this Envoy, not in all that are supported; may be given more than once
    #[arg(long, value_name = "VERSION")]
    envoy_version: Vec<String>,

    /// Where the wasm32-wasip1 toolchain comes from; without it each source is tried in this order
    #[arg(long, value_name = "SOURCE", env = "SA_AUTHN_WASM_TOOLCHAIN")]
    toolchain: Option<Source>,
}

/// Runs the steps up to the first that fails; the last line says how many tests passed and failed.
pub fn run(options: &Options) -> Result<ExitCode> {
    if options.list {
        for step in Step::value_variants() {
            println!("{:<13} {}", step.name(), step.purpose());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut session = Session::new(&options.envoy_version, options.toolchain);
    let mut summary = Summary::default();
    let chosen = |step: &&Step| options.only.is_empty() || options.only.contains(step);
    for step in Step::value_variants().iter().filter(chosen) {
        println!("\n== {}: {}", step.name(), step.purpose());
        let start = Instant::now();
        let outcome = session.perform(*step);
        if let Err(error) = &outcome {
            println!("\nThe step `{}` failed: {error:#}", step.name());
            println!("To run it alone: cargo xtask test --only {}", step.name());
        }
        let failed = outcome.is_err();
        summary.add(step.name(), outcome.is_ok(), session.take_tally(), start.elapsed());
        if failed {
            break;
        }
    }
    print!("\n{summary}");
    Ok(if summary.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
