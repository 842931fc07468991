//! What was checked -> lines for people and editors, or JSON for programs.

use super::text::Place;
use sa_authn::printable::printable_json;
use serde_json::json;

/// How to print.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Format {
    /// A line for each configuration and each problem: FILE:LINE:COLUMN: ...
    Text,
    /// A JSON list of the problems
    Json,
}

/// One configuration, or a plugin that was left alone.
#[derive(Debug)]
pub struct Checked {
    /// The file's name.
    pub file: String,
    /// What it is called there.
    pub what: String,
    /// Where it begins.
    pub place: Place,
    /// Whether it was taken for ours.
    pub is_ours: bool,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// The path within the configuration; empty for the whole.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// More of what would be right.
    pub remedy: Option<String>,
}

// === impl Format ===

impl Format {
    /// All that was checked, as text.
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
            (false, _) => "left alone: nothing says that it is sa-authn".to_owned(),
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
