//! Builds ahead what later steps need, while the steps before them leave a core idle: at the end of the module, for one.

use std::process::Command;
use std::thread;

use programs::go::GoProgram;

/// Starts to build the Go programs at the lowest priority.
///
/// Nothing waits for it or reads what it prints: a step that needs a program builds it itself, finds what is there, and
/// reports what fails. Where a step fails before, the program in work is still finished.
pub fn start() {
    thread::spawn(|| {
        for program in [GoProgram::ADMISSION, GoProgram::HELM, GoProgram::KUSTOMIZE] {
            let mut nice = Command::new("nice");
            nice.args(["-n", "19", "go"]);
            // Without Go or `nice` there is none, and the tests say so or build it.
            let _ = program.built_by(nice);
        }
    });
}
