//! `cargo xtask test`: runs every check and test in order, and prints a summary.

mod ahead;
mod clippy;
mod cluster;
mod junit;
mod session;
mod step;
mod summary;

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches};
use xtask::toolchain::Source;

use crate::envoy::{OWN_ENVOY, version_argument};
use session::{Extent, Session};
use step::{STEPS, Step};
use summary::{Summary, Took};

/// The options.
pub fn command() -> clap::Command {
    clap::Command::new("test")
        .about("Run every check and test, including the end-to-end tests in real Envoys")
        .after_help(OWN_ENVOY)
        .arg(
            Arg::new("only")
                .long("only")
                .value_name("STEP")
                .action(ArgAction::Append)
                .value_parser(STEPS.map(|step| step.name))
                .help("Run only this step; repeatable"),
        )
        .arg(
            Arg::new("list")
                .long("list")
                .action(ArgAction::SetTrue)
                .help("List the steps without running them"),
        )
        .arg(Arg::new("full").long("full").action(ArgAction::SetTrue).help(
            "Run everything in every supported Envoy, and add the steps fuzz, timings, coverage and soak; takes hours",
        ))
        .arg(
            version_argument()
                .action(ArgAction::Append)
                .conflicts_with("full")
                .help("Test only in this Envoy; repeatable"),
        )
        .arg(Source::argument())
}

/// Runs the steps up to the first failed one; the last line has the numbers of passed and failed tests.
pub fn run(matches: &ArgMatches) -> Result<ExitCode> {
    if matches.get_flag("list") {
        for step in STEPS {
            let when = if step.is_long { " (with --full)" } else { "" };
            println!("{:<13} {}{when}", step.name, step.purpose);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let full = matches.get_flag("full");
    let versions: Vec<String> =
        matches.get_many("envoy-version").into_iter().flatten().cloned().collect();
    let only: Vec<&String> = matches.get_many("only").into_iter().flatten().collect();
    let extent = if full { Extent::Full } else { Extent::EachChange };
    let mut session = Session::new(extent, versions, Source::chosen(matches));
    let mut summary = Summary::default();
    let chosen = |step: &Step| match only.as_slice() {
        [] => full || !step.is_long,
        only => only.iter().any(|name| *name == step.name),
    };
    if only.is_empty() {
        // The step that needs it reports what fails.
        ahead::start(session.toolchain().ok());
    }
    for step in STEPS.into_iter().filter(chosen) {
        println!("\n== {}: {}", step.name, step.purpose);
        let (start, cpu_before) = (Instant::now(), cpu_of_children());
        let outcome = (step.perform)(&mut session);
        if let Err(error) = &outcome {
            println!("\nThe step `{}` failed: {error:#}", step.name);
            println!("To run only this step: cargo xtask test --only {}", step.name);
        }
        let failed = outcome.is_err();
        let cpu = cpu_of_children().zip(cpu_before).map(|(after, before)| after - before);
        let took = Took { wall: start.elapsed(), cpu };
        summary.add(step.name.to_owned(), !failed, session.take_tally(), took);
        if failed {
            break;
        }
    }
    print!("\n{summary}");
    Ok(if summary.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The CPU time of all programs that have ended, and of theirs. Linux alone tells it without a library: proc_pid_stat(5),
/// `cutime` and `cstime`, in hundredths of a second.
fn cpu_of_children() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in parentheses, may contain spaces. The third field follows.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(13);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}
