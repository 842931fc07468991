//! Installs Debian packages.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::root::run_as_root;
use crate::process;

/// Installs packages, as root or through sudo.
pub fn install(packages: &[&str]) -> Result<()> {
    ensure!(
        Path::new("/usr/bin/apt-get").exists(),
        "apt-get is not available, so Debian's packages cannot be installed",
    );
    let mut update = Command::new("apt-get");
    update.arg("update");
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    run_as_root("Installing Debian's packages", vec![update, install])
        .with_context(|| format!("cannot install Debian's packages{}", unknown(packages)))
}

/// Whether all of them are installed.
pub fn has(packages: &[&str]) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}\n"]).args(packages);
    process::output(&mut query).is_ok_and(|states| states.lines().all(|s| s == "installed"))
}

/// Part of a message: the packages that this Debian does not know, if any.
fn unknown(packages: &[&str]) -> String {
    let known = |package: &&str| {
        process::output(Command::new("apt-cache").args(["madison", package]))
            .is_ok_and(|versions| !versions.is_empty())
    };
    let unknown: Vec<_> = packages.iter().copied().filter(|package| !known(package)).collect();
    if unknown.is_empty() {
        return String::new();
    }
    format!(
        ": this system has no package {}; Debian 12 has them all, some of them in its security updates",
        unknown.join(", "),
    )
}
