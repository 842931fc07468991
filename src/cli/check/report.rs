//! Output of `sa-authn check`: text for people and editors, JSON for programs.

use super::text::Place;
use sa_authn::printable::printable_json;
use serde_json::json;

/// The output format.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Format {
    /// One line for each configuration and each problem: FILE:LINE:COLUMN: ...
    Text,
    /// JSON list of the problems
    Json,
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
}

// === impl Format ===

impl Format {
    /// Formats the results.
    pub fn print(self, checked: &[Checked]) -> String {
        match self {
            Self::Text => checked.iter().map(Checked::lines).collect(),
            Self::Json => {
                let problems: Vec<_> = checked.iter().flat_map(Checked::json).collect();
                printable_json(&format!("{:#}\n", json!(problems)))
            }
        }
    }
}

// === impl Checked ===

impl Checked {
    fn lines(&self) -> String {
        let said = match (self.is_ours, self.faults.len()) {
            (false, _) => "skipped: not identified as sa-authn".to_owned(),
            (true, 0) => "good".to_owned(),
            (true, 1) => "1 problem".to_owned(),
            (true, count) => format!("{count} problems"),
        };
        let mut lines = format!("{}: {}: {said}\n", at(&self.file, self.place), self.what);
        for fault in &self.faults {
            let path =
                if fault.path.is_empty() { String::new() } else { format!("{}: ", fault.path) };
            lines += &format!("{}: {path}{}\n", at(&self.file, fault.place), fault.message);
            if let Some(remedy) = &fault.remedy {
                lines += &format!("    help: {remedy}\n");
            }
        }
        lines
    }

    fn json(&self) -> impl Iterator<Item = serde_json::Value> {
        self.faults.iter().map(|fault| {
            json!({
                "file": self.file,
                "line": fault.place.line,
                "column": fault.place.column,
                "in": self.what,
                "path": fault.path,
                "message": fault.message,
                "help": fault.remedy,
            })
        })
    }
}

fn at(file: &str, Place { line, column }: Place) -> String {
    format!("{file}:{line}:{column}")
}
