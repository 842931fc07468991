//! Runs the steps of one `cargo xtask test`, and keeps results that later steps need.

use std::env;
use std::ffi::OsString;
use std::mem;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow, bail};
use programs::envoy::{DEFAULT_VERSION, OLDEST_AND_NEWEST, VERSIONS, envoy_binary};
use programs::tool::Tool;
use xtask::toolchain::{Source, TARGET, Toolchain};
use xtask::{process, repository, wasm};

use super::clippy;
use super::cluster::{self, Cluster};
use super::junit::{self, Tally};
use crate::{fuzz, prometheus, supply_chain, workflows};

/// The extent of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The extent of CI for each change.
    EachChange,
    /// The extent of the nightly run: everything in every Envoy, and longer.
    Full,
}

/// One run of the steps.
pub struct Session {
    extent: Extent,
    /// The requested Envoys; if empty, the extent decides.
    versions: Vec<String>,
    source: Option<Source>,
    toolchain: Option<Toolchain>,
    module: Option<PathBuf>,
    /// Whether the tests are compiled by Clippy too. It is not, if this run does not lint: a warning then keeps no test
    /// from its run.
    is_linted: bool,
    tally: Tally,
    not_run: Vec<String>,
}

// === impl Session ===

impl Session {
    /// Without versions, each step tests in the Envoys of its extent.
    pub fn new(extent: Extent, versions: Vec<String>, source: Option<Source>) -> Self {
        Self {
            extent,
            versions,
            source,
            toolchain: None,
            module: None,
            is_linted: false,
            tally: Tally::default(),
            not_run: Vec::new(),
        }
    }

    /// The counts since the last call, and what was not run.
    pub fn take_tally(&mut self) -> (Tally, Vec<String>) {
        (mem::take(&mut self.tally), mem::take(&mut self.not_run))
    }

    /// Built once per session, also for only the end-to-end tests: they must not test an old module.
    pub fn module(&mut self) -> Result<PathBuf> {
        if let Some(module) = &self.module {
            return Ok(module.clone());
        }
        let module = wasm::build(&self.toolchain()?)?;
        self.module = Some(module.clone());
        Ok(module)
    }

    /// The toolchain for the module, installed if it is missing.
    pub fn toolchain(&mut self) -> Result<Toolchain> {
        let toolchain = match self.toolchain {
            Some(toolchain) => toolchain,
            None => Toolchain::find(self.source)?,
        };
        self.toolchain = Some(toolchain);
        Ok(toolchain)
    }

    /// Reports what is unusual in the code of all packages, and what is forbidden in the filter. Compiles what the tests of
    /// later steps need.
    pub fn clippy(&mut self) -> Result<()> {
        self.is_linted = true;
        process::run(clippy::compiles(&mut cargo("build --workspace --all-targets --locked")))
    }

    /// Checks the code that only the module has.
    pub fn clippy_wasm(&mut self) -> Result<()> {
        process::run(
            self.toolchain()?
                .cargo_command("clippy")
                .args(["-p", "sa-authn", "-p", "floor", "-p", "floor-sdk"])
                .args(["--lib", "--target", TARGET])
                .args(["--", "-D", "warnings"]),
        )
    }

    /// Checks the workflows, if actionlint is available.
    pub fn workflows(&mut self) -> Result<()> {
        self.not_run.extend(workflows::check()?);
        Ok(())
    }

    /// Checks the dependencies, and their advisories if the database can be fetched.
    pub fn supply_chain(&mut self) -> Result<()> {
        self.not_run.extend(supply_chain::check()?);
        Ok(())
    }

    /// Searches for inputs that violate a property; the native tests look at 10,000 for each target.
    pub fn fuzz(&mut self) -> Result<()> {
        fuzz::run_all(match self.extent {
            Extent::EachChange => FUZZ_SECONDS,
            Extent::Full => FULL_FUZZ_SECONDS,
        })
    }

