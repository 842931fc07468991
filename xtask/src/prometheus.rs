//! Finds or downloads `prometheus` and `promtool` for the tests of observability/.
//!
//! Debian's package is unpacked into the target folder; installing it would start a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use xtask::toolchain::root::run_as_root;
use xtask::{process, repository};

/// The folder of the programs, if they are not in the PATH.
pub fn folder() -> Result<Option<PathBuf>> {
    if runs(Path::new("")) {
        return Ok(None);
    }
    let unpacked = repository::target().join("prometheus");
    let programs = unpacked.join("usr/bin");
    if !runs(&programs) {
        fetch(&unpacked)?;
        ensure!(runs(&programs), "Debian's prometheus does not run from {}", programs.display());
    }
    Ok(Some(programs))
}

fn runs(folder: &Path) -> bool {
    ["prometheus", "promtool"]
        .iter()
        .all(|program| process::output(Command::new(folder.join(program)).arg("--version")).is_ok())
}

fn fetch(to: &Path) -> Result<()> {
    ensure!(Path::new("/usr/bin/apt-get").exists(), "this system is not Debian");
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    if download(to).is_err() {
        let mut update = Command::new("apt-get");
        update.arg("update");
        run_as_root("Reading Debian's list of packages", vec![update])?;
        download(to).context("apt-get download prometheus")?;
    }
    let package = to.read_dir()?.filter_map(Result::ok).map(|entry| entry.path());
    let package = package.into_iter().find(|path| path.extension().is_some_and(|e| e == "deb"));
    let package = package.context("apt-get downloaded nothing")?;
    process::run(Command::new("dpkg-deb").arg("--extract").args([&package, to]))?;
    Ok(fs::remove_file(package)?)
}

fn download(to: &Path) -> Result<()> {
    process::run(Command::new("apt-get").args(["download", "prometheus"]).current_dir(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_without_the_programs_is_rejected() {
        assert!(!runs(&repository::target().join("no-such-folder")));
    }
}
