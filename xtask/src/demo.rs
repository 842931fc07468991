//! `cargo xtask demo`: builds the parts of the demo in parallel, and runs it.

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use clap::{Arg, ArgAction, ArgMatches};
use programs::envoy::{DEFAULT_VERSION, envoy_binary};
use xtask::process::{self, Output};
use xtask::toolchain::{self, Source, TARGET, Toolchain};
use xtask::{repository, wasm};

use crate::envoy::{OWN_ENVOY, version_argument};

/// The options of the demo.
pub fn command() -> clap::Command {
    clap::Command::new("demo")
        .about("Run the demo: requests with valid and invalid tokens, and the responses of a real Envoy")
        .after_help(format!(
            "\
What is missing is fetched or built first: the wasm32-wasip1 toolchain, the module, Envoy.
{OWN_ENVOY}
Exits with 0 only if every answer is the expected one."
        ))
        .arg(
            Arg::new("keep").long("keep").action(ArgAction::SetTrue).help(
                "Keep everything running until Ctrl-C, and print curl commands to try",
            ),
        )
        .arg(
            Arg::new("verbose")
                .short('v')
                .long("verbose")
                .action(ArgAction::SetTrue)
                .help("Show cargo's output"),
        )
        .arg(version_argument().default_value(DEFAULT_VERSION))
        .arg(Source::argument())
}

/// Builds, fetches and runs; returns the exit code of the demo.
pub fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let version: &String = matches.get_one("envoy-version").context("the version has a default")?;
    let output = if matches.get_flag("verbose") { Output::Shown } else { Output::Quiet };
    eprintln!(
        "Building the module and the demo, fetching Envoy {version}, and sending 27 requests through it.\n\
         The first time, compiling takes about {FIRST_TIME} on two cores, and downloads come on top; later, seconds."
    );
    let toolchain = timed("toolchain", || {
        let toolchain = Toolchain::find(Source::chosen(matches))?;
        Ok((toolchain, format!("{toolchain} builds for {TARGET}")))
    })?;
    timed("crates", || fetch_crates(output).map(|()| ((), "downloaded".to_owned())))?;
    build(version, toolchain, output)?;
    let mut demo = repository::cargo("run");
    demo.args(["--quiet", "--locked", "--package", "demo", "--"]);
    demo.arg(repository::root().join(wasm::MODULE)).arg(version);
    process::exit_code(demo.args(matches.get_flag("keep").then_some("--keep")))
}

/// Builds the demo and the module in parallel, because linking the module uses only one core.
fn build(version: &str, toolchain: Toolchain, output: Output) -> Result<()> {
    thread::scope(|scope| {
        let parts = [
            scope.spawn(move || {
                timed("envoy", || {
                    envoy_binary(version).map(|path| ((), path.display().to_string()))
                })
            }),
            scope.spawn(move || timed("demo", || build_demo(output))),
            scope.spawn(move || timed("module", || build_module(toolchain, output))),
        ];
        let outcomes = parts.map(|part| part.join().unwrap_or_else(|_| Err(anyhow!("a panic"))));
        outcomes.into_iter().collect()
    })
}

fn fetch_crates(output: Output) -> Result<()> {
    let host = toolchain::host()?;
    output.run(
        repository::cargo("fetch")
            .args(["--locked", "--target", &host, "--target", TARGET])
            .args(output.cargo_arguments()),
    )
}

fn build_demo(output: Output) -> Result<((), String)> {
    output.run(
        repository::cargo("build")
            .args(["--locked", "--package", "demo"])
            .args(output.cargo_arguments()),
    )?;
    // Linking the module leaves a core free.
    output.run(&mut wasm::trim("build"))?;
    Ok(((), "the fake kube-apiserver, the upstream and the client are built".to_owned()))
}

fn build_module(toolchain: Toolchain, output: Output) -> Result<((), String)> {
    let module = wasm::build_with(&toolchain, output)?;
    let kilobytes = std::fs::metadata(module)?.len() / 1000;
    Ok(((), format!("{}, {kilobytes} KB", wasm::MODULE)))
}

/// Runs a stage, and prints its result and duration.
fn timed<T>(stage: &str, perform: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
    let start = Instant::now();
    let (value, result) = perform()?;
    eprintln!("{stage:>10} {:>6.1} s  {result}", start.elapsed().as_secs_f64());
    Ok(value)
}

const FIRST_TIME: &str = "two to three minutes";
