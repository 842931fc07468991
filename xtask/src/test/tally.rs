//! Counts tests: lines of libtest come in, how many passed and failed goes out.

use std::ops::AddAssign;

/// How many tests passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
}

// === impl Tally ===

impl Tally {
    /// Adds what a line says, if it is the one that libtest ends a test binary's output with.
    pub fn see(&mut self, line: &str) {
        if let Some(tally) = Self::parse(line) {
            *self += tally;
        }
    }

    /// `test result: FAILED. 3 passed; 1 failed; 0 ignored; ...`
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            counts.split("; ").find_map(|part| part.strip_suffix(word)?.trim_end().parse().ok())
        };
        Some(Self { passed: count("passed")?, failed: count("failed")? })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// What a test that passes says of something that it could not run: `not run: WHAT: WHY`. Other output may stand
/// before it in the same line.
pub fn left_out(line: &str) -> Option<String> {
    line.find("not run: ").and_then(|at| line.get(at..)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_binaries_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "running 4 tests",
            "test result: FAILED. 3 passed; 1 failed; 7 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: ok. 20 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            tally.see(line);
        }
        assert_eq!(tally, Tally { passed: 23, failed: 1 });
    }

    #[test]
    fn what_was_not_run_is_found_behind_what_libtest_has_begun_to_say() {
        let told = "not run: docker-compose.yaml: no Docker daemon answers";
        assert_eq!(left_out(told).as_deref(), Some(told));
        assert_eq!(left_out(&format!("test callers ... {told}")).as_deref(), Some(told));
        assert_eq!(left_out("test this_is_not_run ... ok"), None);
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(Tally::parse("test result: ok"), None);
        assert_eq!(Tally::parse("  test result: ok. 1 passed; 0 failed"), None);
    }
}
