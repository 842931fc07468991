//! Runs other programs; errors contain the command.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs a command and prints it and its output to stderr; stdout is for results.
pub fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command
        .stdout(io::stderr())
        .status()
        .with_context(|| format!("`{}` cannot be started", shown(command)))?;
    ensure!(status.success(), "`{}` failed with {status}; its output is above", shown(command));
    Ok(())
}

/// Runs a command and returns its trimmed stdout.
pub fn output(command: &mut Command) -> Result<String> {
    let output =
        command.output().with_context(|| format!("`{}` cannot be started", shown(command)))?;
    ensure!(
        output.status.success(),
        "`{}` failed with {}: {}",
        shown(command),
        output.status,
        String::from_utf8_lossy(&output.stderr).trim(),
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// How much of cargo's output is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// All of it, and the command.
    Shown,
    /// Nothing unless it fails, because parallel commands would mix their lines.
    Quiet,
    /// The same, and other commands go first: for what is built ahead.
    Ahead,
}

// === impl Output ===

impl Output {
    /// Runs cargo.
    pub fn run(self, cargo: &mut Command) -> Result<()> {
        match self {
            Self::Shown => run(cargo),
            Self::Quiet => output(cargo).map(|_| ()),
            Self::Ahead => output(&mut at_lowest_priority(cargo)).map(|_| ()),
        }
    }

    /// The cargo options for this amount of output.
    pub fn cargo_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Shown => &[],
            Self::Quiet | Self::Ahead => &["--quiet"],
        }
    }
}

/// The same command by `nice`. Fails to start on systems without it.
pub fn at_lowest_priority(command: &Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    nice
}

/// Runs a command with much output on stderr, passes each line to `see`, and prints the last lines if it fails.
pub fn run_seeing_errors(command: &mut Command, mut see: impl FnMut(&str)) -> Result<()> {
    announce(command);
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{}` cannot be started", shown(command)))?;
    let mut last = VecDeque::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            see(&line);
            last.push_back(line);
            if last.len() > LAST_LINES {
                last.pop_front();
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        last.iter().for_each(|line| eprintln!("{line}"));
    }
    ensure!(status.success(), "`{}` failed with {status}; its output is above", shown(command));
    Ok(())
}

/// Runs a command with inherited output, and returns its exit code.
pub fn exit_code(command: &mut Command) -> Result<ExitCode> {
    let status =
        command.status().with_context(|| format!("`{}` cannot be started", shown(command)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A command as typed in a shell.
pub fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn announce(command: &Command) {
    eprintln!("$ {}", shown(command));
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Enough for a panic, its backtrace and the input.
const LAST_LINES: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("cargo");
        command.args(["test", "--test", "*", "it's", ""]);
        assert_eq!(shown(&command), r"cargo test --test '*' 'it'\''s' ''");
    }

    #[test]
    fn failure_contains_the_command_and_its_stderr() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no disk >&2; exit 3"]);
        let error = output(&mut command).expect_err("exit code 3").to_string();
        assert!(error.contains("exit 3") && error.ends_with("exit status: 3: no disk"), "{error}");
    }
}
