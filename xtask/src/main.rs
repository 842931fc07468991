//! The project's commands, `cargo xtask NAME`: a command line comes in, tools are run, an exit code goes out.
//!
//! One file a subcommand, each with its `Options` and its `run`; the rest is what they share.

mod bench;
mod coverage;
mod demo;
mod envoy;
mod fuzz;
mod image;
mod interrupt;
mod process;
mod prometheus;
mod repository;
mod reproduce;
mod soak;
mod supply_chain;
mod test;
mod toolchain;
mod tools;
mod wasm;

use std::process::ExitCode;

use clap::Parser;

/// Builds, tests and shows sa-authn.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Subcommand,
}

#[derive(clap::Subcommand)]
enum Subcommand {
    /// Build the release module, and get the wasm32-wasip1 toolchain first if it is missing
    Wasm(wasm::Options),
    /// Make the image that Istio and Envoy take, as an OCI layout in target/image
    Image(image::Options),
    /// Run every check and test, the end-to-end tests in real Envoys included
    Test(test::Options),
    /// Feed the core with what nobody would send, and print executions and coverage
    Fuzz(fuzz::Options),
    /// Run the native tests, and say which lines and regions of the source they did not reach
    Coverage(coverage::Options),
    /// Build the module twice, in different places, and compare the bytes
    Reproduce(reproduce::Options),
    /// Run an Envoy with the arguments after `--`, for example `-- --mode validate -c envoy.yaml`
    Envoy(envoy::Options),
    /// Measure what the filter costs a request, beside no filter, jwt_authn, and the least that Wasm can cost
    Bench(bench::Options),
    /// Send mixed traffic for long, with rotations, reloads and failing API servers, and see that nothing is lost
    Soak(soak::Options),
    /// Show the filter at work: requests with good and bad tokens, and what a real Envoy made of each
    Demo(demo::Options),
}

fn main() -> ExitCode {
    // Not returned from main: with RUST_BACKTRACE set that would bury the sentence in a backtrace.
    run(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Subcommand) -> anyhow::Result<ExitCode> {
    match command {
        Subcommand::Wasm(options) => wasm::run(&options)?,
        Subcommand::Image(options) => image::run(&options)?,
        Subcommand::Test(options) => return test::run(&options),
        Subcommand::Fuzz(options) => fuzz::run(&options)?,
        Subcommand::Coverage(options) => coverage::run(&options)?,
        Subcommand::Reproduce(options) => reproduce::run(&options)?,
        Subcommand::Envoy(options) => envoy::run(&options)?,
        Subcommand::Bench(options) => bench::run(&options)?,
        Subcommand::Soak(options) => return soak::run(&options),
        Subcommand::Demo(options) => return demo::run(&options),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
