//! Programs of the Go module in install/tools, built with the dependencies that its go.mod and go.sum pin.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::target;

/// A program of the module.
#[derive(Clone, Copy, Debug)]
pub struct GoProgram {
    name: &'static str,
    package: &'static str,
}

// === impl GoProgram ===

impl GoProgram {
    /// Renders the chart.
    pub const HELM: Self = Self { name: "helm", package: "helm.sh/helm/v3/cmd/helm" };
    /// Renders the kustomizations.
    pub const KUSTOMIZE: Self =
        Self { name: "kustomize", package: "sigs.k8s.io/kustomize/kustomize/v5" };
    /// Evaluates the admission policy with the packages of the API server.
    pub const ADMISSION: Self = Self { name: "admission", package: "./admission" };

    /// The program, built if it is missing or old; `None` without Go.
    pub fn program(&self) -> Result<Option<PathBuf>> {
        self.built_by(Command::new("go"))
    }

    /// The same by this command, which is Go.
    pub fn built_by(&self, mut build: Command) -> Result<Option<PathBuf>> {
        if !Command::new("go").arg("version").output().is_ok_and(|answer| answer.status.success()) {
            return Ok(None);
        }
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../install/tools");
        let folder = target().join("tools/go");
        fs::create_dir_all(&folder)?;
        let program = folder.join(self.name);
        // Each test is a process. The first one builds, and the others do not run a program that is being written.
        let lock = fs::File::create(folder.join(format!("{}.lock", self.name)))?;
        lock.lock()?;
        build
            .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"])
            .args(COMPILED_FAST)
            .arg("-o")
            .args([&program, Path::new(self.package)])
            .current_dir(tools)
            .env("CGO_ENABLED", "0");
        let answer = build.output().context("go build")?;
        let stderr = String::from_utf8_lossy(&answer.stderr);
        ensure!(answer.status.success(), "{build:?}: {}", stderr.trim());
        lock.unlock()?;
        Ok(Some(program))
    }
}

/// For `go build` and `go install` of programs that run a few times for a moment: kustomize was built in 33 s in place of
/// 42 s on two cores.
pub const COMPILED_FAST: [&str; 2] = ["-gcflags=all=-l -dwarf=false", "-ldflags=-s -w"];
