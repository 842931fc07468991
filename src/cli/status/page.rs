//! The answers about a proxy, as lines or as JSON.

use crate::cli::Answer;
use serde_json::{Value, json};

/// The answers so far.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

/// The answer to a question.
#[derive(Debug)]
struct Finding {
    mark: Mark,
    about: &'static str,
    message: String,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Ok,
    Problem,
    Warning,
    Info,
}

// === impl Mark ===

impl Mark {
    fn sign(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "NO",
            Self::Warning => "!!",
            Self::Info => "--",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Problem => "problem",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

// === impl Findings ===

impl Findings {
    /// Whether the proxy is healthy.
    pub fn answer(&self) -> Answer {
        if self.count(Mark::Problem) == 0 { Answer::Yes } else { Answer::No }
    }

    /// A line for each answer.
    pub fn text(&self) -> String {
        let line = |Finding { mark, about, message }: &Finding| {
            format!("{:<3} {about:<9} {message}", mark.sign()).trim_end().to_owned() + "\n"
        };
        let status = match (self.count(Mark::Problem), self.count(Mark::Warning)) {
            (0, 0) => "healthy".to_owned(),
            (0, warnings) => format!("healthy, with warnings: {warnings}"),
            (problems, warnings) => {
                format!("NOT HEALTHY: problems {problems}, warnings {warnings}")
            }
        };
        let lines: String = self.0.iter().map(line).collect();
        format!("{lines}    STATUS    {status}\n")
    }

    /// The object that docs/cli.md documents.
    pub fn json(&self) -> Value {
        let finding = |Finding { mark, about, message }: &Finding| json!({ "severity": mark.name(), "about": about, "message": message });
        json!({
            "healthy": self.count(Mark::Problem) == 0,
            "problems": self.count(Mark::Problem),
            "warnings": self.count(Mark::Warning),
            "findings": self.0.iter().map(finding).collect::<Vec<_>>(),
        })
    }

    fn count(&self, mark: Mark) -> usize {
        self.0.iter().filter(|finding| finding.mark == mark).count()
    }

    pub(super) fn check(&mut self, held: bool, name: &'static str, said: &str) {
        if held { self.good(name, said) } else { self.bad(name, said) }
    }

    pub(super) fn good(&mut self, about: &'static str, message: &str) {
        self.add_one(Mark::Ok, about, message);
    }

    pub(super) fn bad(&mut self, about: &'static str, message: &str) {
        self.add_one(Mark::Problem, about, message);
    }

    pub(super) fn warn(&mut self, about: &'static str, message: &str) {
        self.add_one(Mark::Warning, about, message);
    }

    pub(super) fn note(&mut self, about: &'static str, message: &str) {
        self.add_one(Mark::Info, about, message);
    }

    fn add_one(&mut self, mark: Mark, about: &'static str, message: &str) {
        self.0.push(Finding { mark, about, message: message.to_owned() });
    }
}
