//! `cargo xtask demo`: sends requests through a real Envoy, and prints a table with the outcome of each.
//!
//! `cases` lists the requests with their expected outcomes, `tokens` mints their tokens, `stage` has the
//! running processes, `judge` compares, `table` and `summary` print, and `keep` is `--keep`.

mod case;
mod cases;
mod judge;
mod keep;
mod stage;
mod style;
mod summary;
mod table;
mod tokens;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use envoy_test::interrupt::Interrupt;
use tokio::runtime::Runtime;

use stage::Stage;
use style::Style;
use summary::Summary;
use table::Row;

/// `demo MODULE ENVOY_VERSION [--keep]`: `cargo xtask demo` reads the options, builds the module and fetches Envoy.
struct Options {
    module: PathBuf,
    envoy_version: String,
    keep: bool,
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Starts an API server, an upstream and an Envoy with the module, and sends requests through them.
fn run() -> Result<ExitCode> {
    let options = Options::of(env::args().skip(1))?;
    Runtime::new()?.block_on(async {
        let mut interrupt = Interrupt::listen()?;
        let (stage, success) = tokio::select! {
            shown = async {
                let stage = Stage::start(&options.envoy_version, options.module).await?;
                let success = show(&stage).await.with_context(|| stage.envoy().log_tail())?;
                anyhow::Ok((stage, success))
            } => shown?,
            () = interrupt.comes() => bail!("interrupted"),
        };
        if options.keep {
            keep::explain(&stage);
            interrupt.comes().await;
            eprintln!("\nStopping.");
        } else if success {
            print!("{NEXT}");
        }
        Ok(if success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

// === impl Options ===

impl Options {
    fn of(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let usage = "usage: demo MODULE ENVOY_VERSION [--keep]; cargo xtask demo calls it";
        let options = Self {
            module: arguments.next().context(usage)?.into(),
            envoy_version: arguments.next().context(usage)?,
            keep: match arguments.next().as_deref() {
                Some("--keep") => true,
                None => false,
                Some(_) => bail!(usage),
            },
        };
        Ok(options)
    }
}

/// Sends every request and prints its outcome; returns whether all have the expected outcome.
async fn show(stage: &Stage) -> Result<bool> {
    let mut rows = play(stage, cases::cases(stage.api_server())).await?;
    stage.rotate_key().await;
    rows.extend(play(stage, cases::after_rotation(stage.api_server())).await?);

    let style = Style::of_stdout();
    let summary = Summary::of(stage, &rows).await?;
    print!("{INTRODUCTION}\n{}\n{summary}", table::render(&rows, &style));
    if !summary.is_success() {
        // On stdout with the failures, in case only stdout is saved.
        println!("\n{}", stage.envoy().log_tail().trim_end());
    }
    Ok(summary.is_success())
}

/// Sends one request at a time, so that the request at the upstream is unambiguous.
async fn play(stage: &Stage, cases: Vec<case::Case>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in cases {
        let seen = stage.send(&case.request).await?;
        rows.push(Row { faults: judge::faults(case.expected, &seen), case, seen });
    }
    Ok(rows)
}

/// The introduction above the table.
const INTRODUCTION: &str = "
The rules allow any caller on /healthz, and GET /secrets/* for the service accounts api/api and batch/*.
The filter sends the caller to the upstream in x-sa-namespace and x-sa-name, shown here as namespace/name.
";

/// The next steps for the user.
const NEXT: &str = "
What to try next:
  cargo xtask demo --keep                 run the demo and keep it running, with curl commands
  cargo run -- check FILE                 find mistakes in a configuration (docs/cli.md)
  docs/envoy.md, docs/install.md          install the filter in your Envoy or mesh
";
