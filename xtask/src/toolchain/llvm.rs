//! LLVM's programs that read what instrumented code counted; they must be of rustc's own LLVM.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{active, apt, host};
use crate::process;

/// `llvm-cov` and `llvm-profdata` of one version.
pub struct CoverageTools {
    /// Prints and exports what was covered.
    pub cov: PathBuf,
    /// Joins the counts of several processes.
    pub profdata: PathBuf,
}

// === impl CoverageTools ===

impl CoverageTools {
    /// Those of the toolchain in use, of rustup's component `llvm-tools`, or else of Debian's packages.
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
            Err(error) => eprintln!("rustup could not: {error:#}"),
        }
        apt::install(&[&format!("llvm-{}", llvm_version()?)])
            .context("neither rustup nor Debian's packages gave llvm-cov")?;
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
