//! Checks the GitHub workflows with actionlint.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use programs::go::COMPILED_FAST;
use xtask::{process, repository};

/// Runs actionlint; without actionlint and without Go to build it, returns the reason.
pub fn check() -> Result<Option<String>> {
    let Some(actionlint) = actionlint()? else {
        return Ok(Some("not run: workflows: neither actionlint nor Go is available".to_owned()));
    };
    // shellcheck and pyflakes may be installed or not: the result must not depend on it.
    let mut check = Command::new(actionlint);
    check.args(["-shellcheck=", "-pyflakes="]).current_dir(repository::root());
    process::run(&mut check)?;
    Ok(None)
}

fn actionlint() -> Result<Option<PathBuf>> {
    let answers = |program: &str, argument: &str| {
        process::output(Command::new(program).arg(argument)).is_ok()
    };
    if answers("actionlint", "-version") {
        return Ok(Some("actionlint".into()));
    }
    let folder = repository::target().join("tools").join(format!("actionlint-{VERSION}"));
    let program = folder.join("actionlint");
    if program.is_file() {
        return Ok(Some(program));
    }
    if !answers("go", "version") {
        return Ok(None);
    }
    fs::create_dir_all(&folder)?;
    let mut install = Command::new("go");
    // With the flags of the other programs, which then share Go's standard library with it.
    install.arg("install").args(COMPILED_FAST).arg(format!("{MODULE}@{VERSION}"));
    install.env("GOBIN", &folder).env("CGO_ENABLED", "0");
    process::run(&mut install).context("cannot build actionlint")?;
    Ok(Some(program))
}

const MODULE: &str = "github.com/rhysd/actionlint/cmd/actionlint";
const VERSION: &str = "v1.7.12";
