//! `cargo xtask wasm`: the release module comes out, as `target/sa_authn.wasm`.
//!
//! What ships is what is tested: all other commands take the module from here.

mod trim;

use std::env;
use std::ffi::OsString;
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
    let built = compile(toolchain, repository::root(), &repository::target(), &cargo_home())?;
    let module = repository::root().join(MODULE);
    let bytes = trim::trimmed(&built)?;
    put(&bytes, &module).with_context(|| format!("{MODULE} was not written"))?;
    let kilobytes = bytes.len() / 1000;
    eprintln!("{MODULE}: {kilobytes} KB, built by {toolchain}");
    Ok(module)
}

/// Compiles the sources of a folder; the same sources and the same toolchain give the same bytes,
/// wherever they are, and wherever cargo keeps what it downloads.
pub fn compile(
    toolchain: &Toolchain,
    sources: &Path,
    target: &Path,
    cargo_home: &Path,
) -> Result<PathBuf> {
    let cargo = |subcommand: &str| {
        let mut cargo = toolchain.cargo_command(subcommand);
        cargo.current_dir(sources).env("CARGO_HOME", cargo_home);
        cargo
    };
    // The folders that are to be named otherwise must be there first.
    process::run(cargo("fetch").args(["--locked", "--target", TARGET]))?;
    // The package is a cdylib and an rlib; asking for the cdylib alone is what turns on LTO.
    process::run(
        cargo("rustc")
            .args(["--release", "--lib", "--crate-type", "cdylib", "--locked"])
            .args(["--target", TARGET, "-p", "sa-authn", "--target-dir"])
            .arg(target)
            .env("CARGO_ENCODED_RUSTFLAGS", path_names(sources, cargo_home)?)
            .args(["--", INLINE_LESS, SHORT_NUMBERS]),
    )?;
    Ok(target.join(TARGET).join("release/sa_authn.wasm"))
}

/// Where cargo keeps what it downloads.
pub fn cargo_home() -> PathBuf {
    let home = || env::home_dir().unwrap_or_default().join(".cargo");
    env::var_os("CARGO_HOME").filter(|folder| !folder.is_empty()).map_or_else(home, PathBuf::from)
}

/// A panic's message names its source file: by a path that says nothing of the machine.
fn path_names(sources: &Path, cargo_home: &Path) -> Result<OsString> {
    let mut names = vec![(sources.to_path_buf(), "sa-authn")];
    for registry in fs::read_dir(cargo_home.join("registry/src"))? {
        names.push((registry?.path(), "registry"));
    }
    let flags = names.iter().map(|(folder, name)| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(folder);
        flag.push(format!("={name}"));
        flag
    });
    Ok(flags.collect::<Vec<_>>().join(OsString::from("\u{1f}").as_os_str()))
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
/// rest, even when it builds for size. This is less than the rest; the module is 50 KB smaller and no slower.
const INLINE_LESS: &str = "-Cllvm-args=-inlinehint-threshold=40";

/// The linker leaves five bytes for each number that it puts in, most of which need one or two. Without the
/// padding the code is 6 % smaller, and the same. Only where symbols are stripped, as the release profile does.
const SHORT_NUMBERS: &str = "-Clink-arg=--compress-relocations";
