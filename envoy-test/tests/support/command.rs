//! The command line `sa-authn`, built from this repository.

use std::env;
use std::path::Path;

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
    sa_authn_with(arguments, None).await
}

/// Runs the command with the programs of this folder before all others.
pub async fn sa_authn_with(arguments: &[&str], programs: Option<&Path>) -> Result<Ran> {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let programs = programs.map(Path::to_path_buf);
    tokio::task::spawn_blocking(move || run(&arguments, programs.as_deref())).await?
}

fn run(arguments: &[String], programs: Option<&Path>) -> Result<Ran> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = envoy_test::command::sa_authn();
    if let Some(programs) = programs {
        let path = env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", programs.display()));
    }
    let output = command.args(arguments).current_dir(root).output().context("running sa-authn")?;
    let text = |bytes| String::from_utf8(bytes).context("UTF-8");
    let ran = Ran {
        code: output.status.code().context("an exit code")?,
        stdout: text(output.stdout)?,
        stderr: text(output.stderr)?,
    };
    ensure!(ran.code != 101, "cargo could not build the command: {}", ran.stderr);
    Ok(ran)
}
