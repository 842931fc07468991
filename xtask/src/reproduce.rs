//! `cargo xtask reproduce`: builds the module twice in different folders, as it ships, and compares the bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use xtask::process::{self, Output};
use xtask::toolchain::{Source, Toolchain};
use xtask::{repository, wasm};

/// The options of the build.
pub fn command() -> clap::Command {
    clap::Command::new("reproduce")
        .about("Build the module twice, in different places, and compare the bytes")
        .arg(Source::argument())
}

/// Builds the committed and the changed files twice from scratch, in different folders, and the second
/// time with another download folder.
pub fn run(matches: &clap::ArgMatches) -> Result<()> {
    let toolchain = Toolchain::find(Source::chosen(matches))?;
    let folder = repository::target().join("reproduce");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let (one, other) = (folder.join("one"), folder.join("another/and-a-longer-name"));
    let first = build(&toolchain, &one, &wasm::cargo_home())?;
    let second = build(&toolchain, &other, &folder.join("another/cargo-home"))?;
    ensure!(
        fs::read(&first)? == fs::read(&second)?,
        "{} and {} differ",
        first.display(),
        second.display(),
    );
    println!("{}", process::output(Command::new("sha256sum").arg(&first).arg(&second))?);
    println!("The two modules are identical.");
    Ok(())
}

fn build(toolchain: &Toolchain, folder: &Path, cargo_home: &Path) -> Result<PathBuf> {
    let sources = folder.join("sources");
    copy_repository(&sources)
        .with_context(|| format!("cannot copy the repository to {}", sources.display()))?;
    let built =
        wasm::compile(toolchain, &sources, &folder.join("built"), cargo_home, Output::Shown)?;
    let module = folder.join("sa_authn.wasm");
    wasm::trim_to(&built, &module, Output::Shown)?;
    Ok(module)
}

/// Copies the committed and the changed files.
pub fn copy_repository(to: &Path) -> Result<()> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let files = process::output(git.current_dir(repository::root()))?;
    for file in files.lines() {
        let (from, to) = (repository::root().join(file), to.join(file));
        // Deleted, but not committed.
        if from.is_file() {
            fs::create_dir_all(to.with_file_name(""))?;
            fs::copy(from, to)?;
        }
    }
    Ok(())
}
