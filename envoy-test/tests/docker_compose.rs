//! docker-compose.yaml as users run it: both callers with their rotating tokens, and the `curl` output in README.md.
//!
//! Differences: the module and the programs are those that cargo has built for this test and not those of the Dockerfile's
//! first stage, and missing base images are built from files of the host.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{self, Command};
use std::time::Duration;

use crate::support::docker::{self, Image};
use anyhow::{Context, Result};
use envoy_test::envoy::binary::DEFAULT_VERSION;
use envoy_test::poll;
use serde_json::{Value, json};

/// The running services of the file, stopped on drop.
struct Destinations {
    compose: &'static [&'static str],
    project: String,
    port: u16,
    _images: [Image; 2],
}

#[tokio::test]
async fn callers_with_rotating_tokens_receive_the_documented_responses() -> Result<()> {
    if !docker::answers("docker-compose.yaml")? {
        return Ok(());
    }
    let composes: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    let works = |compose: &&&[&str]| {
        command(compose).arg("version").output().is_ok_and(|answer| answer.status.success())
    };
    let found: Vec<_> = composes.iter().filter(works).collect();
    if found.is_empty() {
        return docker::not_run(
            "docker-compose.yaml",
            "there is neither docker compose nor docker-compose",
        );
    }
    for compose in found {
        let destinations = Destinations::start(compose)?;
        destinations.check().await.with_context(|| destinations.logs(""))?;
    }
    Ok(())
}

impl Destinations {
    fn start(compose: &'static [&'static str]) -> Result<Self> {
        let project = format!("sa-authn-test-{}", process::id());
        docker::ensure_envoy()?;
        let images = [programs(&project)?, envoy(&format!("{project}-envoy"))?];
        // A free port, which no other process uses until Docker opens it.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let destinations = Self { compose, project, port, _images: images };
        docker::output(destinations.command().args(["up", "--detach", "--no-build"]))?;
        Ok(destinations)
    }

    async fn check(&self) -> Result<()> {
        let tokens = self.tokens_seen("api", json!([200, null, "api/api"])).await?;
        assert!(tokens.len() >= 2, "{tokens:?}");
        self.tokens_seen("web", json!([403, "forbidden", null])).await?;
        self.check_readme()
    }

    /// Waits until a caller has used two tokens; every response to it must have this status, reason and identity.
    async fn tokens_seen(&self, service: &str, expected: Value) -> Result<BTreeSet<String>> {
        poll::until_within(ROTATION, &format!("a second token of {service}"), async || {
            let mut tokens = BTreeSet::new();
            for line in self.logs(service).lines().filter(|line| line.starts_with('{')) {
                let line: Value = serde_json::from_str(line)?;
                // Envoy may not listen yet.
                if line["error"].is_null() {
                    let answer = json!([line["status"], line["reason"], line["caller"]]);
                    assert_eq!(answer, expected, "{service}");
                    tokens.insert(line["token"].as_str().context("a token's id")?.to_owned());
                }
            }
            Ok((tokens.len() >= 2).then_some(tokens))
        })
        .await
    }

    /// Runs every line of README.md that begins with `$`, and compares the output with the other lines.
    fn check_readme(&self) -> Result<()> {
        let readme = fs::read_to_string(folder().join("README.md"))?;
        let (_, section) = readme.split_once("<!-- run -->\n```console\n").context("a console")?;
        let (block, _) = section.split_once("```").context("its end")?;
        let typed: Vec<_> = block.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        let printed: Vec<_> = block.lines().filter(|line| !line.starts_with("$ ")).collect();
        assert_eq!((typed.len(), printed.len()), (5, 5), "{block}");
        let script = typed
            .join("\n")
            .replace("docker compose -f envoy-test/docker-compose.yaml", &self.typed())
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", self.port));
        let mut shell = Command::new("bash");
        let seen =
            docker::output(self.environment(shell.args(["-euo", "pipefail", "-c", &script])))?;
        assert_eq!(seen.lines().collect::<Vec<_>>(), printed);
        Ok(())
    }

    fn logs(&self, service: &str) -> String {
        let mut logs = self.command();
        logs.args(["logs", "--no-color", "--no-log-prefix"]);
        if !service.is_empty() {
            logs.arg(service);
        }
        docker::output(&mut logs).unwrap_or_else(|error| format!("{error:#}"))
    }

    fn command(&self) -> Command {
        let mut command = command(self.compose);
        self.environment(
            command.args(["-f".as_ref(), folder().join("docker-compose.yaml").as_os_str()]),
        );
        command
    }

    fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("COMPOSE_PROJECT_NAME", &self.project)
            .env("SA_AUTHN_PROGRAMS", &self.project)
            .env("SA_AUTHN_ENVOY", format!("{}-envoy", self.project))
            .env("PORT", self.port.to_string())
    }

    /// The command as typed in a shell.
    fn typed(&self) -> String {
        format!(
            "{} -f '{}'",
            self.compose.join(" "),
            folder().join("docker-compose.yaml").display()
        )
    }
}

