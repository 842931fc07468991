//! Programs that the project's commands run and that cargo installs: a name and a version come in, a path goes out.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{process, repository};

/// A program of crates.io, in exactly this version.
pub struct Tool {
    /// The package, and the program of the same name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What makes the program print its name and version.
    pub asked_by: &'static [&'static str],
}

// === impl Tool ===

impl Tool {
    /// Where the program is; it is built first if it is not there. A tool of its own, so that none of its dependencies
    /// is one of ours.
    pub fn install(&self) -> Result<PathBuf> {
        let root = repository::target().join("tools");
        let program = root.join("bin").join(self.name);
        let wanted = format!("{} {}", self.name, self.version);
        let found = process::output(Command::new(&program).args(self.asked_by));
        if found.is_ok_and(|found| found == wanted) {
            return Ok(program);
        }
        eprintln!("Installing {wanted} into {}; that takes minutes, once.", root.display());
        process::run(
            Command::new(env!("CARGO"))
                .args(["install", "--locked", &format!("{}@{}", self.name, self.version)])
                .arg("--root")
                .arg(&root)
                .envs(QUICKLY_BUILT)
                .current_dir(repository::root()),
        )?;
        Ok(program)
    }
}

/// Their own profiles optimise for hours of use; here they run for seconds.
const QUICKLY_BUILT: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
];
