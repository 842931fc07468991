//! cargo's tools, in exactly the versions that tools/*.txt name, with the hashes of their wheels.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::pypi::Package;
use crate::target;

/// A tool that cargo runs as a subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    program: &'static str,
    /// Installed in `bin` of the package.
    path: &'static str,
    /// What pip reads: `NAME==VERSION`, and hashes.
    requirement: &'static str,
    file: &'static str,
    /// What makes the program print its version.
    version_arguments: &'static [&'static str],
}

macro_rules! tool {
    ($program:literal, $version_arguments:expr) => {
        Tool {
            program: $program,
            path: concat!("bin/", $program),
            requirement: include_str!(concat!("../tools/", $program, ".txt")),
            file: concat!("tools/", $program, ".txt"),
            version_arguments: $version_arguments,
        }
    };
}

// === impl Tool ===

impl Tool {
    /// Judges licences, bans, sources and advisories.
    pub const CARGO_DENY: Self = tool!("cargo-deny", &["--version"]);
    /// Measures which code the tests reach.
    pub const CARGO_LLVM_COV: Self = tool!("cargo-llvm-cov", &["llvm-cov", "--version"]);
    /// Runs tests.
    pub const CARGO_NEXTEST: Self = tool!("cargo-nextest", &["nextest", "--version"]);

    /// The program: an installed one of the same version, or else a fetched one.
    pub fn program(&self) -> Result<PathBuf> {
        let version = self.version()?;
        if let Some(installed) = self.installed(version) {
            return Ok(installed);
        }
        let requirement = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.file);
        let package = Package {
            name: format!("{} {version}", self.program),
            requirement: vec!["--require-hashes".into(), "-r".into(), requirement.into()],
            program: self.path,
        };
        let folder = target().join("tools").join(format!("{}-{version}", self.program));
        package.fetched(&folder).with_context(|| {
            format!("`cargo install --locked {}@{version}` is another way to get it", self.program)
        })
    }

    fn version(&self) -> Result<&'static str> {
        let words = self.requirement.split_whitespace();
        let mut requirements = words.filter_map(|word| word.split_once("=="));
        let (_, version) = requirements.next().with_context(|| self.file.to_owned())?;
        Ok(version)
    }

    fn installed(&self, version: &str) -> Option<PathBuf> {
        let output = Command::new(self.program).args(self.version_arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        (text.split_whitespace().nth(1) == Some(version)).then(|| self.program.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_one_version_and_hashes_for_four_platforms() {
        for tool in [Tool::CARGO_DENY, Tool::CARGO_LLVM_COV, Tool::CARGO_NEXTEST] {
            assert_eq!(tool.requirement.matches("==").count(), 1, "{}", tool.file);
            assert_eq!(tool.requirement.matches("--hash=sha256:").count(), 4, "{}", tool.file);
            assert!(tool.version().unwrap().starts_with("0."), "{}", tool.file);
        }
    }
}
