//! Builds the measured modules: the filter, both builds of the floor, and the SDK filter.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::toolchain::{TARGET, Toolchain};
use crate::{process, repository, wasm};

/// Where each module is.
pub struct Modules {
    /// sa-authn, as it ships.
    pub ours: PathBuf,
    /// Host calls that its configuration lists, and the exports that those need.
    pub floor: PathBuf,
    /// The same with every export of the SDK.
    pub floor_with_every_callback: PathBuf,
    /// What the floor does, written with the SDK.
    pub floor_sdk: PathBuf,
    /// The same, and it reads the clock.
    pub floor_sdk_with_clock: PathBuf,
}

// === impl Modules ===

impl Modules {
    /// Builds all of them with the release profile.
    pub fn build(toolchain: &Toolchain) -> Result<Self> {
        Ok(Self {
            ours: wasm::build(toolchain)?,
            floor: floor(toolchain, "floor", "floor.wasm", &[])?,
            floor_with_every_callback: floor(
                toolchain,
                "floor",
                "floor-with-every-callback.wasm",
                &["--features", "every-callback"],
            )?,
            floor_sdk: floor(toolchain, "floor-sdk", "floor-sdk.wasm", &[])?,
            floor_sdk_with_clock: floor(
                toolchain,
                "floor-sdk",
                "floor-sdk-with-clock.wasm",
                &["--features", "clock"],
            )?,
        })
    }

    /// How large the filter's module is.
    pub fn bytes(&self) -> Result<u64> {
        Ok(fs::metadata(&self.ours)?.len())
    }
}

// === private ===

fn floor(toolchain: &Toolchain, package: &str, name: &str, features: &[&str]) -> Result<PathBuf> {
    let folder = repository::target();
    process::run(
        toolchain
            .cargo_command("rustc")
            .args(["--release", "--lib", "--crate-type", "cdylib"])
            .args(["--target", TARGET, "-p", package])
            .args(features)
            .arg("--target-dir")
            .arg(&folder),
    )?;
    // Builds of one package have one name: each is copied before the other replaces it.
    let module = output_folder()?.join(name);
    let built = format!("release/{}.wasm", package.replace('-', "_"));
    fs::copy(folder.join(TARGET).join(built), &module)?;
    Ok(module)
}

/// Where a benchmark leaves what it found.
pub fn output_folder() -> Result<PathBuf> {
    let folder = repository::root().join(OUTPUT);
    fs::create_dir_all(&folder).with_context(|| format!("{OUTPUT} cannot be made"))?;
    Ok(folder)
}

/// Relative to the repository; the same wherever `CARGO_TARGET_DIR` points, because texts name it.
const OUTPUT: &str = "target/bench";
