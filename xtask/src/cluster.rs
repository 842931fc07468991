//! `cargo xtask cluster`: a Kubernetes of one node with Istio, and with Envoy Gateway if wanted, in namespaces of its own. The scripts are in `envoy-test/cluster/`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::ArgMatches;
use programs::envoy::{DEFAULT_VERSION, VERSIONS, envoy_binary};
use xtask::{process, repository};

use crate::envoy::version_argument;

/// The options.
pub fn command() -> clap::Command {
    clap::Command::new("cluster")
        .about("Start or stop a real Kubernetes with Istio on this machine, for the tests of envoy-test/cluster")
        .after_help(
            "`up` builds all programs from their Go modules once (about 15 minutes on two cores, longer with other programs \
             running). It needs Linux, root, Go, a C compiler and some of Debian's packages, which it names if they are missing.",
        )
        .subcommand_required(true)
        .subcommand(
            clap::Command::new("up")
                .about("Build what is missing, and start the cluster")
                .arg(version_argument().default_value(DEFAULT_VERSION)),
        )
        .subcommand(
            clap::Command::new("envoy-gateway")
                .about("Add Envoy Gateway to the running cluster")
                .arg(version_argument().default_value(ENVOY_GATEWAYS_VERSION)),
        )
        .subcommand(clap::Command::new("down").about("Stop the cluster, and remove all that it created"))
        .subcommand(clap::Command::new("status").about("Show the nodes and pods, and how to use the cluster"))
}

/// Runs the scripts.
pub fn run(matches: &ArgMatches) -> Result<ExitCode> {
    match matches.subcommand() {
        Some(("up", matches)) => {
            let version: &String =
                matches.get_one("envoy-version").context("the version has a default")?;
            up(version)?;
            process::exit_code(&mut script("status.sh"))
        }
        Some(("envoy-gateway", matches)) => {
            let version: &String =
                matches.get_one("envoy-version").context("the version has a default")?;
            envoy_gateway(version)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("down", _)) => process::exit_code(&mut script("down.sh")),
        Some(("status", _)) => process::exit_code(&mut script("status.sh")),
        _ => bail!("expected a subcommand"),
    }
}

/// Starts the cluster with Envoy Gateway, for all tests.
pub fn start() -> Result<()> {
    up(DEFAULT_VERSION)?;
    envoy_gateway(ENVOY_GATEWAYS_VERSION)
}

fn envoy_gateway(version: &str) -> Result<()> {
    let envoy = format!("{version}={}", envoy_binary(version)?.display());
    process::run(script("envoy-gateway.sh").env("ENVOYS", envoy))
}

fn up(version: &str) -> Result<()> {
    let missing = missing();
    ensure!(missing.is_empty(), "the cluster needs {}", missing.join("; "));
    if !cache().join("bin").exists() {
        eprintln!(
            "Building Kubernetes, Istio and a registry into {}, once: about 15 minutes on two cores, 5 GB on disk.",
            cache().display()
        );
    }
    let envoys = envoys(version)?;
    for name in ["build.sh", "images.sh", "up.sh"] {
        let mut script = script(name);
        process::run(script.env("ENVOYS", &envoys).env("ENVOY_VERSION", version))?;
    }
    Ok(())
}

/// A line `VERSION=FILE` for this version and for every other supported one.
fn envoys(version: &str) -> Result<String> {
    let others = VERSIONS.into_iter().filter(|other| *other != version);
    // ENVOY_PATH is the binary of every version.
    let others: Vec<_> = if env::var_os("ENVOY_PATH").is_some_and(|path| !path.is_empty()) {
        vec![]
    } else {
        others.collect()
    };
    let lines: Vec<_> = std::iter::once(version)
        .chain(others)
        .map(|version| Ok(format!("{version}={}", envoy_binary(version)?.display())))
        .collect::<Result<_>>()?;
    Ok(lines.join("\n"))
}

/// The run directory of the cluster that `up` has started, if it runs.
pub fn running() -> Option<PathBuf> {
    let run = cache().join("run");
    let is_running = process::output(script("status.sh").arg("--quiet")).is_ok();
    is_running.then_some(run)
}

/// The folder of `kubectl` and `istioctl`, if `up` has built them.
pub fn tools() -> PathBuf {
    cache().join("bin")
}

/// What this machine lacks: a sentence for each.
fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !cfg!(target_os = "linux") {
        missing.push("Linux".to_owned());
    }
    if process::output(Command::new("id").arg("-u")).ok().as_deref() != Some("0") {
        missing.push("root".to_owned());
    }
    if !is_installed("go") {
        missing.push("Go 1.26 or later".to_owned());
    }
    let packages: Vec<_> = PACKAGES
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|(_, package)| *package)
        .collect();
    if !packages.is_empty() {
        missing.push(format!("Debian's packages: apt-get install {}", packages.join(" ")));
    }
    missing
}

/// Whether a program is in the PATH, or is this file.
fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // An absolute path replaces the folder.
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// As in `envoy-test/cluster/common.sh`.
fn cache() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    set("SA_AUTHN_CLUSTER_CACHE")
        .or_else(|| Some(home()?.join("sa-authn-cluster")))
        .unwrap_or_else(|| PathBuf::from("sa-authn-cluster"))
}

fn script(name: &str) -> Command {
    Command::new(repository::root().join(Path::new("envoy-test/cluster")).join(name))
}

/// Envoy Gateway 1.9 is built for Envoy 1.39.
const ENVOY_GATEWAYS_VERSION: &str = "1.39.3";

/// Programs, and the Debian packages that have them. CONTRIBUTING.md and `.ci/run` name the same packages.
const PACKAGES: [(&str, &str); 11] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/ptp", "containernetworking-plugins"),
    ("debootstrap", "debootstrap"),
    ("iptables", "iptables"),
    ("skopeo", "skopeo"),
    ("socat", "socat"),
    ("openssl", "openssl"),
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("pgrep", "procps"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_path_and_by_absolute_path() {
        assert!(is_installed("sh"));
        assert!(is_installed("/bin/sh"));
        assert!(!is_installed("no-such-program"));
    }

    #[test]
    fn documents_name_the_packages_that_the_cluster_needs() -> Result<()> {
        let packages = PACKAGES.map(|(_, package)| package).join(" ");
        for file in ["CONTRIBUTING.md", "envoy-test/cluster/README.md", ".ci/run"] {
            let text = std::fs::read_to_string(repository::root().join(file))?;
            assert!(text.contains(&packages), "{file} does not name: {packages}");
        }
        Ok(())
    }
}
