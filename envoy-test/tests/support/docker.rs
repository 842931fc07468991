//! Docker commands, and base images built from files of the host if they are missing.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use envoy_test::envoy::binary::{DEFAULT_VERSION, envoy_binary};

/// An image that is removed on drop.
pub struct Image(pub String);

/// Whether a Docker daemon answers. If not, the test's output reports it, even if the test passes:
/// `cargo xtask test` repeats such lines at the end.
pub fn answers(test: &str) -> Result<bool> {
    let why = match Command::new("docker").args(["info", "--format", "{{.ServerVersion}}"]).output()
    {
        Ok(answer) if answer.status.success() => return Ok(true),
        Ok(_) => "no Docker daemon answers",
        Err(_) => "there is no docker",
    };
    not_run(test, why)?;
    Ok(false)
}

/// Reports what was not tested, not with `println!`, which is only shown for failed tests.
pub fn not_run(test: &str, why: &str) -> Result<()> {
    Ok(stdout().write_all(format!("not run: {test}: {why}\n").as_bytes())?)
}

/// The output of a command, which must succeed.
pub fn output(command: &mut Command) -> Result<String> {
    let answer = command.output().with_context(|| format!("{command:?}"))?;
    let stderr = String::from_utf8_lossy(&answer.stderr);
    ensure!(answer.status.success(), "{command:?}: {}: {}", answer.status, stderr.trim());
    Ok(String::from_utf8(answer.stdout)?)
}

/// Builds the Dockerfile of a folder; the image is removed on drop.
pub fn build(folder: &Path, tag: &str) -> Result<Image> {
    build_to_stay(folder, tag)?;
    Ok(Image(tag.to_owned()))
}

/// The base image of Envoy in `envoy-test/docker-compose.yaml`.
pub fn ensure_envoy() -> Result<()> {
    let envoy = envoy_binary(DEFAULT_VERSION)?;
    ensure_base(&format!("envoyproxy/envoy:v{DEFAULT_VERSION}"), &[(&envoy, "usr/local/bin/envoy")])
}

/// The base image of `envoy-test/Dockerfile`, with `cat` and `test`, which users and the health check run.
pub fn ensure_debian(programs: &[&Path]) -> Result<()> {
    let tools =
        ["cat", "test"].map(|tool| (Path::new("/usr/bin").join(tool), format!("usr/bin/{tool}")));
    let mut files: Vec<_> = tools.iter().map(|(from, to)| (from.as_path(), to.as_str())).collect();
    // Only their libraries; the Dockerfile adds the programs.
    files.extend(programs.iter().map(|program| (*program, "")));
    ensure_base("debian:bookworm-slim", &files)
}

impl Drop for Image {
    fn drop(&mut self) {
        // The image may not exist.
        let _ = Command::new("docker").args(["image", "rm", "--force", &self.0]).output();
    }
}

// === private ===

/// Builds an image of these files and their libraries, unless an image of this name exists. It is not removed.
fn ensure_base(tag: &str, files: &[(&Path, &str)]) -> Result<()> {
    if Command::new("docker").args(["image", "inspect", tag]).output()?.status.success() {
        return Ok(());
    }
    let context = tempfile::tempdir()?;
    let mut wanted: BTreeSet<(PathBuf, PathBuf)> = BTreeSet::new();
    for (from, to) in files {
        for library in libraries(from)? {
            wanted.insert((library.clone(), library.strip_prefix("/")?.to_owned()));
        }
        if !to.is_empty() {
            wanted.insert(((*from).to_owned(), to.into()));
        }
    }
    for (from, to) in &wanted {
        let to = context.path().join("root").join(to);
        fs::create_dir_all(to.with_file_name(""))?;
        fs::copy(from, to).with_context(|| from.display().to_string())?;
    }
    fs::write(context.path().join("Dockerfile"), "FROM scratch\nCOPY root /\n")?;
    build_to_stay(context.path(), tag)
}

fn build_to_stay(folder: &Path, tag: &str) -> Result<()> {
    output(Command::new("docker").args(["build", "--quiet", "--tag", tag]).arg(folder)).map(drop)
}

/// `libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x…)`, and the loader without an arrow.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let listed = output(Command::new("ldd").arg(program))?;
    let paths = listed.lines().filter_map(|line| {
        let path = line.split_once("=> ").map_or(line, |(_, path)| path).trim();
        let path = path.split_whitespace().next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    });
    let paths: Vec<_> = paths.collect();
    if paths.is_empty() {
        bail!("{} needs no library: {listed}", program.display());
    }
    Ok(paths)
}
