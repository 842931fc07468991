//! What the project is built from: cargo-deny judges licences, bans, sources and advisories, and each package of
//! the module has a reason in docs/supply-chain.md.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{process, repository};

/// Checks what deny.toml says, for the workspace and for fuzz/.
pub fn check() -> Result<()> {
    let program = installed()?;
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        judge(&program, manifest, &["licenses", "bans", "sources"])?;
    }
    // The database is fetched from github.com. Where that is out of reach, nothing else is less true for it.
    let mut fetch = Command::new(&program);
    fetch.args(["--config", "deny.toml", "fetch", "db"]).current_dir(repository::root());
    if process::output(&mut fetch).is_err() {
        println!("Advisories were not checked: their database could not be fetched.");
        return Ok(());
    }
    judge(&program, "Cargo.toml", &["advisories"])
}

fn judge(program: &Path, manifest: &str, what: &[&str]) -> Result<()> {
    let mut deny = Command::new(program);
    deny.args(["--manifest-path", manifest, "--locked", "--config", "deny.toml", "check"]);
    // What only the other of the two manifests needs is no trouble.
    deny.args(["--allow", "license-exception-not-encountered"]).args(what);
    process::run(deny.current_dir(repository::root()))
}

/// A tool of its own, so that none of its dependencies is one of ours.
fn installed() -> Result<PathBuf> {
    let root = repository::target().join("tools");
    let program = root.join("bin/cargo-deny");
    let wanted = format!("cargo-deny {VERSION}");
    if process::output(Command::new(&program).arg("--version")).is_ok_and(|found| found == wanted) {
        return Ok(program);
    }
    eprintln!("Installing {wanted} into {}; that takes minutes, once.", root.display());
    process::run(
        Command::new(env!("CARGO"))
            .args(["install", "--locked", &format!("cargo-deny@{VERSION}"), "--root"])
            .arg(&root)
            .envs(QUICKLY_BUILT)
            .current_dir(repository::root()),
    )?;
    Ok(program)
}

/// Its own profile optimises for hours of use; here it runs for a second.
const QUICKLY_BUILT: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

const VERSION: &str = "0.20.2";

#[cfg(test)]
mod tests;
