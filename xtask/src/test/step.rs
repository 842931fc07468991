//! The steps of `cargo xtask test`, in the order in which they run.

use clap::ValueEnum;

/// One step: the cheap and the telling ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Step {
    /// rustfmt agrees
    Format,
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
    /// The module in real Envoys
    EndToEnd,
}

// === impl Step ===

impl Step {
    /// What `--only` takes.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// One phrase for headings and `--list`.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Format => "the code is formatted",
            Self::Clippy => "clippy has nothing to say, natively",
            Self::Module => "the release module builds",
            Self::ClippyWasm => "clippy has nothing to say on the module",
            Self::NativeTests => "the filter's tests pass, natively",
            Self::ToolTests => "the tests of envoy-test and xtask themselves pass",
            Self::Docs => "the documentation builds without a warning",
            Self::SupplyChain => "licences, sources and bans are what deny.toml says",
            Self::Fuzz => "the fuzz targets find nothing in some seconds each",
            Self::Envoys => "the Envoys are fetched",
            Self::EndToEnd => "the module passes its tests in real Envoys",
        }
    }
}
