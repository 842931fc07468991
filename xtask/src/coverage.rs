//! `cargo xtask coverage`: the native tests run instrumented; how much of each source file they reached comes out.
//!
//! The shell inside Envoy, src/filter, is compiled for wasm alone: the end-to-end tests run it, and nothing counts
//! there.

mod export;
mod part;
mod reached;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::toolchain::llvm::CoverageTools;
use crate::tools::Tool;
use crate::{process, repository};

use part::Part;
use reached::Reached;

/// What to print.
#[derive(clap::Args)]
pub struct Options {
    /// Print each region that was not reached, too: its place, and its first line
    #[arg(long)]
    missed: bool,
}

/// Runs the tests, and prints a table of all files, or also what they left out.
pub fn run(options: &Options) -> Result<()> {
    let files = measure()?;
    println!("{:<44} {:>11} {:>7}  {:>11} {:>7}", "file", "lines", "", "regions", "");
    for part in Part::ALL {
        let of_part: Vec<_> = files.iter().filter(|file| Part::of(&file.path) == part).collect();
        for file in &of_part {
            println!("{file}");
        }
        println!("{}\n", Reached::sum(&format!("{part} together"), &of_part));
    }
    if options.missed {
        for file in &files {
            print_missed(file)?;
        }
    }
    Ok(())
}

/// The files of src/ in alphabetical order, each without its own tests.
fn measure() -> Result<Vec<Reached>> {
    let program = CARGO_LLVM_COV.install()?;
    let tools = CoverageTools::find()?;
    let folder = repository::target().join("coverage");
    fs::create_dir_all(&folder)?;
    let (json, lcov) = (folder.join("coverage.json"), folder.join("coverage.lcov"));
    let cover = |arguments: &[&str], output: &PathBuf| {
        let mut command = Command::new(&program);
        command
            .arg("llvm-cov")
            .args(arguments)
            .args(["--package", "sa-authn", "--output-path"])
            .arg(output)
            .env("CARGO_LLVM_COV_TARGET_DIR", folder.join("built"))
            .env("LLVM_COV", &tools.cov)
            .env("LLVM_PROFDATA", &tools.profdata)
            .current_dir(repository::root());
        process::run(&mut command)
    };
    cover(&["test", "--locked", "--no-fail-fast", "--json"], &json)?;
    cover(&["report", "--lcov"], &lcov)?;
    let sources = repository::root().join("src");
    export::files(&read(&lcov)?, &read(&json)?, repository::root(), |file| {
        file.starts_with(&sources).then(|| read(file).map(|text| before_tests(&text)))
    })
}

/// The lines before a file's own tests, which stand at its end: they would count as reached, and flatter it.
fn before_tests(text: &str) -> usize {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.count()
}

fn print_missed(file: &Reached) -> Result<()> {
    let text = read(&repository::root().join(&file.path))?;
    let lines: Vec<_> = text.lines().collect();
    for (line, column) in &file.missed {
        let source = lines.get(line.saturating_sub(1)).map_or("", |line| line.trim());
        println!("{}:{line}:{column}: {source}", file.path);
    }
    Ok(())
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

const CARGO_LLVM_COV: Tool =
    Tool { name: "cargo-llvm-cov", version: "0.9.1", asked_by: &["llvm-cov", "--version"] };

#[cfg(test)]
mod tests {
    use super::before_tests;

    #[test]
    fn a_files_own_tests_do_not_count() {
        assert_eq!(before_tests("fn one() {}\n\n#[cfg(test)]\nmod tests {}\n"), 2);
        assert_eq!(before_tests("fn one() {}\n"), 1);
    }
}
