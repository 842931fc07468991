//! The list of problems in a configuration.

use std::fmt;

/// One error in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path, such as `issuers[0].keys.discovery.cluster`; empty for the whole configuration.
    pub path: String,
    /// What is wrong, and what is expected.
    pub message: String,
}

// === impl Problem ===

impl Problem {
    /// A problem that has no path.
    pub(crate) fn of_the_whole(message: &str) -> Self {
        Self { path: String::new(), message: message.to_owned() }
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    /// The paths of values that were removed because of their type: they must not be reported as missing, too.
    removed: Vec<String>,
}

// === impl Problems ===

impl Problems {
    /// Adds a problem.
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let problem = Problem { path: path.into(), message: message.into() };
        if !self.removed.contains(&problem.path) && !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Adds a problem with a value of the wrong type, which the caller removes.
    pub(super) fn add_and_remove(&mut self, path: String, message: impl Into<String>) {
        self.add(path.clone(), message);
        self.removed.push(path);
    }

    /// Marks another path as removed.
    pub(super) fn mark_removed(&mut self, path: &str) {
        self.removed.push(path.to_owned());
    }

    /// Whether this part of the configuration has problems.
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
            "" => f.write_str(&self.message)?,
            path => write!(f, "{path}: {}", self.message)?,
        }
        match self.hint() {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}
