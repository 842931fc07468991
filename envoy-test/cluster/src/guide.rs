//! Runs the commands of a guide as they stand there, in the namespaces of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A guide, after the replacements.
#[derive(Debug)]
pub struct Guide {
    text: String,
}

// === impl Guide ===

impl Guide {
    /// Reads a file of the repository, and replaces the names that differ in the tests. Each name must be there.
    pub fn read(file: &str, replaced: &[(&str, &str)]) -> Result<Self> {
        let path = root().join(file);
        let mut text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for (name, replacement) in replaced {
            ensure!(text.contains(name), "{file} has no {name:?}");
            text = text.replace(name, replacement);
        }
        Ok(Self { text })
    }

    /// The block after the comment `<!-- NAME -->`, without its indentation.
    pub fn block(&self, name: &str) -> Result<String> {
        let comment = format!("<!-- {name} -->\n");
        let (before, rest) = self.text.split_once(&comment).with_context(|| comment.clone())?;
        let indentation = before.rsplit_once('\n').map_or(before, |(_, last)| last);
        let lines = rest.lines().map(|line| line.strip_prefix(indentation).unwrap_or(line));
        let block: Vec<_> = lines.skip(1).take_while(|line| *line != "```").collect();
        Ok(block.join("\n"))
    }

    /// The commands of a section, in order.
    pub fn commands(&self, heading: &str) -> Result<Vec<String>> {
        let start = format!("\n## {heading}\n");
        let (_, section) = self.text.split_once(&start).with_context(|| start.clone())?;
        let section = section.split("\n## ").next().unwrap_or(section);
        let commands = section.lines().filter_map(|line| line.trim().strip_prefix("$ "));
        let commands: Vec<_> = commands.map(str::to_owned).collect();
        ensure!(!commands.is_empty(), "no command in the section {heading:?}");
        Ok(commands)
    }

    /// The only command of a section.
    pub fn command(&self, heading: &str) -> Result<String> {
        let commands = self.commands(heading)?;
        let [command] = commands.as_slice() else { anyhow::bail!("{heading}: {commands:?}") };
        Ok(command.clone())
    }
}

/// The outcome of a command.
#[derive(Debug)]
pub struct Ran {
    /// Whether its exit code was 0.
    pub succeeded: bool,
    /// stdout and stderr.
    pub output: String,
}

/// Runs a command in the repository's root, and prints it with its output.
pub fn run(command: &str) -> Result<Ran> {
    let output = Command::new("bash").args(["-c", command]).current_dir(root()).output()?;
    let text = String::from_utf8([output.stdout, output.stderr].concat())?;
    println!("$ {command}\n{text}");
    Ok(Ran { succeeded: output.status.success(), output: text })
}

/// The same for a command that must succeed.
pub fn succeed(command: &str) -> Result<String> {
    let ran = run(command)?;
    ensure!(ran.succeeded, "{command} failed: {}", ran.output);
    Ok(ran.output)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