    /// Fetches every Envoy that a later step needs.
    pub fn envoys(&mut self) -> Result<()> {
        let versions = self.versions_or(&VERSIONS);
        for several in versions.chunks(thread::available_parallelism()?.get()) {
            let fetched: Vec<_> = thread::scope(|scope| {
                let running = several.iter().map(|version| scope.spawn(|| envoy_binary(version)));
                let running: Vec<_> = running.collect();
                running.into_iter().map(thread::ScopedJoinHandle::join).collect()
            });
            for (version, binary) in several.iter().zip(fetched) {
                let Ok(binary) = binary else { bail!("a thread panicked") };
                println!("Envoy {version}: {}", binary?.display());
            }
        }
        Ok(())
    }

    /// The requested versions, or these.
    pub fn versions_or(&self, supported: &[&str]) -> Vec<String> {
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

    /// Runs the tests that no other step runs.
    pub fn end_to_end(&mut self) -> Result<()> {
        let in_each = format!("package(envoy-test) and kind(test) and not ({SCENARIOS} or {ONCE})");
        let all = format!("({in_each}) or {ONCE}");
        let mut versions = self.versions_for_most();
        // In one run with the tests for each version, cores are not idle while the last tests for one version end.
        let filter = match versions.iter().position(|version| version == DEFAULT_VERSION) {
            Some(at) => {
                versions.remove(at);
                &all
            }
            None => ONCE,
        };
        let newest = self.in_envoy(filter, DEFAULT_VERSION);
        newest.and(self.in_envoys(&in_each, &versions))
    }

    /// Runs each test in each version in a separate process.
    pub fn in_envoys(&mut self, filter: &str, versions: &[String]) -> Result<()> {
        versions.iter().map(|version| self.in_envoy(filter, version)).fold(Ok(()), Result::and)
    }

    fn in_envoy(&mut self, filter: &str, version: &str) -> Result<()> {
        let module = self.module()?;
        println!("SA_AUTHN_MODULE={} ENVOY_VERSIONS={version}", module.display());
        let mut tests = self.nextest(filter)?;
        // The tests mostly wait for Envoys: with two for each core, both cores were idle for 59 % of the time.
        let threads = 3 * thread::available_parallelism()?.get();
        tests.args(["--test-threads", &threads.to_string()]);
        tests.env("PATH", with_tools(prometheus_folder()));
        self.count(tests.env("SA_AUTHN_MODULE", module).env("ENVOY_VERSIONS", version))
    }

    /// Runs the tests in a real Kubernetes with Istio, one at a time, because they share it. Starts a cluster only if CLUSTER
    /// is `start`: not earlier, because an idle cluster slows down the steps before by a tenth.
    pub fn cluster(&mut self) -> Result<()> {
        let wish = env::var("CLUSTER").unwrap_or_default();
        let cluster = match wish.as_str() {
            "none" => None,
            "start" => {
                crate::cluster::start()?;
                Some(Cluster::find()?.context("the cluster that was started is not up")?)
            }
            _ => Cluster::find()?,
        };
        let Some(cluster) = cluster else {
            let why = if wish == "none" {
                "the tests in a real Kubernetes with Istio, because CLUSTER is none"
            } else {
                "no cluster is up, and KUBECONFIG is not set: `cargo xtask cluster up` starts one"
            };
            println!("not run: {why}");
            self.not_run.push(format!("not run: {why}"));
            return Ok(());
        };
        let module = self.module()?;
        let images = cluster::images(&module)?;
        let (filter, not_run) = cluster.tests();
        self.not_run.extend(not_run);
        let mut tests = self.nextest(&filter)?;
        tests.args(["--test-threads", "1"]).envs(cluster.variables);
        tests.env("CLUSTER_IMAGES", images).env("SA_AUTHN_MODULE", module);
        if self.extent == Extent::Full {
            tests.args(["--run-ignored", "all"]);
        }
        let tools = [crate::cluster::tools()].into_iter().chain(prometheus_folder());
        self.count(tests.env("PATH", with_tools(tools)))
    }

    /// Runs one test at a time, because other load would slow down some requests.
    pub fn timings(&mut self) -> Result<()> {
        let module = self.module()?;
        let mut tests = self.nextest(TIMINGS)?;
        tests.args(["--run-ignored", "only", "--test-threads", "1"]).env("SA_AUTHN_MODULE", module);
        self.count(&mut tests)
    }

    /// The private items of the core are documented for contributors; those of the other packages are not. Examples in the
    /// documentation run apart, because nextest does not run them; some of them must not compile.
    pub fn docs(&self) -> Result<()> {
        process::run(self.compiled(&mut cargo("test --workspace --doc --locked")))?;
        // All packages at once: a choice of packages has other features, and cargo would check their dependencies again.
        let mut doc = cargo("doc --no-deps --workspace --document-private-items");
        process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    }

    /// Runs the native tests that a filter of nextest selects.
    pub fn test(&mut self, filter: &str) -> Result<()> {
        self.count(&mut self.nextest(filter)?)
    }

    /// Runs all tests of a step, even after a failure, so that one run shows every failure.
    fn count(&mut self, nextest: &mut Command) -> Result<()> {
        junit::remove()?;
        let outcome = process::run(nextest);
        let Some((tally, not_run)) = junit::read()? else {
            return outcome.and(Err(anyhow!("the tests passed without a report of nextest")));
        };
        self.tally += tally;
        self.not_run.extend(not_run);
        outcome
    }

    /// Always for the whole workspace: another selection has other features, and would recompile dependencies. The tests of
    /// the command line run the command that is built with them.
    fn nextest(&self, filter: &str) -> Result<Command> {
        let mut nextest = Command::new(Tool::CARGO_NEXTEST.program()?);
        nextest
            .args(["nextest", "run", "--workspace", "--locked", "--filterset", filter])
            .env("SA_AUTHN_COMMAND", repository::target().join("debug/sa-authn"))
            .current_dir(repository::root());
        self.compiled(&mut nextest);
        Ok(nextest)
    }

    /// The same as the step `clippy` compiled, if it was part of this run.
    fn compiled<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        if self.is_linted { clippy::compiles(cargo) } else { cargo }
    }
}

