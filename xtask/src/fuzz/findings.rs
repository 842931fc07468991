//! Parses the output of libFuzzer: executions and coverage.

use std::fmt;

/// The results of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    executions: u64,
    per_second: u64,
    /// Edges between basic blocks.
    coverage: u64,
    inputs: u64,
}

// === impl Findings ===

impl Findings {
    /// `#2097 DONE cov: 801 ft: 1202 corp: 90/1Kb ...`, and `stat::number_of_executed_units: 2097`.
    pub fn see(&mut self, line: &str) {
        let number = |text: &str| text.split('/').next()?.trim().parse().ok();
        if let Some((name, value)) = line.strip_prefix("stat::").and_then(|s| s.split_once(": ")) {
            match (name, number(value)) {
                ("number_of_executed_units", Some(number)) => self.executions = number,
                ("average_exec_per_sec", Some(number)) => self.per_second = number,
                _ => {}
            }
        } else if line.starts_with('#') {
            let words: Vec<_> = line.split_whitespace().collect();
            for pair in words.windows(2) {
                match (pair[0], number(pair[1])) {
                    ("cov:", Some(number)) => self.coverage = number,
                    ("corp:", Some(number)) => self.inputs = number,
                    _ => {}
                }
            }
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, per_second, coverage, inputs } = self;
        write!(f, "{executions:>12} {per_second:>10} {coverage:>10} {inputs:>7}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read_from_the_last_lines() {
        let mut findings = Findings::default();
        for line in [
            "INFO: Seed: 1",
            "#2\tINITED cov: 3 ft: 4 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#2097\tDONE   cov: 801 ft: 1202 corp: 90/1024b lim: 4 exec/s: 1048 rss: 40Mb",
            "stat::number_of_executed_units: 2097",
            "stat::average_exec_per_sec:     1048",
        ] {
            findings.see(line);
        }
        let expected = Findings { executions: 2097, per_second: 1048, coverage: 801, inputs: 90 };
        assert_eq!(findings, expected);
    }
}
