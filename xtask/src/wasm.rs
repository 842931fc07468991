//! `cargo xtask wasm`: the release module comes out, as `target/sa_authn.wasm`.
//!
//! What ships is what is tested: all other commands take the module from here.

mod trim;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::toolchain::{Source, TARGET, Toolchain};
use crate::{process, repository};

/// How to build the module.
#[derive(clap::Args)]
pub struct Options {
    /// Where the wasm32-wasip1 toolchain comes from; without it each source is tried in this order
    #[arg(long, value_name = "SOURCE", env = "SA_AUTHN_WASM_TOOLCHAIN")]
    toolchain: Option<Source>,
}

/// Builds the module and prints its path as the last line of stdout, for scripts to read.
pub fn run(options: &Options) -> Result<()> {
    let toolchain = Toolchain::find(options.toolchain)?;
    build(&toolchain)?;
    println!("{MODULE}");
    Ok(())
}

/// Builds the module and gives its absolute path.
pub fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let folder = repository::target();
    // The package is a cdylib and an rlib; asking for the cdylib alone is what turns on LTO.
    process::run(
        toolchain
            .cargo_command("rustc")
            .args(["--release", "--lib", "--crate-type", "cdylib"])
            .args(["--target", TARGET, "-p", "sa-authn", "--target-dir"])
            .arg(&folder)
            .args(["--", INLINE_LESS]),
    )?;
    let built = folder.join(TARGET).join("release/sa_authn.wasm");
    let module = repository::root().join(MODULE);
    let bytes = trim::trimmed(&built)?;
    put(&bytes, &module).with_context(|| format!("{MODULE} was not written"))?;
    let kilobytes = bytes.len() / 1000;
    eprintln!("{MODULE}: {kilobytes} KB, built by {toolchain}");
    Ok(module)
}

/// Renamed into place, so that an Envoy that is starting never reads half a module.
fn put(bytes: &[u8], module: &Path) -> std::io::Result<()> {
    let partial = module.with_extension("wasm.partial");
    fs::create_dir_all(module.with_file_name(""))?;
    fs::write(&partial, bytes)?;
    fs::rename(&partial, module)
}

/// Relative to the repository; the same wherever `CARGO_TARGET_DIR` points, because envoy.yaml and texts name it.
const MODULE: &str = "target/sa_authn.wasm";

/// LLVM inlines what is marked `#[inline]`, as most of the collections is, six times as eagerly as the
/// rest, even when it builds for size. This is less than half of that; the module is 30 KB smaller and no slower.
const INLINE_LESS: &str = "-Cllvm-args=-inlinehint-threshold=150";
