//! Debian's toolchain, for machines on which rustup cannot download.
//!
//! Debian packages rustc for its browsers (`rustc-web`) with the sources of the standard library, but without that
//! library built for wasm32-wasip1. So it is built here once, see [`debian_std`].

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{TARGET, apt, debian_std, holds_std};
use crate::{process, repository};

/// Debian's cargo with Debian's rustc and linker, without settings of the current cargo.
///
/// It shares the target folder with rustup's: cargo hashes the compiler's version into the names of its files, so that
/// only the last package, whose file has a plain name, is built again when one toolchain follows the other.
pub fn cargo(subcommand: &str) -> Command {
    // `cargo clippy` would prefer the clippy of ~/.cargo/bin, which belongs to rustup's rustc.
    let program = if subcommand == "clippy" { CLIPPY } else { CARGO };
    let mut command = Command::new(program);
    for variable in OF_THE_OUTER_CARGO {
        command.env_remove(variable);
    }
    let path = env::var("PATH").unwrap_or_default();
    command
        .arg(subcommand)
        .env("PATH", format!("/usr/bin:{path}"))
        .env("CARGO", CARGO)
        .env("RUSTC", RUSTC)
        .env("CARGO_TARGET_WASM32_WASIP1_LINKER", LINKER);
    command
}

/// Whether the toolchain works, tested by compiling a small module in about a second.
///
/// This also detects a standard library of an older rustc, which remains after an upgrade of the packages.
pub fn is_set_up() -> bool {
    [CARGO, CLIPPY, RUSTC].iter().all(|program| Path::new(program).exists())
        && sysroot_folder().is_ok_and(|folder| holds_std(&folder.join("lib")))
        && compiles_a_module().is_ok()
}

/// Installs the packages and builds the standard library, unless already done.
pub fn set_up() -> Result<()> {
    if is_set_up() {
        return Ok(());
    }
    install_packages()?;
    let built = debian_std::build(&scratch())?;
    debian_std::install(&built, &sysroot_folder()?)?;
    compiles_a_module().with_context(|| {
        format!("Debian's toolchain is installed, but cannot compile for {TARGET}")
    })
}

fn install_packages() -> Result<()> {
    if apt::has(&PACKAGES) && recent_enough().is_ok() {
        return Ok(());
    }
    apt::install(&PACKAGES)
        .with_context(|| format!("alternatively, run `rustup target add {TARGET}`"))?;
    recent_enough()
}

fn recent_enough() -> Result<()> {
    let version = process::output(Command::new(RUSTC).arg("--version"))?;
    let needed = env!("CARGO_PKG_RUST_VERSION");
    ensure!(
        minor_version(&version) >= minor_version(&format!("rustc {needed}")),
        "{RUSTC} is {version:?}, but {needed} or later is needed; \
         Debian 12 has 1.96 in its security updates",
    );
    Ok(())
}

/// The 96 of "rustc 1.96.0 (...)".
fn minor_version(rustc: &str) -> Option<u32> {
    rustc.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()
}

/// With LTO and `println`, so that the standard library, its bitcode and wasi-libc are required.
fn compiles_a_module() -> Result<()> {
    let folder = scratch();
    fs::create_dir_all(&folder)?;
    let source = folder.join("probe.rs");
    fs::write(&source, "#[unsafe(no_mangle)] pub extern \"C\" fn probe() { println!(\"\") }")?;
    let mut rustc = Command::new(RUSTC);
    rustc
        .env_remove("LD_LIBRARY_PATH")
        .args(["--edition", "2024", "--crate-type", "cdylib", "--target", TARGET])
        .args(["-Clto", "-Cpanic=abort", &format!("-Clinker={LINKER}"), "-o"])
        .args([&folder.join("probe.wasm"), &source]);
    process::output(&mut rustc).map(|_| ())
}

/// Where rustc looks for the target's libraries.
fn sysroot_folder() -> Result<PathBuf> {
    let mut rustc = Command::new(RUSTC);
    rustc.env_remove("LD_LIBRARY_PATH").args(["--print", "sysroot"]);
    let sysroot = process::output(&mut rustc)?;
    Ok(Path::new(&sysroot).join("lib/rustlib").join(TARGET))
}

fn scratch() -> PathBuf {
    repository::target().join("debian-toolchain")
}

const CARGO: &str = "/usr/bin/cargo";
const CLIPPY: &str = "/usr/bin/cargo-clippy";
const RUSTC: &str = "/usr/bin/rustc";
const LINKER: &str = "wasm-ld-22";
const PACKAGES: [&str; 6] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "lld-22", "wasi-libc"];

/// Set by rustup and cargo for child processes; they select rustup's programs and libraries.
const OF_THE_OUTER_CARGO: [&str; 6] = [
    "RUSTUP_TOOLCHAIN",
    "RUSTDOC",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "CARGO_MANIFEST_DIR",
];

#[cfg(test)]
mod tests {
    use super::minor_version;

    #[test]
    fn minor_version_is_read_from_rustc_version() {
        assert_eq!(minor_version("rustc 1.96.0 (built from a source tarball)"), Some(96));
        assert_eq!(minor_version("rustc 1.95"), Some(95));
        assert_eq!(minor_version("gcc 12"), None);
    }
}
