//! `sa-authn`, the command-line front end to the filter core.
//!
//! Exit codes: 0 good or allowed, 1 problems or denied, 2 indeterminate (wrong usage, an unreadable file, or an answer
//! that only the API server has). Signatures and tokens are never printed.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
