//! `cargo xtask bench`: measures the cost of requests through one Envoy with and without the filter.
//!
//! `contender` is a measured filter, `filters` has the configurations; `stage` is an Envoy with a listener for
//! each, `contest` measures them in turn. `against` compares two builds of the filter.

mod against;
mod capabilities;
mod chart;
mod contender;
mod contest;
mod crossings;
mod filters;
mod growth;
mod listeners;
mod memory;
mod modules;
mod optional;
mod paired;
mod plan;
mod results;
mod rivals;
mod stage;
mod startup;
pub mod statistics;
mod tables;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use envoy_test::envoy::binary::{DEFAULT_VERSION, envoy_binary};
use tokio::runtime::Runtime;

use crate::interrupt::Interrupt;
use crate::toolchain::{Source, Toolchain};
use crate::wasm;

use against::Comparison;
use contender::{Contender, NO_FILTER};
use growth::Growth;
use modules::Modules;
use plan::Plan;
use results::Results;
use tokens::Mint;

/// The options.
#[derive(clap::Args)]
#[command(after_help = "\
Leaves summary.json, results.md, chart.svg and chart-summary.svg in target/bench; against.md with --against. docs/benchmark.md says what is measured.
ENVOY_PATH names an Envoy of your own, to run in place of a fetched one.")]
pub struct Options {
    /// Fewer rounds, in under three minutes
    #[arg(long)]
    quick: bool,

    /// Measure only the cost of each call between module and host
    #[arg(long)]
    crossings: bool,

    /// Measure only these contenders, by key, such as `floor,ours`; with --against, cases such as `warm,rules`
    #[arg(long, value_name = "KEYS", value_delimiter = ',', conflicts_with = "crossings")]
    only: Vec<String>,

    /// Only compare the module built from the source with this one, in one Envoy
    #[arg(long, value_name = "MODULE", conflicts_with_all = ["crossings", "quick"])]
    against: Option<PathBuf>,

    /// Compare this module, in place of the one built from the source
    #[arg(long, value_name = "MODULE", requires = "against")]
    module: Option<PathBuf>,

    /// Number of rounds of the comparison
    #[arg(long, value_name = "NUMBER", default_value_t = 600, requires = "against")]
    rounds: usize,

    /// The Envoy to run
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_VERSION)]
    envoy_version: String,

    /// Source of the wasm32-wasip1 toolchain; default: try each source in this order
    #[arg(long, value_name = "SOURCE", env = "SA_AUTHN_WASM_TOOLCHAIN")]
    toolchain: Option<Source>,
}

/// Builds what is measured, and measures it.
pub fn run(options: &Options) -> Result<()> {
    envoy_binary(&options.envoy_version)?;
    if let Some(old) = &options.against {
        return compare(options, old);
    }
    let modules = Modules::build(&Toolchain::find(options.toolchain)?)?;
    let plan = if options.quick { Plan::quick() } else { Plan::full() };
    Runtime::new()?.block_on(async {
        watch_for_signals()?;
        let mint = Mint::start().await?;
        if options.crossings {
            return measure_crossings(options, &plan, &mint, &modules).await;
        }
        if !options.only.is_empty() {
            return measure_some(options, &plan, &mint, &modules).await;
        }
        let results = measure(options, plan, &mint, &modules).await?;
        write(&results)
    })
}

/// Builds the module, and compares it with another one.
fn compare(options: &Options, old: &Path) -> Result<()> {
    ensure!(old.is_file(), "--against: {} is not a file", old.display());
    ensure!(options.rounds > 0, "--rounds: must be at least 1");
    let new = match &options.module {
        Some(module) => {
            fs::canonicalize(module).with_context(|| format!("--module: {}", module.display()))?
        }
        None => wasm::build(&Toolchain::find(options.toolchain)?)?,
    };
    Runtime::new()?.block_on(async {
        watch_for_signals()?;
        let comparison = Comparison {
            envoy_version: &options.envoy_version,
            rounds: options.rounds,
            mint: &Mint::start().await?,
            old: fs::canonicalize(old)?,
            new,
            only: &options.only,
        };
        print!("{}", comparison.run().await?);
        Ok(())
    })
}

