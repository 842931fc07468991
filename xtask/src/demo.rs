//! `cargo xtask demo`: shows the filter at work in a real Envoy.

use anyhow::{Result, bail};
use envoy_test::envoy::binary::DEFAULT_VERSION;

/// What can be chosen for the demo.
#[derive(clap::Args)]
pub struct Options {
    /// Leave everything running at the end, until Ctrl-C
    #[arg(long)]
    pub keep: bool,

    /// The Envoy to run
    #[arg(long, value_name = "VERSION", default_value = DEFAULT_VERSION)]
    pub envoy_version: String,
}

/// Starts an API server, an upstream and an Envoy with the module, and sends requests through them.
pub async fn run(options: Options) -> Result<()> {
    let Options { keep: _, envoy_version: _ } = options;
    bail!("not built yet")
}
