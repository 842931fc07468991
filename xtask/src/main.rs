//! `cargo xtask NAME`: the project's commands.
//!
//! One file for each subcommand, with its `command` and its `run`. Commands with many dependencies are packages of
//! their own: `separate` has cargo build and run them.

mod cluster;
mod coverage;
mod demo;
mod dist;
mod envoy;
mod fuzz;
mod manifests;
mod prometheus;
mod reproduce;
mod separate;
mod supply_chain;
mod test;
mod workflows;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{ArgMatches, Command};
use xtask::wasm;

fn main() -> ExitCode {
    // Printed here, because main would add a backtrace with RUST_BACKTRACE.
    run(&cli().get_matches()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn cli() -> Command {
    Command::new("cargo xtask")
        .bin_name("cargo xtask")
        .about("Builds, tests and demonstrates sa-authn.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([
            demo::command(),
            wasm::command(),
            test::command(),
            fuzz::command(),
            coverage::command(),
            reproduce::command(),
            envoy::command(),
            cluster::command(),
            dist::command(),
            manifests::command(),
        ])
        .subcommands(separate::COMMANDS.iter().map(separate::command))
}

fn run(matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("demo", matches)) => return demo::run(matches),
        Some(("test", matches)) => return test::run(matches),
        Some(("cluster", matches)) => return cluster::run(matches),
        Some(("wasm", matches)) => wasm::run(matches)?,
        Some(("fuzz", matches)) => fuzz::run(matches)?,
        Some(("coverage", matches)) => coverage::run(matches)?,
        Some(("reproduce", matches)) => reproduce::run(matches)?,
        Some(("envoy", matches)) => envoy::run(matches)?,
        Some(("dist", matches)) => dist::run(matches)?,
        Some(("manifests", _)) => manifests::run()?,
        Some((name, matches)) => return separate::run(name, matches),
        None => bail!("expected a subcommand"),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::cli;

    #[test]
    fn command_line_is_consistent() {
        cli().debug_assert();
    }
}