impl Drop for Destinations {
    fn drop(&mut self) {
        if let Err(error) =
            docker::output(self.command().args(["down", "--volumes", "--timeout", "1"]))
        {
            eprintln!("{error:#}");
        }
    }
}

/// The image of the stage `programs`, with the programs that cargo built for this test.
fn programs(tag: &str) -> Result<Image> {
    let built = [
        env!("CARGO_BIN_EXE_kube-apiserver"),
        env!("CARGO_BIN_EXE_server-app"),
        env!("CARGO_BIN_EXE_token-app"),
    ]
    .map(Path::new);
    docker::ensure_debian(&built)?;
    stage(tag, "${DEBIAN_IMAGE} AS programs", "debian:bookworm-slim", "/built/debug/", &built)
}

/// The image of the stage `envoy`, with the module that the tests run.
fn envoy(tag: &str) -> Result<Image> {
    let base = format!("envoyproxy/envoy:v{DEFAULT_VERSION}");
    let module = folder().join("../target/sa_authn.wasm");
    stage(tag, "${ENVOY_IMAGE} AS envoy", &base, "/sa-authn/target/", &[&module])
}

/// A stage of the Dockerfile that copies these files from the folder `from` of the first stage.
fn stage(tag: &str, name: &str, base: &str, from: &str, files: &[&Path]) -> Result<Image> {
    let context = tempfile::tempdir()?;
    for file in files {
        let to = context.path().join(file.file_name().context("a name")?);
        fs::copy(file, to).with_context(|| file.display().to_string())?;
    }
    let dockerfile = fs::read_to_string(folder().join("Dockerfile"))?;
    let (_, stage) = dockerfile.split_once(&format!("FROM {name}\n")).context("the stage")?;
    let (copy, _) = stage.split_once('\n').context("one line")?;
    let copy = copy.replace("--from=build ", "").replace(from, "");
    fs::write(context.path().join("Dockerfile"), format!("FROM {base}\n{copy}\n"))?;
    docker::build(context.path(), tag)
}

fn command(compose: &[&str]) -> Command {
    let mut command = Command::new(compose.first().copied().unwrap_or_default());
    command.args(compose.get(1..).unwrap_or_default());
    command
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn docker_compose_uses_a_tested_envoy_image() -> Result<()> {
    let file: Value =
        serde_saphyr::from_str(&fs::read_to_string(folder().join("docker-compose.yaml"))?)?;
    let image = format!("envoyproxy/envoy:v{DEFAULT_VERSION}");
    let dockerfile = fs::read_to_string(folder().join("Dockerfile"))?;
    assert!(dockerfile.contains(&format!("ARG ENVOY_IMAGE={image}\n")), "{dockerfile}");
    // The default of each argument is the same in both files.
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("ARG ")) {
        let (name, default) = line.split_once('=').context("a default")?;
        assert_eq!(file["x-build"]["args"][name], json!(format!("${{{name}:-{default}}}")));
    }
    Ok(())
}

/// Startup takes some seconds, and a token rotates every ten seconds.
const ROTATION: Duration = Duration::from_secs(60);
