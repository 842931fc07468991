//! Runs `kubectl`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// `kubectl` for the cluster of `KUBECONFIG`.
#[derive(Debug)]
pub struct Kubectl {
    /// A kubeconfig that is used instead of `KUBECONFIG`.
    config: Option<NamedTempFile>,
}

/// A forwarded port.
#[derive(Debug)]
pub struct Forwarded {
    process: Child,
    /// kubectl writes a line for each connection, and would end without a reader.
    output: BufReader<ChildStdout>,
    /// The port on 127.0.0.1.
    pub port: u16,
}

impl Drop for Forwarded {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

// === impl Kubectl ===

impl Kubectl {
    /// As the administrator that `KUBECONFIG` names.
    pub fn admin() -> Self {
        Self { config: None }
    }

    /// With this token as the only credential; without one, as an anonymous client.
    pub fn with_token(token: Option<&str>) -> Result<Self> {
        let mut config =
            Self::admin().json(["config", "view", "--raw", "--minify", "-o", "json"])?;
        for user in config["users"].as_array_mut().into_iter().flatten() {
            user["user"] = token.map_or_else(|| json!({}), |token| json!({ "token": token }));
        }
        let mut file = NamedTempFile::new()?;
        file.write_all(config.to_string().as_bytes())?;
        Ok(Self { config: Some(file) })
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments);
        if let Some(config) = &self.config {
            command.env("KUBECONFIG", config.path());
        }
        command
    }

    /// The trimmed output.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<String> {
        let mut command = self.command(arguments);
        let output = command.output().context("kubectl cannot be started")?;
        text(&command, &output)
    }

    /// The output as JSON.
    pub fn json<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result<Value> {
        Ok(serde_json::from_str(&self.run(arguments)?)?)
    }

    /// Creates or changes objects from YAML or JSON.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        self.with_input(["apply", "-f", "-"], manifests).map(|_| ())
    }

    /// Deletes the objects of these manifests, and waits until they are gone.
    pub fn delete(&self, manifests: &str) -> Result<()> {
        self.with_input(["delete", "--ignore-not-found", "--timeout=120s", "-f", "-"], manifests)
            .map(|_| ())
    }

    /// Runs `kubectl` with this input, and returns its trimmed output.
    pub fn with_input<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        input: &str,
    ) -> Result<String> {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("kubectl cannot be started")?;
        child.stdin.take().context("stdin")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        text(&command, &output)
    }

    /// The output of a shell script in a container of a Deployment's pod; the exit code does not matter.
    pub fn shell(
        &self,
        namespace: &str,
        target: &str,
        container: &str,
        script: &str,
    ) -> Result<String> {
        let script = format!("{script}\ntrue");
        self.run(["-n", namespace, "exec", target, "-c", container, "--", "sh", "-c", &script])
    }

    /// Forwards a free port of this machine to a port of a pod, until the result is dropped.
    pub fn forward(&self, namespace: &str, target: &str, port: u16) -> Result<Forwarded> {
        let port = format!(":{port}");
        let mut command = self.command(["-n", namespace, "port-forward", target, &port]);
        let mut process = command.stdout(Stdio::piped()).spawn().context("kubectl")?;
        let stdout = process.stdout.take().context("stdout")?;
        let mut forwarded = Forwarded { process, output: BufReader::new(stdout), port: 0 };
        let mut first = String::new();
        forwarded.output.read_line(&mut first)?;
        // Forwarding from 127.0.0.1:40221 -> 15020
        let local = first.split(" -> ").next().and_then(|from| from.rsplit_once(':'));
        let (_, local) = local.with_context(|| format!("no forwarded port in {first:?}"))?;
        forwarded.port = local.parse()?;
        Ok(forwarded)
    }

    /// A new token of a service account, not bound to a pod.
    pub fn token(&self, namespace: &str, account: &str, audience: &str) -> Result<String> {
        self.run(["-n", namespace, "create", "token", account, "--audience", audience])
    }

    /// The name and the UID of each running pod with this label, without those that end.
    pub fn pods(&self, namespace: &str, label: &str) -> Result<Vec<Value>> {
        let pods = self.json(["-n", namespace, "get", "pods", "-l", label, "-o", "json"])?;
        let items = pods["items"].as_array().cloned().unwrap_or_default();
        Ok(items.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect())
    }

    /// Waits until a Deployment has only ready pods of its current template.
    pub fn rolled_out(&self, namespace: &str, deployment: &str) -> Result<()> {
        let target = format!("deployment/{deployment}");
        self.run(["-n", namespace, "rollout", "status", &target, "--timeout=180s"]).map(|_| ())
    }
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Result<Value> {
    let payload = token.split('.').nth(1).context("a token has three parts")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

fn text(command: &Command, output: &Output) -> Result<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {}", error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
