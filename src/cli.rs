//! Command-line arguments, output and exit codes. Each subcommand has its own module.

mod admin;
mod check;
mod completions;
mod convert;
mod dates;
mod explain;
mod input;
mod inspect;
mod reasons;
mod request_line;
mod schema;
mod status;
mod terminal;
mod token;

use clap::{Parser, Subcommand};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Checks configurations of the sa-authn filter, and explains how the filter handles requests and tokens.
#[derive(Debug, Parser)]
#[command(name = "sa-authn", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find problems in configurations, with their locations and remedies
    Check(check::Options),
    /// Convert the configuration of jwt_authn, RequestAuthentication or kube-rbac-proxy
    Convert(convert::Options),
    /// Show each step of the decision on a request, with the values that were compared
    Explain(explain::Options),
    /// Decode a token, with readable dates and its kind. Verifies NOTHING
    Inspect(inspect::Options),
    /// Explain the reasons of denials, and their remedies
    Reasons(reasons::Options),
    /// Ask a running Envoy whether the filter protects its filter chains
    Status(Box<status::Options>),
    /// Print the JSON Schema of the plugin's configuration, for editors, Kubernetes or Helm
    Schema(schema::Options),
    /// Print the completion script for a shell
    Completions(completions::Options),
}

/// The output of a command.
#[derive(Debug)]
pub struct Report {
    /// The text for stdout, with line ends.
    pub text: String,
    /// Exit code 0 or 1.
    pub answer: Answer,
    /// The errors for stderr. If there are any, the exit code is 2.
    pub failures: Vec<String>,
    /// Whether severities are colored on a terminal.
    pub colored: bool,
    /// Remarks for stderr, with line ends.
    pub notes: String,
}

/// The result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Good, allowed.
    Yes,
    /// Problems, denied.
    No,
}

/// An error that ends a command with exit code 2.
#[derive(Debug)]
pub struct Failure(pub String);

const EXIT_CODES: &str = "Exit codes: 0 good or allowed, 1 problems or denied, 2 indeterminate.";

/// Runs the command in the arguments.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => return usage_error(&usage),
    };
    let outcome = match arguments.command {
        Command::Check(options) => check::run(&options),
        Command::Convert(options) => convert::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Reasons(options) => reasons::print(&options),
        Command::Status(options) => status::run(&options),
        Command::Schema(options) => schema::print(&options),
        Command::Completions(options) => Ok(completions::print(&options)),
    };
    match outcome {
        Ok(report) => report.print(),
        Err(Failure(why)) => print_error(&why),
    }
}

/// Prints usage errors, help and the version. clap quotes arguments, and one of them may be a token.
fn usage_error(usage: &clap::Error) -> ExitCode {
    let text = usage.render().to_string();
    let shown = terminal::shown(&text);
    if shown == text {
        usage.exit();
    }
    // Errors are ignored; there is nowhere to report them.
    let _ = write!(io::stderr(), "{shown}");
    ExitCode::from(2)
}

fn print_error(why: &str) -> ExitCode {
    // Errors are ignored; there is nowhere to report them.
    let _ = writeln!(io::stderr(), "error: {}", terminal::shown(why));
    ExitCode::from(2)
}

// === impl Report ===

impl Report {
    /// A successful output.
    pub fn plain(text: String) -> Self {
        Self::of(text, Answer::Yes, Vec::new())
    }

    /// An output with an answer and errors, without colors.
    pub fn of(text: String, answer: Answer, failures: Vec<String>) -> Self {
        Self { text, answer, failures, colored: false, notes: String::new() }
    }

    fn print(self) -> ExitCode {
        let mut stdout = io::stdout().lock();
        let text = terminal::shown(&self.text);
        let colored = self.colored && terminal::has_color(&stdout);
        let text = if colored { terminal::colored(&text) } else { text };
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            // A broken pipe, as in `sa-authn schema | head`, is not an error.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                return print_error(&format!("stdout: {error}"));
            }
            _ => {}
        }
        // Errors are ignored; there is nowhere to report them.
        let _ = write!(io::stderr(), "{}", terminal::shown(&self.notes));
        if !self.failures.is_empty() {
            return print_error(&self.failures.join("\nerror: "));
        }
        match self.answer {
            Answer::Yes => ExitCode::SUCCESS,
            Answer::No => ExitCode::from(1),
        }
    }
}

// === impl Failure ===

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
