//! A Prometheus that scrapes a proxy each second, with the shipped rules, and the queries of the shipped dashboard.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};

use crate::{Request, poll};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running Prometheus, killed on drop.
#[derive(Debug)]
pub struct Prometheus {
    port: u16,
    _child: Child,
    _folder: TempDir,
}

/// Where the rules and the dashboard are.
pub fn observability() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../observability")
}

/// Whether `prometheus` and `promtool` are in the PATH. `cargo xtask test` adds them if possible.
pub fn is_here() -> bool {
    ["prometheus", "promtool"].iter().all(|program| {
        StdCommand::new(program).arg("--version").output().is_ok_and(|ran| ran.status.success())
    })
}

/// The output of promtool, which must succeed.
pub fn promtool(arguments: &[&str]) -> Result<String> {
    let ran = StdCommand::new("promtool").args(arguments).current_dir(observability()).output()?;
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    ensure!(ran.status.success(), "promtool {arguments:?}: {out}{err}");
    Ok(out.into_owned())
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts Prometheus on a free port, with shorter intervals than in production. The target is an address and a port of this
    /// machine that serve `/stats/prometheus`; `labels` are added to its metrics.
    pub async fn start(target: &str, labels: Value) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (config, log) = (folder.path().join("prometheus.yml"), folder.path().join("log"));
        // JSON is YAML.
        let text = json!({
            "global": { "scrape_interval": "1s", "evaluation_interval": "1s" },
            "rule_files": [observability().join("prometheus-rules.yaml")],
            "scrape_configs": [{
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                "static_configs": [{ "targets": [target], "labels": labels }],
            }],
        });
        fs::write(&config, text.to_string())?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("prometheus")?;
        let port = poll::until("Prometheus to listen", async || listens_at(&log)).await?;
        poll::until("Prometheus to be ready", async || {
            Ok((Request::get("/-/ready").send(port).await?.status == 200).then_some(()))
        })
        .await?;
        Ok(Self { port, _child: child, _folder: folder })
    }

    /// The samples of an instant query, each with its labels.
    pub async fn query(&self, expression: &str) -> Result<Vec<(Value, f64)>> {
        let data = self.get(&format!("/api/v1/query?query={}", encoded(expression))).await;
        let data = data.with_context(|| expression.to_owned())?;
        let samples = data["result"].as_array().cloned().unwrap_or_default();
        let sample = |sample: Value| {
            let value = sample["value"][1].as_str().context("a value")?.parse()?;
            Ok((sample["metric"].clone(), value))
        };
        samples.into_iter().map(sample).collect()
    }

    /// Waits until a query has one sample with the value `expected`, up to rounding.
    pub async fn wait_value(&self, expression: &str, expected: f64) -> Result<()> {
        let mut last = Vec::new();
        let waited = poll::until(expression, async || {
            last = self.query(expression).await?;
            let there = matches!(last[..], [(_, value)] if (value - expected).abs() < 1e-9);
            Ok(there.then_some(()))
        });
        let waited = waited.await;
        waited.with_context(|| format!("{expression} is {last:?} instead of {expected}"))
    }

    /// Waits until a query has a sample.
    pub async fn wait_sample(&self, expression: &str) -> Result<()> {
        poll::until(expression, async || {
            Ok((!self.query(expression).await?.is_empty()).then_some(()))
        })
        .await
    }

    /// The names of all metrics.
    pub async fn names(&self) -> Result<BTreeSet<String>> {
        Ok(serde_json::from_value(self.get("/api/v1/label/__name__/values").await?)?)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let mut answer = Request::get(path).send(self.port).await?.json()?;
        ensure!(answer["status"] == "success", "{answer}");
        Ok(answer["data"].take())
    }
}

/// The queries of the shipped dashboard's panels.
pub fn panels() -> Result<Vec<String>> {
    let text = fs::read_to_string(observability().join("grafana-dashboard.json"))?;
    let file: Value = serde_json::from_str(&text)?;
    let panels = file["panels"].as_array().context("panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| Ok(target["expr"].as_str().context("expr")?.to_owned())).collect()
}

/// A query of a panel as Grafana sends it, for a job and for every value of the other variables.
pub fn as_sent(expression: &str, job: &str) -> String {
    expression
        .replace("$__rate_interval", "1m")
        .replace("$job", job)
        .replace("$namespace", ".*")
        .replace("$workload", ".*")
        .replace("$instance", ".*")
}

/// `msg="Listening on" address=127.0.0.1:33577`
fn listens_at(log: &Path) -> Result<Option<u16>> {
    let log = fs::read_to_string(log)?;
    let line = log.lines().find(|line| line.contains("\"Listening on\""));
    Ok(line.and_then(|line| line.rsplit_once(':')).and_then(|(_, port)| port.trim().parse().ok()))
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