/// Checks the code of all packages.
pub fn format() -> Result<()> {
    process::run(&mut cargo("fmt --all --check"))
}

/// The folder of Prometheus, if it is not in the PATH. Without Prometheus, its tests report that they were not run.
fn prometheus_folder() -> Option<PathBuf> {
    prometheus::folder().unwrap_or_else(|why| {
        eprintln!("Prometheus is not available: {why:#}");
        None
    })
}

/// The PATH with these folders first.
pub fn with_tools(folders: impl IntoIterator<Item = PathBuf>) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(folders.into_iter().chain(env::split_paths(&path))).unwrap_or(path)
}

/// The native cargo, in the repository, with arguments that have no white space in them.
fn cargo(arguments: &str) -> Command {
    let mut words = arguments.split_whitespace();
    let mut cargo = repository::cargo(words.next().unwrap_or_default());
    cargo.args(words);
    cargo
}

/// The tables of tests that run in every supported Envoy.
pub const SCENARIOS: &str =
    "package(envoy-test) and kind(test) and test(/^(scenarios|conformance)::/)";
/// Tests of files and images, which do not depend on the version of Envoy.
const ONCE: &str = "package(image) and kind(test) or package(envoy-test) and kind(test) and \
    test(/^(docker_compose|docker_image|envoy_gateway_schemas|install|istio_names|istio_schemas|module|prometheus)::/)";

/// Not what measures Envoy's retries for ten minutes and judges nothing: docs/operations.md has its command.
const TIMINGS: &str =
    "not package(cluster-test) and not test(/^keys_refused::calls_of_one_envoy_/)";

/// Long enough to run every seed and small changes of it.
const FUZZ_SECONDS: u32 = 6;
const FULL_FUZZ_SECONDS: u32 = 600;
