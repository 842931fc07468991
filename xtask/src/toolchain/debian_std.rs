//! Builds Rust's standard library for wasm32-wasip1 from Debian's sources, and installs it for Debian's rustc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::root::run_as_root;
use super::{TARGET, debian};
use crate::process;

/// Builds an empty crate with its own standard library, and returns the folder for rustc.
pub fn build(scratch: &Path) -> Result<PathBuf> {
    eprintln!("Building Rust's standard library for {TARGET}: about a minute, once.");
    let package = empty_package(&scratch.join("std"))?;
    let target = package.join("target");
    process::run(
        debian::cargo("build")
            .current_dir(&package)
            .args(["--release", "--target", TARGET, "-Zbuild-std=std,panic_abort", "--target-dir"])
            .arg(&target)
            // Debian's cargo is a stable one; Debian's sources are those of the same version.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", format!("-Clink-self-contained=no -L{WASI_LIBC}")),
    )
    .context("cannot build the standard library")?;
    gather(&target.join(TARGET).join("release/deps"), scratch.join(TARGET))
}

/// Installs the built library, replacing that of an older rustc.
pub fn install(built: &Path, sysroot_folder: &Path) -> Result<()> {
    let mut remove = Command::new("rm");
    remove.arg("-rf").arg(sysroot_folder);
    let mut copy = Command::new("cp");
    copy.arg("-r").args([built, sysroot_folder]);
    run_as_root("Installing the standard library", vec![remove, copy])
}

/// The library's files, and the parts of wasi-libc that rustc links by itself.
fn gather(deps: &Path, folder: PathBuf) -> Result<PathBuf> {
    let lib = folder.join("lib");
    let linked = lib.join("self-contained");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&linked)?;
    let libraries = copy_those(deps, &lib, |name| name.ends_with(".rlib"))?;
    ensure!(libraries > 0, "cargo built no libraries in {}", deps.display());
    let libc = copy_those(Path::new(WASI_LIBC), &linked, |name| {
        name == "libc.a" || (name.starts_with("crt1-") && name.ends_with(".o"))
    })?;
    ensure!(
        libc > 1,
        "libc.a and crt1-*.o are not in {WASI_LIBC}, where Debian 12's wasi-libc puts them",
    );
    Ok(folder)
}

fn copy_those(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<usize> {
    let entries = from.read_dir().with_context(|| format!("cannot read {}", from.display()))?;
    let mut count = 0;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Without LTO in this profile the library would have no bitcode, and every later LTO build would fail.
fn empty_package(folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    fs::write(folder.join("Cargo.toml"), MANIFEST)?;
    Ok(folder.to_owned())
}

const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

const MANIFEST: &str = r#"[package]
name = "empty"
version = "0.0.0"
edition = "2021"

[lib]
crate-type = ["cdylib"]

[profile.release]
lto = true
panic = "abort"

# A workspace of its own: it lies inside the repository's.
[workspace]
"#;
