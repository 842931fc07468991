//! `cargo xtask wasm`: builds the release module, `target/sa_authn.wasm`.
//!
//! All other commands use this module, so the shipped module is the tested one.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::Output;
use crate::repository;
use crate::toolchain::{Source, TARGET, Toolchain};

/// The options of the build.
pub fn command() -> clap::Command {
    clap::Command::new("wasm")
        .about("Build the release module; installs the wasm32-wasip1 toolchain if it is missing")
        .arg(Source::argument())
}

/// Builds the module and prints its path as the last line of stdout, for scripts to read.
pub fn run(matches: &clap::ArgMatches) -> Result<()> {
    let toolchain = Toolchain::find(Source::chosen(matches))?;
    build(&toolchain)?;
    println!("{MODULE}");
    Ok(())
}

/// Builds the module and returns its absolute path.
pub fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let module = build_with(toolchain, Output::Shown)?;
    let kilobytes = fs::metadata(&module)?.len() / 1000;
    eprintln!("{MODULE}: {kilobytes} KB, built by {toolchain}");
    Ok(module)
}

/// The same with cargo's output as chosen.
pub fn build_with(toolchain: &Toolchain, output: Output) -> Result<PathBuf> {
    let (root, target) = (repository::root(), repository::target());
    let built = compile(toolchain, root, &target, &cargo_home(), output)?;
    let module = root.join(MODULE);
    let trimmed = built.with_file_name("sa_authn.trimmed.wasm");
    trim_to(&built, &trimmed, output)?;
    let bytes = fs::read(&trimmed).with_context(|| trimmed.display().to_string())?;
    put(&bytes, &module).with_context(|| format!("cannot write {MODULE}"))?;
    Ok(module)
}

/// Compiles it for a later [`build`], while other commands go first.
pub fn build_ahead(toolchain: &Toolchain) -> Result<()> {
    let (root, target) = (repository::root(), repository::target());
    compile(toolchain, root, &target, &cargo_home(), Output::Ahead).map(|_| ())
}

/// Writes what ships of a compiled module.
pub fn trim_to(compiled: &Path, trimmed: &Path, output: Output) -> Result<()> {
    output.run(trim("run").arg("--").args([compiled, trimmed]))
}

/// Builds or runs the program that removes unused callbacks.
pub fn trim(subcommand: &str) -> Command {
    let mut cargo = repository::cargo(subcommand);
    cargo.args(["--quiet", "--locked", "--package", "trim"]);
    cargo
}

/// Compiles the sources of a folder; the same sources and the same toolchain produce the same bytes,
/// independent of their path and of cargo's download folder.
pub fn compile(
    toolchain: &Toolchain,
    sources: &Path,
    target: &Path,
    cargo_home: &Path,
    output: Output,
) -> Result<PathBuf> {
    let cargo = |subcommand: &str| {
        let mut cargo = toolchain.cargo_command(subcommand);
        cargo.current_dir(sources).env("CARGO_HOME", cargo_home);
        cargo
    };
    // The remapped folders must exist.
    output.run(cargo("fetch").args(["--locked", "--target", TARGET]))?;
    // The package is a cdylib and an rlib; LTO applies only if just the cdylib is built.
    output.run(
        cargo("rustc")
            .args(["--release", "--lib", "--crate-type", "cdylib", "--locked"])
            .args(["--target", TARGET, "-p", "sa-authn", "--target-dir"])
            .arg(target)
            .args(output.cargo_arguments())
            .env("CARGO_ENCODED_RUSTFLAGS", path_names(sources, cargo_home)?)
            .args(["--", INLINE_LESS, KEEP_NAMES]),
    )?;
    Ok(target.join(TARGET).join("release/sa_authn.wasm"))
}

/// Cargo's download folder.
pub fn cargo_home() -> PathBuf {
    let home = || env::home_dir().unwrap_or_default().join(".cargo");
    env::var_os("CARGO_HOME").filter(|folder| !folder.is_empty()).map_or_else(home, PathBuf::from)
}

/// Panic messages contain source paths, which must not depend on the machine.
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

/// Renamed into place, so that a starting Envoy never reads a partial module.
fn put(bytes: &[u8], module: &Path) -> std::io::Result<()> {
    let partial = module.with_extension("wasm.partial");
    fs::create_dir_all(module.with_file_name(""))?;
    fs::write(&partial, bytes)?;
    fs::rename(&partial, module)
}

/// Relative to the repository; the same wherever `CARGO_TARGET_DIR` points, because envoy.yaml and texts name it.
pub const MODULE: &str = "target/sa_authn.wasm";

/// LLVM inlines what is marked `#[inline]`, as most of the collections is, six times as eagerly as the
/// rest, even when it builds for size. At 75 instead of 150 the linked module was 11 KB smaller, at 40 another 4 KB.
const INLINE_LESS: &str = "-Cllvm-args=-inlinehint-threshold=40";

/// `trim` finds what to remove by its name, and writes no names.
const KEEP_NAMES: &str = "-Cstrip=debuginfo";
