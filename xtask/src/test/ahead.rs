//! Builds ahead what later steps need, while the steps before them leave a core idle: at the end of the module, for one.

use std::process::{Command, Stdio};
use std::thread;

use programs::go::GoProgram;
use xtask::toolchain;

use crate::fuzz;

/// Starts to build at the lowest priority. With Go's build cache filled, the step `fuzz` of `cargo xtask test` then took 64 s
/// in place of 154 s; without it, the Go programs come first, and it took as long as before.
///
/// Nothing waits for it or reads what it prints: a step that needs a program builds it itself, finds what is there, and
/// reports what fails. Where a step fails before, the program in work is still finished.
pub fn start() {
    thread::spawn(|| {
        for program in [GoProgram::ADMISSION, GoProgram::HELM, GoProgram::KUSTOMIZE] {
            // Without Go there is none, and the tests say so.
            let _ = program.built_by(lowest_priority("go"));
        }
        if let Ok(host) = toolchain::host() {
            let mut build = fuzz::build_by(lowest_priority(env!("CARGO")), &host);
            let _ = build.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    });
}

/// Fails to start on systems without `nice`.
fn lowest_priority(program: &str) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19", program]);
    nice
}