async fn measure(options: &Options, plan: Plan, mint: &Mint, modules: &Modules) -> Result<Results> {
    let envoy_version = options.envoy_version.as_str();
    let (reviewing, mut left_out) =
        optional::sort(envoy_version, mint, rivals::reviewing(modules)).await?;
    let mut contenders = rivals::always(modules, mint);
    contenders.extend(reviewing);
    let rivals = contest::hold("Contest", envoy_version, &plan, mint, contenders).await?;

    let starts = if options.quick { 3 } else { 9 };
    // Only many rounds distinguish a change of 10 % from noise.
    let rounds = if options.quick { plan.rounds / 2 } else { plan.rounds };
    let few = Plan { rounds, ..plan };
    let growing = Growth { envoy_version, plan: &few, mint, modules };
    let (tokens, no_tokens) = growing.of_tokens().await?;
    left_out.extend(no_tokens);
    let mut growth = vec![tokens, growing.of_rules().await?];
    for workers in growth::WORKERS {
        growth.push(growing.of_workers(workers).await?);
    }
    Ok(Results {
        envoy_version: envoy_version.to_owned(),
        plan,
        rivals,
        growth,
        left_out,
        memory: memory::measure(envoy_version, mint, modules).await?,
        startup: startup::measure(envoy_version, mint, modules, starts).await?,
        module_bytes: modules.bytes()?,
    })
}

fn write(results: &Results) -> Result<()> {
    let folder = modules::output_folder()?;
    let summary = serde_json::to_string_pretty(&results.summary())?;
    let tables = tables::render(results);
    let subtitle = format!(
        "Envoy {}, one worker; medians of {} turns, with quartiles",
        results.envoy_version, results.plan.rounds
    );
    fs::write(folder.join("summary.json"), summary + "\n")?;
    fs::write(folder.join("results.md"), &tables)?;
    fs::write(folder.join("chart.svg"), chart::render(&results.rivals, &subtitle))?;
    fs::write(folder.join("chart-summary.svg"), chart::summary(&results.rivals, &subtitle))?;
    print!("{tables}");
    eprintln!(
        "Written: summary.json, results.md, chart.svg and chart-summary.svg in {}",
        folder.display()
    );
    Ok(())
}

/// A contest of a few contenders without files, for work on the filter.
async fn measure_some(
    options: &Options,
    plan: &Plan,
    mint: &Mint,
    modules: &Modules,
) -> Result<()> {
    let all = rivals::always(modules, mint);
    let known: Vec<_> = all.iter().map(|contender| contender.key.clone()).collect();
    for key in &options.only {
        ensure!(known.contains(key), "no contender {key:?}; expected one of {}", known.join(", "));
    }
    let chosen =
        |contender: &Contender| contender.key == NO_FILTER || options.only.contains(&contender.key);
    let contenders = all.into_iter().filter(chosen).collect();
    let costs = contest::hold("Contest", &options.envoy_version, plan, mint, contenders).await?;
    for cost in costs {
        println!(
            "{:7.1} us over no filter ({:.1})  {}",
            cost.over.median, cost.cpu.median, cost.label
        );
    }
    Ok(())
}

async fn measure_crossings(
    options: &Options,
    plan: &Plan,
    mint: &Mint,
    modules: &Modules,
) -> Result<()> {
    let rows = crossings::crossings(modules);
    let contenders = rows.iter().map(|row| row.contender.clone()).collect();
    let costs = contest::hold("Crossings", &options.envoy_version, plan, mint, contenders).await?;
    let table = crossings::table(&rows, &costs);
    fs::write(modules::output_folder()?.join("crossings.md"), &table)?;
    print!("{table}");
    Ok(())
}

/// Records a signal for [`interrupted`].
fn watch_for_signals() -> Result<()> {
    let mut interrupt = Interrupt::listen()?;
    tokio::spawn(async move {
        interrupt.comes().await;
        INTERRUPTED.store(true, Ordering::SeqCst);
    });
    Ok(())
}

/// Fails after a signal: exiting during a measurement would leave Envoy running.
fn interrupted() -> Result<()> {
    ensure!(!INTERRUPTED.load(Ordering::SeqCst), "interrupted");
    Ok(())
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
