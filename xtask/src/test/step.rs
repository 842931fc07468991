//! The steps of `cargo xtask test` in their order: cheap and informative steps first.

use anyhow::Result;
use programs::envoy::VERSIONS;

use super::session::{self, SCENARIOS, Session};
use crate::{coverage, separate};

/// One step.
pub struct Step {
    /// The value for `--only`.
    pub name: &'static str,
    /// One phrase for headings and `--list`.
    pub purpose: &'static str,
    /// Whether the step runs only with `--full` or `--only`.
    pub is_long: bool,
    /// Runs the step.
    pub perform: fn(&mut Session) -> Result<()>,
}

/// All of them.
pub const STEPS: [Step; 17] = [
    step("format", "the code is formatted", |_| session::format()),
    step("workflows", "actionlint reports nothing", Session::workflows),
    step("clippy", "clippy reports nothing for native code", Session::clippy),
    step("native-tests", "the native tests of the filter pass", |session| session.test(NATIVE)),
    step("tool-tests", "the tests of envoy-test and xtask themselves pass", |session| {
        session.test(TOOLS)
    }),
    step("docs", "the documentation builds without a warning, and its examples pass", |session| {
        session.docs()
    }),
    step("supply-chain", "licences, sources and bans comply with deny.toml", Session::supply_chain),
    step("module", "the release module builds", |session| session.module().map(|_| ())),
    step("clippy-wasm", "clippy reports nothing for the module", Session::clippy_wasm),
    step("envoys", "the Envoys are fetched", Session::envoys),
    step("scenarios", "scenarios and conformance pass in every supported Envoy", |session| {
        session.in_envoys(SCENARIOS, &session.versions_or(&VERSIONS))
    }),
    step(
        "end-to-end",
        "all other tests pass in the oldest and the newest Envoy",
        Session::end_to_end,
    ),
    step(
        "cluster",
        "the tests in a real Kubernetes with Istio pass, if a cluster is up",
        Session::cluster,
    ),
    long_step("fuzz", "libFuzzer finds nothing", Session::fuzz),
    long_step("timings", "tests that measure time pass, one at a time", Session::timings),
    long_step("coverage", "the native tests pass with instrumented code", |_| {
        coverage::measure(false)
    }),
    long_step("soak", "nothing is lost in half an hour of mixed traffic", |_| {
        separate::soak(SOAK_MINUTES)
    }),
];

const fn step(
    name: &'static str,
    purpose: &'static str,
    perform: fn(&mut Session) -> Result<()>,
) -> Step {
    Step { name, purpose, is_long: false, perform }
}

const fn long_step(
    name: &'static str,
    purpose: &'static str,
    perform: fn(&mut Session) -> Result<()>,
) -> Step {
    Step { name, purpose, is_long: true, perform }
}

const NATIVE: &str = "package(/^sa-authn/)";
const TOOLS: &str = "not package(/^sa-authn/) and (kind(lib) or kind(bin))";
const SOAK_MINUTES: u32 = 30;
