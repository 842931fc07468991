//! Runs the commands of a guide as they stand there, in the namespaces of the tests.

use std::env;
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

    /// The commands of a section, in order, each with the output that the guide shows.
    pub fn steps(&self, heading: &str) -> Result<Vec<Step>> {
        let start = format!("\n## {heading}\n");
        let (_, section) = self.text.split_once(&start).with_context(|| start.clone())?;
        let section = section.split("\n## ").next().unwrap_or(section);
        let (mut steps, mut is_console) = (Vec::<Step>::new(), false);
        for line in section.lines().map(str::trim_end) {
            let text = line.trim_start();
            if text.starts_with("```") {
                is_console = text == "```console";
            } else if let Some(command) = text.strip_prefix("$ ").filter(|_| is_console) {
                steps.push(Step { command: command.to_owned(), output: String::new() });
            } else if let Some(step) = steps.last_mut().filter(|_| is_console) {
                step.output += line;
                step.output.push('\n');
            }
        }
        ensure!(!steps.is_empty(), "no command in the section {heading:?}");
        Ok(steps)
    }

    /// The commands of a section, in order.
    pub fn commands(&self, heading: &str) -> Result<Vec<String>> {
        Ok(self.steps(heading)?.into_iter().map(|step| step.command).collect())
    }

    /// The only command of a section.
    pub fn command(&self, heading: &str) -> Result<String> {
        let commands = self.commands(heading)?;
        let [command] = commands.as_slice() else { anyhow::bail!("{heading}: {commands:?}") };
        Ok(command.clone())
    }
}

/// A command of a guide.
#[derive(Debug)]
pub struct Step {
    /// Without the prompt.
    pub command: String,
    /// The output that the guide shows, in which `...` stands for anything; empty if the guide shows none.
    pub output: String,
}

/// Runs commands of a guide one after the other in one shell, and compares each output with the one that the guide shows. A
/// command without an output in the guide must succeed.
pub fn perform(steps: &[Step]) -> Result<()> {
    let script: String =
        steps.iter().map(|step| format!("{}\necho \"{END} $?\"\n", step.command)).collect();
    let ran = run(&script)?;
    let mut rest = ran.output.as_str();
    for Step { command, output: expected } in steps {
        let ended = rest.split_once(END).and_then(|(output, after)| {
            let (code, after) = after.split_once('\n')?;
            Some((output, code.trim(), after))
        });
        let (output, code, after) = ended.with_context(|| format!("{command}: {rest}"))?;
        rest = after;
        if expected.is_empty() {
            ensure!(code == "0", "{command}\nexit code {code}\n{output}");
        } else {
            let is_shown = shows(expected, output);
            ensure!(is_shown, "{command}\nexpected {expected}\nfound {output}");
        }
    }
    Ok(())
}

/// Whether `...` in the expected text can stand for something so that both texts are equal, apart from carriage returns and
/// from white space at the end.
fn shows(expected: &str, found: &str) -> bool {
    let (expected, found) = (expected.trim_end(), found.replace('\r', ""));
    let found = found.trim_end();
    let mut parts = expected.split("...");
    let Some(mut rest) = parts.next().and_then(|first| found.strip_prefix(first)) else {
        return false;
    };
    let mut has_wildcard = false;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
        has_wildcard = part.is_empty();
    }
    rest.is_empty() || has_wildcard
}

/// Before the exit code of a command, after its output.
const END: &str = "-- end of output, exit code";

/// The outcome of a command.
#[derive(Debug)]
pub struct Ran {
    /// Whether its exit code was 0.
    pub succeeded: bool,
    /// stdout and stderr.
    pub output: String,
}

/// Runs a command in the repository's root, and prints it with its output. `sa-authn` is the one of `SA_AUTHN_COMMAND`.
pub fn run(command: &str) -> Result<Ran> {
    let mut bash = Command::new("bash");
    bash.args(["-c", command]).current_dir(root());
    if let Some(folder) =
        env::var_os("SA_AUTHN_COMMAND").as_ref().and_then(|path| Path::new(path).parent())
    {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(env::split_paths(&path));
        bash.env("PATH", env::join_paths(folders)?);
    }
    let output = bash.output()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_has_its_commands_with_the_output_that_follows_each() -> Result<()> {
        let text =
            "# A\n\n## B\n\n```console\n$ one\n1\n  2\n$ two\n```\n\n```sh\nthree\n```\n\n## C\n"
                .to_owned();
        let steps = Guide { text }.steps("B")?;
        let steps: Vec<_> = steps.iter().map(|step| (&*step.command, &*step.output)).collect();
        assert_eq!(steps, [("one", "1\n  2\n"), ("two", "")]);
        Ok(())
    }

    #[test]
    fn three_dots_stand_for_anything() {
        assert!(shows("a ... c\n", "a b b c\r\n"));
        assert!(shows("a ...", "a b"));
        assert!(!shows("a ... c\n", "a b c d\n"));
        assert!(shows("a\n", "a"));
        assert!(!shows("a\n", "a\nb\n"));
        assert!(!shows("a ... c", "b c"));
    }
}
