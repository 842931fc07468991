//! The steps of `cargo xtask test`, in the order in which they run.

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// One step: the cheap and the telling ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// rustfmt agrees
    Format,
    /// actionlint agrees
    Workflows,
    /// clippy agrees, natively
    Clippy,
    /// The release module builds
    Module,
    /// clippy agrees on the code that only the module has
    ClippyWasm,
    /// The filter's own tests
    NativeTests,
    /// The tests of what tests the filter
    ToolTests,
    /// rustdoc agrees
    Docs,
    /// cargo-deny agrees
    SupplyChain,
    /// The fuzz targets find nothing
    Fuzz,
    /// The Envoys are here
    Envoys,
    /// The module in every supported Envoy
    Scenarios,
    /// The module in the oldest and the newest Envoy
    EndToEnd,
    /// The native tests with instrumented code
    Coverage,
    /// Traffic for a long time
    Soak,
}

// === impl Step ===

impl Step {
    /// What `--only` takes.
    pub fn name(self) -> &'static str {
        self.described().0
    }

    /// One phrase for headings and `--list`.
    pub fn purpose(self) -> &'static str {
        self.described().1
    }

    /// Whether the step runs only with `--full`, or when it is asked for.
    pub fn is_long(self) -> bool {
        matches!(self, Self::Coverage | Self::Soak)
    }

    fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::Format => ("format", "the code is formatted"),
            Self::Workflows => ("workflows", "actionlint has nothing to say"),
            Self::Clippy => ("clippy", "clippy has nothing to say, natively"),
            Self::Module => ("module", "the release module builds"),
            Self::ClippyWasm => ("clippy-wasm", "clippy has nothing to say on the module"),
            Self::NativeTests => ("native-tests", "the filter's tests pass, natively"),
            Self::ToolTests => ("tool-tests", "the tests of envoy-test and xtask themselves pass"),
            Self::Docs => ("docs", "the documentation builds without a warning"),
            Self::SupplyChain => {
                ("supply-chain", "licences, sources and bans are what deny.toml says")
            }
            Self::Fuzz => ("fuzz", "the fuzz targets find nothing in some seconds each"),
            Self::Envoys => ("envoys", "the Envoys are fetched"),
            Self::Scenarios => {
                ("scenarios", "scenarios and conformance pass in every supported Envoy")
            }
            Self::EndToEnd => {
                ("end-to-end", "all other tests pass in the oldest and the newest Envoy")
            }
            Self::Coverage => ("coverage", "the native tests pass with instrumented code"),
            Self::Soak => ("soak", "nothing is lost in half an hour of mixed traffic"),
        }
    }
}

impl ValueEnum for Step {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Format,
            Self::Workflows,
            Self::Clippy,
            Self::Module,
            Self::ClippyWasm,
            Self::NativeTests,
            Self::ToolTests,
            Self::Docs,
            Self::SupplyChain,
            Self::Fuzz,
            Self::Envoys,
            Self::Scenarios,
            Self::EndToEnd,
            Self::Coverage,
            Self::Soak,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.purpose()))
    }
}
