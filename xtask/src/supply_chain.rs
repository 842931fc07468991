//! Checks the dependencies: cargo-deny checks licences, bans, sources and advisories, and each package
//! of the module has a reason in docs/supply-chain.md.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use programs::tool::Tool;
use xtask::{process, repository};

/// Applies deny.toml. Without the database of advisories, returns what was not checked.
pub fn check() -> Result<Option<String>> {
    let program = Tool::CARGO_DENY.program()?;
    judge(&program, &["licenses", "bans", "sources"])?;
    // The database is fetched from github.com. The other checks do not need it.
    let mut fetch = Command::new(&program);
    fetch.args(["--config", "deny.toml", "fetch", "db"]).current_dir(repository::root());
    if let Err(error) = process::output(&mut fetch) {
        println!("cannot fetch the database of advisories: {error:#}");
        return Ok(Some("not run: advisories: their database cannot be fetched".to_owned()));
    }
    judge(&program, &["advisories"])?;
    Ok(None)
}

fn judge(program: &Path, what: &[&str]) -> Result<()> {
    let mut deny = Command::new(program);
    deny.args(["--workspace", "--locked", "--config", "deny.toml", "check"]).args(what);
    process::run(deny.current_dir(repository::root()))
}

#[cfg(test)]
mod tests;
