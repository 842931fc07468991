//! The summary of `cargo xtask test`: a line for each step, what was not run, and a line for all tests.

use std::fmt;
use std::time::Duration;

use super::junit::Tally;

/// The steps that ran.
#[derive(Debug, Default)]
pub struct Summary {
    steps: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    name: String,
    succeeded: bool,
    tally: Tally,
    took: Took,
    not_run: Vec<String>,
}

/// How long a step took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// From its start to its end.
    pub wall: Duration,
    /// The CPU time of its programs, if the system tells it.
    pub cpu: Option<Duration>,
}

// === impl Summary ===

impl Summary {
    /// Adds a completed step, with its tests and what was not run.
    pub fn add(
        &mut self,
        name: String,
        succeeded: bool,
        (mut tally, not_run): (Tally, Vec<String>),
        took: Took,
    ) {
        // The last line must not say "0 failed" when, for example, the tests did not compile.
        if !succeeded && tally.failed == 0 {
            tally.failed = 1;
        }
        self.steps.push(Line { name, succeeded, tally, took, not_run });
    }

    /// Whether no step failed.
    pub fn is_success(&self) -> bool {
        self.steps.iter().all(|step| step.succeeded)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = Tally::default();
        for Line { name, succeeded, tally, took, not_run } in &self.steps {
            let verdict = if *succeeded { "passed" } else { "FAILED" };
            write!(f, "{name:<13} {verdict} {:>7.1} s", took.wall.as_secs_f64())?;
            if let Some(cpu) = took.cpu {
                write!(f, " {:>7.1} s CPU", cpu.as_secs_f64())?;
            }
            if tally.passed > 0 {
                write!(f, "  {} of {} tests", tally.passed, tally.passed + tally.failed)?;
            }
            writeln!(f)?;
            for what in not_run {
                writeln!(f, "              {what}")?;
            }
            total += *tally;
        }
        writeln!(f, "{} passed, {} failed", total.passed, total.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(millis: u64) -> Took {
        Took { wall: Duration::from_millis(millis), cpu: Some(Duration::from_millis(2 * millis)) }
    }

    #[test]
    fn summary_adds_up_the_tests_of_all_steps_and_lists_what_was_not_run() {
        let mut summary = Summary::default();
        summary.add("format".into(), true, (Tally::default(), vec![]), took(340));
        let passed = |passed| Tally { passed, failed: 0 };
        summary.add("a".into(), true, (passed(2), vec![]), took(1000));
        let left_out = vec!["not run: c: no Docker daemon answers".to_owned()];
        summary.add("b".into(), true, (passed(3), left_out), took(61_000));
        assert!(summary.is_success());
        assert_eq!(
            summary.to_string(),
            "format        passed     0.3 s     0.7 s CPU\n\
             a             passed     1.0 s     2.0 s CPU  2 of 2 tests\n\
             b             passed    61.0 s   122.0 s CPU  3 of 3 tests\n\
             \x20             not run: c: no Docker daemon answers\n\
             5 passed, 0 failed\n"
        );
    }

    #[test]
    fn failed_step_without_a_failed_test_counts_as_failed() {
        let mut summary = Summary::default();
        summary.add("docs".into(), false, (Tally::default(), vec![]), Took::default());
        assert!(!summary.is_success());
        assert!(summary.to_string().ends_with("FAILED     0.0 s\n0 passed, 1 failed\n"));
    }
}
