//! `cargo xtask fuzz`: builds and runs the targets of fuzz/, and prints executions and coverage.
//!
//! Coverage is a compiler pass that every toolchain has, so no nightly toolchain is needed, and the same command
//! works everywhere.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use clap::{Arg, ArgMatches, value_parser};
use xtask::{process, repository, toolchain};

mod findings;

use findings::Findings;

/// The targets to run, and the duration.
pub fn command() -> clap::Command {
    clap::Command::new("fuzz")
        .about("Run the fuzz targets, and print executions and coverage")
        .arg(
            Arg::new("targets")
                .value_name("TARGET")
                .num_args(0..)
                .help("The targets; default: all"),
        )
        .arg(
            Arg::new("seconds")
                .long("seconds")
                .value_name("N")
                .value_parser(value_parser!(u32))
                .default_value("60")
                .help("Run time of each target"),
        )
}

/// Builds and runs the chosen targets.
pub fn run(matches: &ArgMatches) -> Result<()> {
    let known = targets()?;
    let chosen: Vec<String> = matches.get_many("targets").into_iter().flatten().cloned().collect();
    for target in &chosen {
        ensure!(known.contains(target), "{target:?}: expected one of {}", known.join(", "));
    }
    let seconds = *matches.get_one("seconds").context("--seconds has a default")?;
    run_each(if chosen.is_empty() { &known } else { &chosen }, seconds)
}

/// Builds and runs all targets.
pub fn run_all(seconds: u32) -> Result<()> {
    run_each(&targets()?, seconds)
}

fn run_each(targets: &[String], seconds: u32) -> Result<()> {
    let programs = &build()?;
    process::run(Command::new(programs.join("seeds")).arg(folder("seeds")))?;
    println!(
        "{:<15} {:>12} {:>10} {:>10} {:>7}",
        "target", "executions", "a second", "coverage", "inputs"
    );
    // A target uses one core.
    for several in targets.chunks(thread::available_parallelism()?.get()) {
        let all: Vec<Result<Findings>> = thread::scope(|scope| {
            let running: Vec<_> = several
                .iter()
                .map(|target| scope.spawn(move || fuzz(programs, target, seconds)))
                .collect();
            let panicked = |_| bail!("a thread panicked");
            running.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        });
        for (target, findings) in several.iter().zip(all) {
            println!("{target:<15} {}", findings?);
        }
    }
    Ok(())
}

/// Each file of fuzz_targets is one.
fn targets() -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for file in fs::read_dir(repository::root().join("fuzz/fuzz_targets"))? {
        let file = file?.path();
        targets.extend(file.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    targets.sort();
    Ok(targets)
}

fn build() -> Result<PathBuf> {
    let host = toolchain::host()?;
    let mut cargo = repository::cargo("build");
    // With an explicit target, build scripts and macros are built without coverage.
    cargo
        .args(["-p", "sa-authn-fuzz", "--bins", "--features", "libfuzzer", "--profile", "fuzz"])
        .args(["--locked", "--target", &host, "--target-dir"])
        .arg(folder("built"))
        .env("RUSTFLAGS", COVERAGE.join(" "));
    process::run(&mut cargo)?;
    Ok(folder("built").join(host).join("fuzz"))
}

fn fuzz(programs: &std::path::Path, target: &str, seconds: u32) -> Result<Findings> {
    let corpus = folder("corpus").join(target);
    let crashes = folder("crashes").join(target);
    for folder in [&corpus, &crashes] {
        fs::create_dir_all(folder)?;
    }
    let mut findings = Findings::default();
    let mut command = Command::new(programs.join(target));
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .args(["-print_final_stats=1", "-timeout=10", "-rss_limit_mb=4096", "-max_len=16384"])
        .args([corpus, folder("seeds").join(target)]);
    process::run_seeing_errors(&mut command, |line| findings.see(line)).with_context(|| {
        format!("{target} found a crash; the input is in {}", crashes.display())
    })?;
    Ok(findings)
}

/// The corpus, which is kept between runs.
fn folder(name: &str) -> PathBuf {
    repository::target().join("fuzz").join(name)
}

/// The compiler flags for libFuzzer.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
