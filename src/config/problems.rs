//! What is wrong with a configuration: each problem with its place and what would be right.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, such as `issuers[0].keys.discovery.cluster`; empty for the whole.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    /// Places whose value was of the wrong form and has been taken out: it must not be called missing.
    taken_out: Vec<String>,
}

// === impl Problems ===

impl Problems {
    /// Notes a problem.
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let problem = Problem { path: path.into(), message: message.into() };
        if !self.taken_out.contains(&problem.path) && !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Notes a value of the wrong form, which is about to be taken out.
    pub(super) fn add_and_take_out(&mut self, path: String, message: impl Into<String>) {
        self.add(path.clone(), message);
        self.taken_out.push(path);
    }

    /// What else goes with it.
    pub(super) fn taken_out(&mut self, path: &str) {
        self.taken_out.push(path.to_owned());
    }

    /// Whether anything was found in this part of the configuration.
    pub(super) fn any_under(&self, part: &str) -> bool {
        self.list.iter().any(|problem| problem.path.starts_with(part))
    }

    pub(super) fn into_list(self) -> Vec<Problem> {
        self.list
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}
