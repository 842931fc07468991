//! The command line `sa-authn`, built from this repository.

use std::env;
use std::process::Command;

/// The command: the program that `SA_AUTHN_COMMAND` names, or else `cargo run`.
///
/// `cargo xtask test` names the program that it has built with the tests. `cargo run` selects one package, builds it with
/// other features of its dependencies, and so compiles them again.
pub fn sa_authn() -> Command {
    match env::var_os("SA_AUTHN_COMMAND").filter(|path| !path.is_empty()) {
        Some(path) => Command::new(path),
        None => {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(["run", "--quiet", "--locked", "-p", "sa-authn", "--bin", "sa-authn", "--"]);
            cargo
        }
    }
}
