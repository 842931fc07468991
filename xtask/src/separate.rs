//! Commands in separate packages, which are compiled when they are first run.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Arg, ArgMatches, value_parser};
use xtask::{process, repository};

/// One command.
#[derive(Debug)]
pub struct Separate {
    name: &'static str,
    about: &'static str,
    package: &'static str,
    /// Arguments before the user's arguments.
    arguments: &'static [&'static str],
    profile: &'static str,
}

/// All of them.
pub const COMMANDS: [Separate; 3] = [
    Separate {
        name: "image",
        about: "Build the image for Istio and Envoy as an OCI layout in target/image",
        package: "image",
        arguments: &[],
        profile: "dev",
    },
    Separate {
        name: "bench",
        about: "Measure the cost of the filter per request, compared with no filter, jwt_authn, and a minimal Wasm filter",
        package: "measure",
        arguments: &["bench"],
        profile: "measure",
    },
    Separate {
        name: "soak",
        about: "Send mixed traffic for a long time, with rotations, reloads and failing API servers, and check that \
                nothing is lost",
        package: "measure",
        arguments: &["soak"],
        profile: "measure",
    },
];

/// A subcommand that passes all arguments, including `--help`, to its package.
pub fn command(separate: &Separate) -> clap::Command {
    clap::Command::new(separate.name).about(separate.about).disable_help_flag(true).arg(
        Arg::new("arguments")
            .value_name("OPTIONS")
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .value_parser(value_parser!(OsString))
            .help("--help lists them"),
    )
}

/// Builds and runs the package.
pub fn run(name: &str, matches: &ArgMatches) -> Result<ExitCode> {
    let separate = COMMANDS.iter().find(|separate| separate.name == name).context("no command")?;
    let arguments = matches.get_many::<OsString>("arguments").into_iter().flatten();
    process::exit_code(cargo_run(separate).args(arguments))
}

/// The image of a built module, for `cargo xtask dist`.
pub fn image(module: &Path, output: &Path) -> Result<()> {
    let image = COMMANDS.iter().find(|separate| separate.name == "image").context("no image")?;
    process::run(cargo_run(image).arg("--module").arg(module).arg("--output").arg(output))
}

/// The soak, for `cargo xtask test --full`.
pub fn soak(minutes: u32) -> Result<()> {
    let soak = COMMANDS.iter().find(|separate| separate.name == "soak").context("no soak")?;
    process::run(cargo_run(soak).args(["--minutes", &minutes.to_string()]))
}

fn cargo_run(separate: &Separate) -> Command {
    let mut cargo = repository::cargo("run");
    cargo
        .args(["--quiet", "--locked", "--package", separate.package])
        .args(["--profile", separate.profile, "--"])
        .args(separate.arguments);
    cargo
}
