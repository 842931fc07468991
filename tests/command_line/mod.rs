//! The command line: exit code, stdout and stderr for arguments and files.

mod check;
mod convert;
mod docs;
mod envoy_log;
mod explain;
mod explain_rules;
mod inspect;
mod reasons;
mod secrecy;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command in a folder of the repository.
pub(crate) fn run_in(folder: &str, arguments: &[&str]) -> Ran {
    run(folder, arguments, "")
}

/// Runs the command in a folder of the repository, with this stdin.
pub(crate) fn run(folder: &str, arguments: &[&str], stdin: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sa-authn"));
    command.args(arguments).current_dir(root().join(folder));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    // A command that does not read stdin may have exited already.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        code: output.status.code().expect("an exit code"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
