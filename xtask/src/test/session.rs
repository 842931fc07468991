//! Performs the steps of one `cargo xtask test`, and keeps what a later step needs of an earlier one.

use std::env;
use std::ffi::OsString;
use std::iter;
use std::mem;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use programs::envoy::{OLDEST_AND_NEWEST, VERSIONS, envoy_binary};
use programs::tool::Tool;
use xtask::toolchain::{Source, TARGET, Toolchain};
use xtask::{process, repository, wasm};

use super::junit::{self, Tally};
use super::step::Step;
use crate::{coverage, fuzz, prometheus, separate, supply_chain, workflows};

/// How much is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What CI runs for each change.
    EachChange,
    /// What runs at night: everything in every Envoy, and for longer.
    Full,
}

/// One run of the steps.
pub struct Session {
    extent: Extent,
    /// Those that were asked for; none means that the extent decides.
    versions: Vec<String>,
    source: Option<Source>,
    toolchain: Option<Toolchain>,
    module: Option<PathBuf>,
    tally: Tally,
    not_run: Vec<String>,
}

// === impl Session ===

impl Session {
    /// Without versions, each step tests in the Envoys that the extent has for it.
    pub fn new(extent: Extent, versions: Vec<String>, source: Option<Source>) -> Self {
        Self {
            extent,
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
            Step::Workflows => {
                self.not_run.extend(workflows::check()?);
                Ok(())
            }
            Step::Clippy => {
                process::run(&mut cargo("clippy --workspace --all-targets -- -D warnings"))
            }
            Step::Module => self.module().map(|_| ()),
            Step::ClippyWasm => self.clippy_wasm(),
            Step::NativeTests => self.test(&mut nextest(NATIVE)?),
            Step::ToolTests => self.test(&mut nextest(TOOLS)?),
            Step::Docs => docs(),
            Step::SupplyChain => supply_chain::check(),
            Step::Fuzz => fuzz::run_all(match self.extent {
                Extent::EachChange => FUZZ_SECONDS,
                Extent::Full => FULL_FUZZ_SECONDS,
            }),
            Step::Envoys => self.envoys(),
            Step::Scenarios => self.in_envoys(SCENARIOS, self.versions_or(&VERSIONS)),
            Step::EndToEnd => self.in_envoys(END_TO_END, self.versions_for_most()),
            Step::Coverage => coverage::measure(false),
            Step::Soak => separate::soak(SOAK_MINUTES),
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
        for version in self.versions_or(&VERSIONS) {
            println!("Envoy {version}: {}", envoy_binary(&version)?.display());
        }
        Ok(())
    }

    fn versions_or(&self, supported: &[&str]) -> Vec<String> {
        if self.versions.is_empty() {
            supported.iter().copied().map(str::to_owned).collect()
        } else {
            self.versions.clone()
        }
    }

    fn versions_for_most(&self) -> Vec<String> {
        match self.extent {
            Extent::EachChange => self.versions_or(&OLDEST_AND_NEWEST),
            Extent::Full => self.versions_or(&VERSIONS),
        }
    }

    fn in_envoys(&mut self, filter: &str, versions: Vec<String>) -> Result<()> {
        let module = self.module()?;
        let versions = versions.join(" ");
        println!("SA_AUTHN_MODULE={} ENVOY_VERSIONS=\"{versions}\"", module.display());
        let mut tests = nextest(filter)?;
        if let Some(path) = path_with_prometheus() {
            tests.env("PATH", path);
        }
        self.test(tests.env("SA_AUTHN_MODULE", module).env("ENVOY_VERSIONS", versions))
    }

    /// All tests of a step run, also after one of them failed: one run should show all that is wrong.
    fn test(&mut self, nextest: &mut Command) -> Result<()> {
        junit::remove()?;
        let outcome = process::run(nextest);
        (self.tally, self.not_run) = junit::read()?;
        outcome
    }
}

/// fuzz/ is a workspace of its own.
fn format() -> Result<()> {
    process::run(&mut cargo("fmt --all --check"))?;
    process::run(&mut cargo("fmt --manifest-path fuzz/Cargo.toml --check"))
}

/// The private items of the core are documented for contributors; those of the other packages are not.
fn docs() -> Result<()> {
    for what in ["-p sa-authn --document-private-items", "--workspace --exclude sa-authn"] {
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

/// Always of the whole workspace: another selection has other features, and would compile dependencies again.
fn nextest(filter: &str) -> Result<Command> {
    let mut nextest = Command::new(Tool::CARGO_NEXTEST.program()?);
    nextest
        .args(["nextest", "run", "--workspace", "--locked", "--filterset", filter])
        .current_dir(repository::root());
    Ok(nextest)
}

/// The native cargo, in the repository, with arguments that have no white space in them.
fn cargo(arguments: &str) -> Command {
    let mut words = arguments.split_whitespace();
    let mut cargo = repository::cargo(words.next().unwrap_or_default());
    cargo.args(words);
    cargo
}

const NATIVE: &str = "package(sa-authn)";
const TOOLS: &str = "not package(sa-authn) and (kind(lib) or kind(bin))";
const SCENARIOS: &str = "package(envoy-test) and (binary(scenarios) or binary(conformance))";
const END_TO_END: &str =
    "not package(sa-authn) and kind(test) and not (binary(scenarios) or binary(conformance))";

/// Long enough to run every seed and what is near to it; `cargo xtask fuzz` runs for longer.
const FUZZ_SECONDS: u32 = 6;
const FULL_FUZZ_SECONDS: u32 = 600;
const SOAK_MINUTES: u32 = 30;
