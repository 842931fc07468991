//! `cargo xtask demo`: real requests go through a real Envoy, and a table of what became of each comes out.
//!
//! `cases` lists the requests and what must become of them, `tokens` mints what they carry, `stage` is
//! everything that runs, `judge` compares, `table` and `summary` print, and `keep` is `--keep`.

mod case;
mod cases;
mod judge;
mod keep;
mod stage;
mod style;
mod summary;
mod table;
mod tokens;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use envoy_test::envoy::binary::{DEFAULT_VERSION, envoy_binary};
use tokio::runtime::Runtime;

use crate::interrupt::Interrupt;
use crate::toolchain::{Source, Toolchain};
use crate::wasm;

use stage::Stage;
use style::Style;
use summary::Summary;
use table::Row;

/// What can be chosen for the demo.
#[derive(clap::Args)]
#[command(after_help = "\
What is missing is fetched or built first: the wasm32-wasip1 toolchain, the module, Envoy.
ENVOY_PATH names an Envoy of your own, to run in place of a fetched one.
Exits with 0 only when every request was answered as it must be.")]
pub struct Options {
    /// Leave everything running at the end, until Ctrl-C, and print curl lines to play with
    #[arg(long)]
    keep: bool,

    /// The Envoy to run
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_VERSION)]
    envoy_version: String,

    /// Where the wasm32-wasip1 toolchain comes from; without it each source is tried in this order
    #[arg(long, value_name = "SOURCE", env = "SA_AUTHN_WASM_TOOLCHAIN")]
    toolchain: Option<Source>,
}

/// Starts an API server, an upstream and an Envoy with the module, and sends requests through them.
pub fn run(options: &Options) -> Result<ExitCode> {
    // Both can take minutes the first time; as long as nobody listens for it, a Ctrl-C ends them.
    envoy_binary(&options.envoy_version)?;
    let module = wasm::build(&Toolchain::find(options.toolchain)?)?;
    Runtime::new()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        let (stage, success) = tokio::select! {
            shown = async {
                let stage = Stage::start(&options.envoy_version, module).await?;
                let success = show(&stage).await.with_context(|| stage.envoy().log_tail())?;
                anyhow::Ok((stage, success))
            } => shown?,
            () = interrupt.comes() => bail!("interrupted"),
        };
        if options.keep {
            keep::explain(&stage);
            interrupt.comes().await;
            eprintln!("\nStopping.");
        }
        Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Sends every request and prints what became of it; whether each became what it must.
async fn show(stage: &Stage) -> Result<bool> {
    let mut rows = play(stage, cases::cases(stage.api_server())).await?;
    stage.rotate_key().await;
    rows.extend(play(stage, cases::after_rotation(stage.api_server())).await?);

    let style = Style::of_stdout();
    let summary = Summary::of(stage, &rows).await?;
    print!("{INTRODUCTION}\n{}\n{summary}", table::render(&rows, &style));
    if !summary.is_success() {
        // Together with what is wrong, even where only stdout is kept.
        println!("\n{}", stage.envoy().log_tail().trim_end());
    }
    Ok(summary.is_success())
}

/// One at a time: then what the upstream got meanwhile is this request, or none.
async fn play(stage: &Stage, cases: Vec<case::Case>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in cases {
        let seen = stage.send(&case.request).await?;
        rows.push(Row { faults: judge::faults(case.expected, &seen), case, seen });
    }
    Ok(rows)
}

/// What one must know to read the table.
const INTRODUCTION: &str = "
Anyone may call /healthz; the service accounts api/api and batch/* may GET /secrets/*; nobody may do more.
The upstream is told the caller in x-sa-namespace and x-sa-name, shown here as namespace/name.
";
