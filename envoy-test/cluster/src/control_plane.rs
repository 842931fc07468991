//! The API server's process, its signing keys and its audit log: only in the cluster of `cargo xtask cluster up`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::variable;

/// The control plane. When the value is dropped, the API server runs with its first flags again.
#[derive(Debug)]
pub struct ControlPlane {
    run: PathBuf,
    flags: String,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// The one of `CLUSTER_CONTROL_PLANE`.
    pub fn find() -> Result<Self> {
        let run = PathBuf::from(variable("CLUSTER_CONTROL_PLANE")?);
        let flags = fs::read_to_string(run.join("cfg/tokens.flags"))?;
        Ok(Self { run, flags })
    }

    /// Kills the API server with SIGKILL.
    pub fn kill(&self) -> Result<()> {
        self.script("kill")
    }

    /// Starts the API server, and waits until it is ready.
    pub fn start(&self) -> Result<()> {
        self.script("start")
    }

    /// Has the API server sign tokens with the first of these keys (files in `pki/`, without extension), and accept all of them.
    /// The first issuer is the one of new tokens. Applies at the next start.
    pub fn set_tokens(&self, keys: &[&str], issuers: &[&str]) -> Result<()> {
        let mut flags = String::new();
        for issuer in issuers {
            flags += &format!("--service-account-issuer={issuer}\n");
        }
        for key in keys {
            flags += &format!("--service-account-key-file=pki/{key}.pub\n");
        }
        let signing = keys.first().context("a signing key")?;
        flags += &format!("--service-account-signing-key-file=pki/{signing}.key\n");
        Ok(fs::write(self.run.join("cfg/tokens.flags"), flags)?)
    }

    /// Kills the API server, and starts it with these keys and issuers.
    pub fn restart_with(&self, keys: &[&str], issuers: &[&str]) -> Result<()> {
        self.kill()?;
        self.set_tokens(keys, issuers)?;
        self.start()
    }

    /// The events of the audit log: requests for keys and TokenReviews.
    pub fn audit(&self) -> Result<Vec<Value>> {
        let log = fs::read_to_string(self.run.join("log/audit.log"))?;
        // The last line may be incomplete.
        Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    fn script(&self, what: &str) -> Result<()> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("api-server.sh");
        let cache = self.run.parent().context("the cache")?;
        let output =
            Command::new(script).arg(what).env("SA_AUTHN_CLUSTER_CACHE", cache).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "api-server.sh {what}: {error}");
        Ok(())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let changed = fs::read_to_string(self.run.join("cfg/tokens.flags")).ok();
        let is_running = self.script("ready").is_ok();
        if is_running && changed.as_deref() == Some(&self.flags) {
            return;
        }
        let restored = self
            .script("kill")
            .and_then(|()| Ok(fs::write(self.run.join("cfg/tokens.flags"), &self.flags)?))
            .and_then(|()| self.script("start"));
        if let Err(error) = restored {
            eprintln!("the API server cannot be restored: {error:#}");
        }
    }
}
