//! Builds ahead what later steps need, while the steps before them leave a core idle: as they link, for one.

use std::process::Command;
use std::thread;

use programs::go::GoProgram;
use xtask::process::at_lowest_priority;
use xtask::toolchain::Toolchain;
use xtask::wasm;

/// Starts to compile the module and to build the Go programs, at the lowest priority.
///
/// Nothing waits for it or reads what it prints: a step that needs one of them builds it itself, finds what is there, and
/// reports what fails. Where a step fails before, the one in work is still finished.
pub fn start(toolchain: Option<Toolchain>) {
    thread::spawn(move || {
        if let Some(toolchain) = toolchain {
            let _ = wasm::build_ahead(&toolchain);
        }
        for program in [GoProgram::ADMISSION, GoProgram::HELM, GoProgram::KUSTOMIZE] {
            // Without Go there is none, and the tests say so.
            let _ = program.built_by(at_lowest_priority(&Command::new("go")));
        }
    });
}
