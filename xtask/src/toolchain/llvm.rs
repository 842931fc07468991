//! LLVM's coverage programs, which must match the LLVM version of rustc.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{active, apt, host};
use crate::process;

/// `llvm-cov` and `llvm-profdata` of one version.
pub struct CoverageTools {
    /// Prints and exports the coverage.
    pub cov: PathBuf,
    /// Merges the counts of several processes.
    pub profdata: PathBuf,
}

// === impl CoverageTools ===

impl CoverageTools {
    /// From the active toolchain, rustup's component `llvm-tools`, or Debian's packages.
    pub fn find() -> Result<Self> {
        let of_rustup = Self::of_rustup()?;
        if of_rustup.are_there() {
            return Ok(of_rustup);
        }
        let of_debian = Self::of_debian(&llvm_version()?);
        if of_debian.are_there() {
            return Ok(of_debian);
        }
        eprintln!("llvm-cov is missing; trying rustup, then Debian's packages.");
        match add_component() {
            Ok(()) if of_rustup.are_there() => return Ok(of_rustup),
            Ok(()) => eprintln!("rustup added llvm-tools to another toolchain than the one in use"),
            Err(error) => eprintln!("rustup failed: {error:#}"),
        }
        apt::install(&[&format!("llvm-{}", llvm_version()?)])
            .context("could not install llvm-cov with rustup or from Debian's packages")?;
        ensure!(of_debian.are_there(), "{} is still missing", of_debian.cov.display());
        Ok(of_debian)
    }

    fn of_rustup() -> Result<Self> {
        let sysroot = active::sysroot()?;
        let folder = sysroot.join("lib/rustlib").join(host()?).join("bin");
        Ok(Self { cov: folder.join("llvm-cov"), profdata: folder.join("llvm-profdata") })
    }

    fn of_debian(version: &str) -> Self {
        let program = |name: &str| Path::new("/usr/bin").join(format!("{name}-{version}"));
        Self { cov: program("llvm-cov"), profdata: program("llvm-profdata") }
    }

    fn are_there(&self) -> bool {
        self.cov.exists() && self.profdata.exists()
    }
}

fn add_component() -> Result<()> {
    process::run(Command::new("rustup").args(["component", "add", "llvm-tools"]))
}

/// The 22 of 22.1.2: another major version does not read what this one writes.
fn llvm_version() -> Result<String> {
    let version = active::says("LLVM version")?;
    Ok(version.split('.').next().unwrap_or_default().to_owned())
}
