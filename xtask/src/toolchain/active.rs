//! The toolchain in use: has it the target, and if not, does rustup add it?

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

/// Looks into the sysroot and does not ask rustup, which need not be there.
pub fn has_target() -> bool {
    // Debian's rustc needs a linker named to it, so it is not for `cargo` as it stands.
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

/// Where the toolchain in use has its libraries.
pub fn sysroot() -> Result<PathBuf> {
    let mut rustc = Command::new(program("RUSTC", "rustc"));
    process::output(rustc.args(["--print", "sysroot"])).map(PathBuf::from)
}

/// What rustc says of itself after this word, such as `host` or `LLVM version`.
pub fn says(word: &str) -> Result<String> {
    let said = process::output(Command::new(program("RUSTC", "rustc")).arg("-vV"))?;
    let value = said.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix(": "));
    value.map(str::to_owned).with_context(|| format!("rustc does not say its {word}"))
}

/// The outer cargo names its own programs in the environment.
fn program(variable: &str, otherwise: &str) -> OsString {
    env::var_os(variable).unwrap_or_else(|| otherwise.into())
}
