//! Statistics, log and access log of a running Envoy.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use crate::client::Request;
use crate::poll;

use super::bootstrap::ACCESS_LOG;
use super::process::{Envoy, LOG};

impl Envoy {
    /// Every counter and gauge.
    pub async fn stats(&self) -> Result<BTreeMap<String, u64>> {
        let text = Request::get("/stats").send(self.admin_port()).await?.text();
        Ok(text.lines().filter_map(stat).collect())
    }

    /// One counter or gauge; 0 if it does not exist.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        Ok(self.stats().await?.get(name).copied().unwrap_or_default())
    }

    /// Waits until a counter or gauge fulfils `condition`, and returns it.
    pub async fn wait_stat(&self, name: &str, condition: impl Fn(u64) -> bool) -> Result<u64> {
        poll::until(&format!("{name} to change"), async || {
            let value = self.stat(name).await?;
            Ok(condition(value).then_some(value))
        })
        .await
    }

    /// The statistics as Prometheus scrapes them.
    pub async fn prometheus(&self) -> Result<String> {
        Ok(Request::get("/stats/prometheus").send(self.admin_port()).await?.text())
    }

    /// Where the log is, for a person to follow.
    pub fn log_path(&self) -> PathBuf {
        self.files.path(LOG)
    }

    /// Where the access log is.
    pub fn access_log_path(&self) -> PathBuf {
        self.files.path(ACCESS_LOG)
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.files.read(LOG)
    }

    /// Waits until `text` stands in the log.
    pub async fn wait_log(&self, text: &str) -> Result<()> {
        poll::until(&format!("{text:?} in Envoy's log"), async || {
            Ok(self.log().contains(text).then_some(()))
        })
        .await
    }

    /// Waits until so many VMs have logged that they have keys, each of which does so once. Envoy has one VM for each
    /// worker and one for its main thread. Unlike statistics, the log keeps the lines of VMs that have ended.
    pub async fn wait_keys(&self, vms: usize) -> Result<()> {
        poll::until(&format!("keys in {vms} VMs"), async || {
            Ok((self.log().matches(": loaded 1 key,").count() >= vms).then_some(()))
        })
        .await
    }

    /// The access log so far, a value per request.
    pub fn access_log(&self) -> Vec<Value> {
        let text = self.files.read(ACCESS_LOG);
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until so many requests stand in the access log.
    pub async fn wait_access_log(&self, count: usize) -> Result<Vec<Value>> {
        poll::until(&format!("{count} lines in the access log"), async || {
            let lines = self.access_log();
            Ok((lines.len() >= count).then_some(lines))
        })
        .await
    }

    /// The end of the log, for an error message.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.split_at(lines.len().saturating_sub(TAIL)).1.join("\n");
        format!("the end of Envoy's log:\n{tail}\n")
    }
}

// === private ===

/// `name: 12`; histograms have no such number.
fn stat(line: &str) -> Option<(String, u64)> {
    let (name, value) = line.rsplit_once(": ")?;
    Some((name.to_owned(), value.parse().ok()?))
}

const TAIL: usize = 40;
