//! Output of `sa-authn check`: text for people and editors, JSON for programs, and the formats of code hosts.

use super::kind::{Kind, Severity};
use super::sarif;
use super::text::Place;
use sa_authn::printable::printable_json;
use serde_json::{Value, json};

/// The output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line for each configuration and each problem: FILE:LINE:COLUMN: ...
    Text,
    /// JSON list of the problems
    Json,
    /// Annotations of GitHub Actions, one for each problem
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// The results of all files.
#[derive(Debug, Default)]
pub struct Results {
    /// The configurations, and the skipped plugins.
    pub checked: Vec<Checked>,
    /// The number of files.
    pub files: usize,
    /// The number of files in folders without an sa-authn configuration.
    pub skipped: usize,
    /// Whether the results are of a folder or of several files, so that a summary is useful.
    pub summarize: bool,
}

/// A checked configuration, or a skipped plugin.
#[derive(Debug)]
pub struct Checked {
    /// The name of the file.
    pub file: String,
    /// The kind and name, such as `HTTP filter "sa-authn"`.
    pub what: String,
    /// The location of the configuration.
    pub place: Place,
    /// Whether the plugin was identified as sa-authn.
    pub is_ours: bool,
    /// The problems.
    pub faults: Vec<Fault>,
}

/// One problem.
#[derive(Debug)]
pub struct Fault {
    /// The location.
    pub place: Place,
    /// The path within the configuration; empty for the whole.
    pub path: String,
    /// What is wrong, and what is expected.
    pub message: String,
    /// An additional remedy.
    pub remedy: Option<String>,
    /// The kind.
    pub kind: Kind,
}

// === impl Format ===

impl Format {
    /// Formats the results.
    pub fn print(self, results: &Results) -> String {
        let checked = &results.checked;
        match self {
            Self::Text => {
                let lines: String = checked.iter().map(Checked::lines).collect();
                lines + &results.summary()
            }
            Self::Json => {
                let problems: Vec<_> = checked.iter().flat_map(Checked::json).collect();
                printable_json(&format!("{:#}\n", json!(problems)))
            }
            Self::Github => checked.iter().flat_map(Checked::annotations).collect(),
            Self::Sarif => printable_json(&format!("{:#}\n", sarif::log(checked))),
        }
    }
}

// === impl Results ===

impl Results {
    /// The number of problems with this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.checked.iter().map(|checked| checked.count(severity)).sum()
    }

    fn summary(&self) -> String {
        if !self.summarize {
            return String::new();
        }
        let configurations = self.checked.iter().filter(|checked| checked.is_ours).count();
        let [errors, warnings] = [Severity::Error, Severity::Warning].map(|one| self.count(one));
        let mut summary = format!(
            "{}: {}, {}, {}",
            counted(self.files, "file"),
            counted(configurations, "object"),
            counted(errors, "error"),
            counted(warnings, "warning")
        );
        if self.skipped > 0 {
            summary += &format!("; {} without sa-authn skipped", counted(self.skipped, "file"));
        }
        if errors + warnings > 0 {
            summary += "; docs/check.md explains each code";
        }
        summary + "\n"
    }
}

// === impl Checked ===

impl Checked {
    fn count(&self, severity: Severity) -> usize {
        self.faults.iter().filter(|fault| fault.kind.severity() == severity).count()
    }

    fn lines(&self) -> String {
        let counts = [(Severity::Error, "error"), (Severity::Warning, "warning")];
        let counts = counts.map(|(severity, name)| (self.count(severity), name));
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, name)| counted(count, name)).collect();
        let said = match (self.is_ours, counts.is_empty()) {
            (false, _) => "skipped: not identified as sa-authn".to_owned(),
            (true, true) => "good".to_owned(),
            (true, false) => counts.join(", "),
        };
        let mut lines = format!("{}: {}: {said}\n", at(&self.file, self.place), self.what);
        for fault in &self.faults {
            let (severity, code) = (fault.kind.severity().name(), fault.kind.code());
            let place = at(&self.file, fault.place);
            lines += &format!("{place}: {severity}[{code}]: {}\n", fault.text());
            if let Some(remedy) = &fault.remedy {
                lines += &format!("    help: {remedy}\n");
            }
        }
        lines
    }

    fn json(&self) -> impl Iterator<Item = Value> {
        self.faults.iter().map(|fault| {
            json!({
                "file": self.file,
                "line": fault.place.line,
                "column": fault.place.column,
                "in": self.what,
                "path": fault.path,
                "severity": fault.kind.severity().name(),
                "code": fault.kind.code(),
                "docs": fault.kind.docs(),
                "message": fault.message,
                "help": fault.remedy,
            })
        })
    }

    /// Workflow commands of GitHub Actions.
    fn annotations(&self) -> impl Iterator<Item = String> {
        self.faults.iter().map(|fault| {
            let (severity, code) = (fault.kind.severity().name(), fault.kind.code());
            let Place { line, column } = fault.place;
            let file = escaped(&self.file, &[('%', "%25"), (':', "%3A"), (',', "%2C")]);
            let text = escaped(&fault.with_remedy(), &[('%', "%25")]);
            format!("::{severity} file={file},line={line},col={column},title={code}::{text}\n")
        })
    }
}

// === impl Fault ===

impl Fault {
    fn text(&self) -> String {
        match self.path.as_str() {
            "" => self.message.clone(),
            path => format!("{path}: {}", self.message),
        }
    }

    /// The path, the message and the remedy on one line.
    pub fn with_remedy(&self) -> String {
        let remedy = self.remedy.as_ref().map_or(String::new(), |remedy| format!("; {remedy}"));
        format!("{}{remedy}", self.text()).replace('\n', " ")
    }
}

fn escaped(text: &str, escapes: &[(char, &str)]) -> String {
    let escape = |c: char| {
        let escape = escapes.iter().find(|(escaped, _)| *escaped == c);
        escape.map_or_else(|| c.to_string(), |(_, escape)| (*escape).to_owned())
    };
    text.chars().map(escape).collect()
}

fn counted(count: usize, name: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

fn at(file: &str, Place { line, column }: Place) -> String {
    format!("{file}:{line}:{column}")
}
