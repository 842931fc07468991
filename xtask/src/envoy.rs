//! `cargo xtask envoy -- ARGS`: runs an Envoy, downloaded if it is missing.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, value_parser};
use programs::envoy::{DEFAULT_VERSION, envoy_binary};

/// The options.
pub fn command() -> clap::Command {
    clap::Command::new("envoy")
        .about("Run an Envoy with the arguments after `--`, for example `-- --mode validate -c envoy.yaml`")
        .after_help(OWN_ENVOY)
        .arg(version_argument().default_value(DEFAULT_VERSION))
        .arg(
            Arg::new("arguments")
                .value_name("ARGS")
                .num_args(0..)
                .last(true)
                .value_parser(value_parser!(OsString))
                .help("Envoy's arguments"),
        )
}

/// The option `--envoy-version`.
pub fn version_argument() -> Arg {
    Arg::new("envoy-version").long("envoy-version").value_name("VERSION").help("The Envoy to run")
}

/// Replaces this process, so that signals reach Envoy and its exit code is returned.
pub fn run(matches: &ArgMatches) -> Result<()> {
    let version: &String = matches.get_one("envoy-version").context("the version has a default")?;
    let binary = envoy_binary(version)?;
    let arguments = matches.get_many::<OsString>("arguments").into_iter().flatten();
    let failure = Command::new(&binary).args(arguments).exec();
    Err(failure).with_context(|| format!("{} cannot be started", binary.display()))
}

/// For the help of every command that runs an Envoy.
pub const OWN_ENVOY: &str = "Set ENVOY_PATH to run your own Envoy instead of a downloaded one.";
