//! Performs the steps of one `cargo xtask test`, and keeps what a later step needs of an earlier one.

use std::env;
use std::ffi::OsString;
use std::iter;
use std::mem;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use envoy_test::envoy::binary::{VERSIONS, envoy_binary};

use super::step::Step;
use super::tally::{Tally, left_out};
use crate::toolchain::{Source, TARGET, Toolchain};
use crate::{fuzz, process, prometheus, repository, supply_chain, wasm};

/// One run of the steps.
pub struct Session {
    versions: Vec<String>,
    source: Option<Source>,
    toolchain: Option<Toolchain>,
    module: Option<PathBuf>,
    tally: Tally,
    not_run: Vec<String>,
}

// === impl Session ===

impl Session {
    /// No versions means all that are supported.
    pub fn new(versions: &[String], source: Option<Source>) -> Self {
        let versions = if versions.is_empty() {
            VERSIONS.map(str::to_owned).to_vec()
        } else {
            versions.to_vec()
        };
        Self {
            versions,
            source,
            toolchain: None,
            module: None,
            tally: Tally::default(),
            not_run: Vec::new(),
        }
    }

    /// Performs a step; where it runs tests, it counts them.
    pub fn perform(&mut self, step: Step) -> Result<()> {
        match step {
            Step::Format => format(),
            Step::Clippy => {
                process::run(&mut cargo("clippy --workspace --all-targets -- -D warnings"))
            }
            Step::Module => self.module().map(|_| ()),
            Step::ClippyWasm => self.clippy_wasm(),
            Step::NativeTests => self.test(&mut cargo("test -p sa-authn")),
            Step::ToolTests => self.test(&mut cargo("test -p envoy-test -p xtask --lib --bins")),
            Step::Docs => docs(),
            Step::SupplyChain => supply_chain::check(),
            Step::Fuzz => fuzz::run_all(FUZZ_SECONDS),
            Step::Envoys => self.envoys(),
            Step::EndToEnd => self.end_to_end(),
        }
    }

    /// What was counted since the last call, and what was left out.
    pub fn take_tally(&mut self) -> (Tally, Vec<String>) {
        (mem::take(&mut self.tally), mem::take(&mut self.not_run))
    }

    /// Built once a session, also if only the end-to-end tests are asked for: an old module would prove nothing.
    fn module(&mut self) -> Result<PathBuf> {
        if let Some(module) = &self.module {
            return Ok(module.clone());
        }
        let module = wasm::build(&self.toolchain()?)?;
        self.module = Some(module.clone());
        Ok(module)
    }

    fn toolchain(&mut self) -> Result<Toolchain> {
        let toolchain = match self.toolchain {
            Some(toolchain) => toolchain,
            None => Toolchain::find(self.source)?,
        };
        self.toolchain = Some(toolchain);
        Ok(toolchain)
    }

    fn clippy_wasm(&mut self) -> Result<()> {
        process::run(
            self.toolchain()?
                .cargo_command("clippy")
                .args(["-p", "sa-authn", "-p", "floor", "-p", "floor-sdk"])
                .args(["--lib", "--target", TARGET])
                .args(["--", "-D", "warnings"]),
        )
    }

    fn envoys(&self) -> Result<()> {
        for version in &self.versions {
            println!("Envoy {version}: {}", envoy_binary(version)?.display());
        }
        Ok(())
    }

    fn end_to_end(&mut self) -> Result<()> {
        let module = self.module()?;
        let versions = self.versions.join(" ");
        println!("SA_AUTHN_MODULE={} ENVOY_VERSIONS=\"{versions}\"", module.display());
        // Not `--tests`: that would run the unit tests of tool-tests again.
        let mut tests = cargo("test -p envoy-test -p xtask --test *");
        if let Some(path) = path_with_prometheus() {
            tests.env("PATH", path);
        }
        self.test(tests.env("SA_AUTHN_MODULE", module).env("ENVOY_VERSIONS", versions))
    }

    /// All tests of a step run, also after one of them failed: one run should show all that is wrong.
    fn test(&mut self, command: &mut Command) -> Result<()> {
        process::run_seeing_lines(command.arg("--no-fail-fast"), |line| {
            self.tally.see(line);
            self.not_run.extend(left_out(line));
        })
    }
}

/// fuzz/ is a workspace of its own.
fn format() -> Result<()> {
    process::run(&mut cargo("fmt --all --check"))?;
    process::run(&mut cargo("fmt --manifest-path fuzz/Cargo.toml --check"))
}

fn docs() -> Result<()> {
    for what in ["-p sa-authn --document-private-items", "--workspace"] {
        let mut doc = cargo(&format!("doc --no-deps {what}"));
        process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}

/// The PATH, with the folder of a Prometheus that is not there already. Where none can be had its tests say so.
fn path_with_prometheus() -> Option<OsString> {
    let folder = prometheus::folder().unwrap_or_else(|why| {
        eprintln!("Prometheus cannot be had: {why:#}");
        None
    })?;
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(iter::once(folder).chain(env::split_paths(&path))).ok()
}

/// The native cargo, in the repository, with arguments that have no white space in them.
fn cargo(arguments: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments.split_whitespace()).current_dir(repository::root());
    cargo
}

/// Long enough to run every seed and what is near to it; `cargo xtask fuzz` runs for longer.
const FUZZ_SECONDS: u32 = 6;
