//! The active toolchain, and adding the target to it with rustup.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{TARGET, holds_std};
use crate::process;

/// Cargo of the toolchain in use.
pub fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new(program("CARGO", "cargo"));
    command.arg(subcommand);
    command
}

/// Checks the sysroot, because rustup may not be installed.
pub fn has_target() -> bool {
    // Debian's rustc needs an explicit linker, so it does not work with plain `cargo`.
    sysroot().is_ok_and(|sysroot| {
        sysroot != Path::new("/usr")
            && holds_std(&sysroot.join("lib/rustlib").join(TARGET).join("lib"))
    })
}

/// Has rustup add the target to the toolchain in use.
pub fn add_target() -> Result<()> {
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", TARGET]);
    process::run(&mut rustup).context("rustup did not add the target")?;
    ensure!(
        has_target(),
        "rustup added {TARGET} to another toolchain than the one in use ({}); \
         `rustup show` tells them apart",
        sysroot()?.display(),
    );
    Ok(())
}

/// The library folder of the active toolchain.
pub fn sysroot() -> Result<PathBuf> {
    let mut rustc = Command::new(program("RUSTC", "rustc"));
    process::output(rustc.args(["--print", "sysroot"])).map(PathBuf::from)
}

/// A field of `rustc -vV`, such as `host` or `LLVM version`.
pub fn says(word: &str) -> Result<String> {
    let said = process::output(Command::new(program("RUSTC", "rustc")).arg("-vV"))?;
    let value = said.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(": "));
    value.map(str::to_owned).with_context(|| format!("rustc -vV has no {word}"))
}

/// The outer cargo names its own programs in the environment.
fn program(variable: &str, otherwise: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| otherwise.into())
}
