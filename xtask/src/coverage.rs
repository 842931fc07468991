//! `cargo xtask coverage`: coverage of src/ by the native tests, with cargo-llvm-cov.
//!
//! The shell inside Envoy, src/filter, is compiled only for wasm: the end-to-end tests run it without coverage.

use std::process::Command;

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches};
use programs::tool::Tool;
use xtask::toolchain::llvm::CoverageTools;
use xtask::{process, repository};

/// The options.
pub fn command() -> clap::Command {
    clap::Command::new("coverage")
        .about("Run the native tests, and print the coverage of the source")
        .arg(
            Arg::new("missed")
                .long("missed")
                .action(ArgAction::SetTrue)
                .help("Also print the line numbers without coverage"),
        )
}

/// Runs the tests, and prints cargo-llvm-cov's table.
pub fn run(matches: &ArgMatches) -> Result<()> {
    measure(matches.get_flag("missed"))
}

/// The same for `cargo xtask test --full`.
pub fn measure(missed: bool) -> Result<()> {
    let tools = CoverageTools::find()?;
    let mut coverage = Command::new(Tool::CARGO_LLVM_COV.program()?);
    coverage
        .args(["llvm-cov", "test", "--locked", "--package", "sa-authn"])
        // Excludes the test driver.
        .args(["--ignore-filename-regex", "/(envoy-test|xtask|tests)/"])
        .args(missed.then_some("--show-missing-lines"))
        .env("CARGO_LLVM_COV_TARGET_DIR", repository::target().join("coverage"))
        .env("LLVM_COV", &tools.cov)
        .env("LLVM_PROFDATA", &tools.profdata)
        .current_dir(repository::root());
    process::run(&mut coverage)
}
