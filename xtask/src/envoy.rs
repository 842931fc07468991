//! `cargo xtask envoy -- ARGS`: becomes an Envoy, fetched if it is missing.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use envoy_test::envoy::binary::{DEFAULT_VERSION, envoy_binary};

/// Which Envoy to run, and how.
#[derive(clap::Args)]
#[command(after_help = "ENVOY_PATH names an Envoy of your own, to run in place of a fetched one.")]
pub struct Options {
    /// The Envoy to run
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_VERSION)]
    envoy_version: String,

    /// What Envoy is told
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

/// Replaces this process, so that signals reach Envoy and its exit code is ours.
pub fn run(options: &Options) -> Result<()> {
    let binary = envoy_binary(&options.envoy_version)?;
    let failure = Command::new(&binary).args(&options.arguments).exec();
    Err(failure).with_context(|| format!("{} could not be started", binary.display()))
}
