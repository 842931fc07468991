//! The command line `sa-authn`, built from this repository.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The result of a run.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the command, in the root of the repository.
pub async fn sa_authn(arguments: &[&str]) -> Result<Ran> {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    tokio::task::spawn_blocking(move || run(&arguments)).await?
}

fn run(arguments: &[String]) -> Result<Ran> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--locked", "-p", "sa-authn", "--bin", "sa-authn", "--"]);
    let output = cargo.args(arguments).current_dir(root).output().context("running cargo")?;
    let text = |bytes| String::from_utf8(bytes).context("UTF-8");
    let ran = Ran {
        code: output.status.code().context("an exit code")?,
        stdout: text(output.stdout)?,
        stderr: text(output.stderr)?,
    };
    ensure!(ran.code != 101, "cargo could not build the command: {}", ran.stderr);
    Ok(ran)
}
