//! `cargo xtask bench` and `cargo xtask soak`: the cost of the filter, and its behaviour under load for a long time.

mod bench;
mod soak;

use std::process::ExitCode;

use clap::Parser;
use envoy_test::interrupt;
use xtask::{process, repository, toolchain, wasm};

/// Measures sa-authn.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(clap::Subcommand)]
enum Subcommand {
    /// Measure the cost of the filter per request, compared with no filter, jwt_authn, and a minimal Wasm filter
    Bench(bench::Options),
    /// Send mixed traffic for a long time, with rotations, reloads and failing API servers, and check that nothing is lost
    Soak(soak::Options),
}

fn main() -> ExitCode {
    // Printed here, because main would add a backtrace with RUST_BACKTRACE.
    run(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Subcommand) -> anyhow::Result<ExitCode> {
    match command {
        Subcommand::Bench(options) => bench::run(&options).map(|()| ExitCode::SUCCESS),
        Subcommand::Soak(options) => soak::run(&options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
