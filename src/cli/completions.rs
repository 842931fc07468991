//! `sa-authn completions`: shell completion scripts.

use super::{Arguments, Report};
use clap::CommandFactory;
use clap_complete::Shell;

/// The arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Shell
    shell: Shell,
}

/// Prints the script.
pub fn print(options: &Options) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "sa-authn", &mut script);
    Report::plain(String::from_utf8_lossy(&script).into_owned())
}
