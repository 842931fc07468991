//! `cargo xtask dist`: creates the files of a release in target/dist. The release workflow runs it; it is also the
//! dry run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches};
use xtask::toolchain::{self, Source, Toolchain};
use xtask::{process, repository, wasm};

use crate::{reproduce, separate};

/// The parts to create.
pub fn command() -> clap::Command {
    clap::Command::new("dist")
        .about("Create the files of a release in target/dist")
        .after_help(
            "Creates the SBOM with cargo-cyclonedx, which is compiled first if it is missing.",
        )
        .arg(
            Arg::new("parts")
                .value_name("PART")
                .num_args(0..)
                .value_parser(["module", "image", "cli", "sbom", "sums"])
                .help("The parts, in this order; default: all"),
        )
        .arg(Source::argument())
}

/// Creates the chosen parts; each adds files to the existing ones.
pub fn run(matches: &ArgMatches) -> Result<()> {
    let chosen: Vec<&String> = matches.get_many("parts").into_iter().flatten().collect();
    let wants = |part: &str| chosen.is_empty() || chosen.iter().any(|name| *name == part);
    let folder = repository::target().join("dist");
    fs::create_dir_all(&folder)?;
    if wants("module") || wants("image") {
        let module = wasm::build(&Toolchain::find(Source::chosen(matches))?)?;
        fs::copy(&module, folder.join("sa_authn.wasm"))?;
        if wants("image") {
            image(&module, &folder)?;
        }
    }
    if wants("cli") {
        cli(&folder)?;
    }
    if wants("sbom") {
        sbom(&folder)?;
    }
    if wants("sums") {
        sums(&folder)?;
    }
    println!("{}", folder.display());
    Ok(())
}

/// The OCI layout as one file, always with the same bytes.
fn image(module: &Path, folder: &Path) -> Result<()> {
    let layout = repository::target().join("dist-image");
    separate::image(module, &layout)?;
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-cf"])
        .arg(folder.join("sa-authn-image.tar"))
        .arg("-C")
        .args([&layout, Path::new(".")]);
    process::run(&mut tar)
}

/// The command line for the machine that runs this.
fn cli(folder: &Path) -> Result<()> {
    process::run(repository::cargo("build").args(["--release", "--locked", "--bin", "sa-authn"]))?;
    let built = repository::target().join("release/sa-authn");
    let name = format!("sa-authn-{}", toolchain::host()?);
    fs::copy(&built, folder.join(name)).with_context(|| built.display().to_string())?;
    Ok(())
}

/// CycloneDX SBOMs of the module and of the command line. cargo-cyclonedx writes a file beside
/// each Cargo.toml of the workspace, so it works on a copy.
fn sbom(folder: &Path) -> Result<()> {
    let cyclonedx = cyclonedx()?;
    let copy = repository::target().join("dist-sbom");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    reproduce::copy_repository(&copy)?;
    for (target, name) in [(toolchain::TARGET, "sa_authn.wasm"), (&toolchain::host()?, "sa-authn")]
    {
        let mut make = Command::new(&cyclonedx);
        make.args(["cyclonedx", "--format", "json", "--target", target])
            .args(["--no-build-deps", "--override-filename", name])
            .args((target == toolchain::TARGET).then_some("--no-default-features"))
            .current_dir(&copy);
        process::run(&mut make)?;
        let made = copy.join(format!("{name}.json"));
        fs::copy(&made, folder.join(format!("{name}.cdx.json")))
            .with_context(|| made.display().to_string())?;
    }
    Ok(fs::remove_dir_all(&copy)?)
}

fn cyclonedx() -> Result<PathBuf> {
    let root = repository::target().join("tools").join(format!("cargo-cyclonedx-{CYCLONEDX}"));
    let program = root.join("bin/cargo-cyclonedx");
    if !program.is_file() {
        let package = format!("cargo-cyclonedx@{CYCLONEDX}");
        process::run(
            repository::cargo("install").args(["--locked", &package, "--root"]).arg(&root),
        )?;
    }
    Ok(program)
}

fn sums(folder: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.retain(|name| name != SUMS);
    names.sort();
    let sums = process::output(Command::new("sha256sum").args(&names).current_dir(folder))?;
    fs::write(folder.join(SUMS), sums + "\n")?;
    Ok(())
}

const CYCLONEDX: &str = "0.5.9";
const SUMS: &str = "SHA256SUMS";
