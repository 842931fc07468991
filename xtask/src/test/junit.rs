//! Reads nextest's JUnit report (`.config/nextest.toml`): the numbers of tests, and what was not run.

use std::fs;
use std::io;
use std::ops::AddAssign;
use std::path::PathBuf;

use anyhow::{Context, Result};
use xtask::repository;

/// How many tests passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Removes the report of an earlier run.
pub fn remove() -> Result<()> {
    match fs::remove_file(path()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The counts of the last run, and the lines of tests that passed without testing everything (`not run: WHAT: WHY`).
/// `None` without a report: no test ran, as when they do not compile.
pub fn read() -> Result<Option<(Tally, Vec<String>)>> {
    if !path().exists() {
        return Ok(None);
    }
    let report = fs::read_to_string(path())?;
    Ok(Some((tally(&report)?, not_run(&report))))
}

fn tally(report: &str) -> Result<Tally> {
    let (_, attributes) = report.split_once("<testsuites ").context("no JUnit report")?;
    let count = |name: &str| -> Result<usize> {
        let value =
            attributes.split_once(&format!("{name}=\"")).and_then(|(_, v)| v.split_once('"'));
        Ok(value.context("a count in the JUnit report")?.0.parse()?)
    };
    let failed = count("failures")? + count("errors")?;
    let passed = count("tests")?.checked_sub(failed).context("more failures than tests")?;
    Ok(Tally { passed, failed })
}

fn not_run(report: &str) -> Vec<String> {
    let lines = report.lines().filter_map(|line| line.get(line.find("not run: ")?..));
    lines
        .map(|line| line.split("</").next().unwrap_or(line))
        .map(|line| line.replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&"))
        .collect()
}

/// The path in nextest's `default` profile.
fn path() -> PathBuf {
    repository::target().join("nextest/default/junit.xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="5" failures="1" errors="1" uuid="1" time="0.007">
    <testsuite name="envoy-test::docker" tests="5" disabled="0" errors="1" failures="1">
        <testcase name="callers" time="0.004">
            <system-out>
running 1 test
test callers ... not run: callers: &quot;docker&quot; is not there
ok</system-out>"#;

    #[test]
    fn passed_tests_are_those_without_failure_or_error() {
        assert_eq!(tally(REPORT).unwrap(), Tally { passed: 3, failed: 2 });
        assert!(tally("").is_err());
    }

    #[test]
    fn not_run_lines_are_read_from_the_output_of_passed_tests() {
        assert_eq!(not_run(REPORT), [r#"not run: callers: "docker" is not there"#]);
    }
}
