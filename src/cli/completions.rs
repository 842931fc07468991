//! `sa-authn completions`: what a shell needs to complete our arguments.

use super::{Arguments, Report};
use clap::CommandFactory;
use clap_complete::Shell;

/// For which shell.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn print(options: &Options) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "sa-authn", &mut script);
    Report::plain(String::from_utf8_lossy(&script).into_owned())
}
