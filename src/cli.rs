//! Arguments in, text and an exit code out; one file for each subcommand.

mod check;
mod completions;
mod dates;
mod explain;
mod input;
mod inspect;
mod reasons;
mod schema;
mod terminal;
mod token;

use clap::{Parser, Subcommand};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Checks configurations of the sa-authn filter, and explains what it does with a request and a token.
#[derive(Debug, Parser)]
#[command(name = "sa-authn", version, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find everything that is wrong with configurations, with its place and a remedy
    Check(check::Options),
    /// Say what the filter does with a request and a token: every step with what was compared
    Explain(explain::Options),
    /// Decode a token, with human dates and its kind; NOTHING is verified
    Inspect(inspect::Options),
    /// Print what each reason of a refusal means, and what to do about it
    Reasons(reasons::Options),
    /// Print the JSON Schema of the plugin's configuration, for editors
    Schema,
    /// Print the completions for a shell
    Completions(completions::Options),
}

/// What a command has to say.
#[derive(Debug)]
pub struct Report {
    /// For stdout, with its line ends.
    pub text: String,
    /// 0 or 1.
    pub answer: Answer,
    /// What of the task could not be done, for stderr; if anything, the exit code is 2.
    pub failures: Vec<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Good, allowed.
    Yes,
    /// Problems, refused.
    No,
}

/// Why a command could not do what it was asked: the exit code is 2.
#[derive(Debug)]
pub struct Failure(pub String);

const EXIT_CODES: &str =
    "Exit codes: 0 good or allowed, 1 problems or refused, 2 it could not be told.";

/// Does what the arguments say.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => return usage_error(&usage),
    };
    let outcome = match arguments.command {
        Command::Check(options) => check::run(&options),
        Command::Explain(options) => explain::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Reasons(options) => reasons::print(&options),
        Command::Schema => schema::print(),
        Command::Completions(options) => Ok(completions::print(&options)),
    };
    match outcome {
        Ok(report) => report.print(),
        Err(Failure(why)) => complain(&why),
    }
}

/// Also what `--help` and `--version` print. clap quotes arguments, of which one may be a token.
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

fn complain(why: &str) -> ExitCode {
    // Errors are ignored; there is nowhere to report them.
    let _ = writeln!(io::stderr(), "error: {}", terminal::shown(why));
    ExitCode::from(2)
}

// === impl Report ===

impl Report {
    /// Something that was asked for, and no more.
    pub fn plain(text: String) -> Self {
        Self { text, answer: Answer::Yes, failures: Vec::new() }
    }

    fn print(self) -> ExitCode {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(terminal::shown(&self.text).as_bytes()).and_then(|()| stdout.flush())
        {
            // `sa-authn schema | head` is no failure.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                return complain(&format!("stdout: {error}"));
            }
            _ => {}
        }
        if !self.failures.is_empty() {
            return complain(&self.failures.join("\nerror: "));
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
