//! Finds or installs a toolchain for wasm32-wasip1.

mod active;
mod apt;
mod debian;
mod debian_std;
pub mod llvm;
pub mod root;

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use clap::builder::PossibleValue;
use clap::{Arg, ArgMatches, ValueEnum, value_parser};

use crate::repository;

/// A toolchain that has the wasm32-wasip1 target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// The active toolchain, usually from rustup.
    Active,
    /// Debian's packages, with a standard library built from their sources.
    Debian,
}

/// The sources of a wasm32-wasip1 toolchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An installed toolchain; downloads nothing
    Installed,
    /// `rustup target add wasm32-wasip1`
    Rustup,
    /// Debian's packages rustc-web and friends; needs root or sudo once
    Debian,
}

// === impl Source ===

impl Source {
    /// The option `--toolchain`.
    pub fn argument() -> Arg {
        Arg::new("toolchain")
            .long("toolchain")
            .value_name("SOURCE")
            .env("SA_AUTHN_WASM_TOOLCHAIN")
            .value_parser(value_parser!(Self))
            .help("Source of the wasm32-wasip1 toolchain; default: try each source in this order")
    }

    /// The value of [`Source::argument`].
    pub fn chosen(matches: &ArgMatches) -> Option<Self> {
        matches.get_one("toolchain").copied()
    }
}

impl ValueEnum for Source {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Installed, Self::Rustup, Self::Debian]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Installed => ("installed", "An installed toolchain; downloads nothing"),
            Self::Rustup => ("rustup", "`rustup target add wasm32-wasip1`"),
            Self::Debian => {
                ("debian", "Debian's packages rustc-web and friends; needs root or sudo once")
            }
        };
        Some(PossibleValue::new(name).help(help))
    }
}

// === impl Toolchain ===

impl Toolchain {
    /// Uses the given source, or the first one that works, the cheapest first.
    pub fn find(source: Option<Source>) -> Result<Self> {
        match source {
            Some(Source::Installed) => Self::installed().context(
                "no installed toolchain has wasm32-wasip1: \
                 run `rustup target add wasm32-wasip1`, or allow another source than `installed`",
            ),
            Some(Source::Rustup) => active::add_target().map(|()| Self::Active),
            Some(Source::Debian) => debian::set_up().map(|()| Self::Debian),
            None => Self::first_that_works(),
        }
    }

    fn installed() -> Option<Self> {
        if active::has_target() {
            Some(Self::Active)
        } else {
            debian::is_set_up().then_some(Self::Debian)
        }
    }

    fn first_that_works() -> Result<Self> {
        if let Some(toolchain) = Self::installed() {
            return Ok(toolchain);
        }
        eprintln!("The target {TARGET} is missing; trying rustup, then Debian's packages.");
        let Err(rustup) = active::add_target() else { return Ok(Self::Active) };
        eprintln!("rustup failed: {rustup:#}");
        debian::set_up().map(|()| Self::Debian).with_context(|| {
            format!("could not install {TARGET} with rustup or from Debian's packages")
        })
    }

    /// Cargo, to be run in the repository with this toolchain.
    pub fn cargo_command(&self, subcommand: &str) -> Command {
        let mut command = match self {
            Self::Active => active::cargo(subcommand),
            Self::Debian => debian::cargo(subcommand),
        };
        command.current_dir(repository::root());
        command
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "the toolchain in use",
            Self::Debian => "Debian's toolchain",
        })
    }
}

/// The host target of the active toolchain.
pub fn host() -> Result<String> {
    active::says("host")
}

/// Whether a folder of rustlib contains a standard library; the folder may exist and be empty.
fn holds_std(folder: &Path) -> bool {
    let Ok(entries) = folder.read_dir() else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// The target of the module.
pub const TARGET: &str = "wasm32-wasip1";
