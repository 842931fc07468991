//! `sa-authn`, the command line: the core of the filter, at a desk.
//!
//! Exit codes: 0 for yes (good, allowed), 1 for no (problems, refused), 2 when that could not be told (usage,
//! files that cannot be read, an answer that only the API server has). Signatures and tokens are never printed.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
