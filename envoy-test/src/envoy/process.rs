//! A running Envoy process, killed on drop.

use std::fs::File;
use std::path::Path;
use std::process::{Command as StdCommand, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::client::Request;
use crate::lock::lock;
use crate::poll;
use crate::projected::ProjectedVolume;

use super::bootstrap::Files;

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    pub(super) files: Files,
    child: Mutex<Child>,
    pid: u32,
    port: u16,
    admin_port: u16,
}

/// Major and minor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

// === impl Envoy ===

impl Envoy {
    /// The port of its listener on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port of the listener with this name on 127.0.0.1.
    ///
    /// # Errors
    /// If it listens nowhere within the limit.
    pub async fn port_of(&self, listener: &str) -> Result<u16> {
        self.listening(|status| status["name"] == listener)
            .await
            .with_context(|| listener.to_owned())
    }

    /// The port of its admin interface on 127.0.0.1.
    pub fn admin_port(&self) -> u16 {
        self.admin_port
    }

    /// Its process id, to measure it from outside.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The credential for this API server's cluster (or a caller's `tokens`), mounted as the kubelet does;
    /// update it to rotate it.
    ///
    /// # Panics
    /// If no credential has this name.
    pub fn credential(&self, name: &str) -> &ProjectedVolume {
        let credential = self.files.credentials.get(name);
        credential.unwrap_or_else(|| panic!("no credential {name}"))
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        matches!(lock(&self.child).try_wait(), Ok(None))
    }

    /// Waits until it is live and listens. `start` has done that already.
    pub async fn wait_ready(&self) -> Result<()> {
        poll::until("Envoy to be live", async || {
            ensure!(self.is_running(), "Envoy has ended");
            let ready = Request::get("/ready").send(self.admin_port).await;
            Ok(ready.is_ok_and(|ready| ready.status == 200).then_some(()))
        })
        .await
    }

    pub(super) async fn becomes_ready(&mut self) -> Result<()> {
        let admin = poll::until("Envoy's admin address", async || {
            ensure!(self.is_running(), "Envoy has ended");
            // Written in two steps, so an address without its port may be there first.
            Ok(self.files.read(ADMIN).rsplit_once(':').and_then(|(_, port)| port.parse().ok()))
        });
        self.admin_port = admin.await?;
        self.wait_ready().await?;
        self.port = self.listening(|_| true).await?;
        Ok(())
    }

    /// Waits until one of these listeners has a port: the first one.
    async fn listening(&self, is_meant: impl Fn(&Value) -> bool) -> Result<u16> {
        poll::until("Envoy's listener", async || {
            let listeners = Request::get("/listeners?format=json").send(self.admin_port).await?;
            let listeners = listeners.json()?;
            let mut statuses = listeners["listener_statuses"].as_array().into_iter().flatten();
            Ok(statuses.find(|status| is_meant(status)).and_then(port_in))
        })
        .await
    }

    /// Waits for an Envoy that is expected to refuse its configuration.
    pub(super) async fn ends(&mut self) -> Result<()> {
        let status = poll::until("Envoy to refuse its configuration", async || {
            Ok(lock(&self.child).try_wait()?)
        });
        if status.await?.success() {
            bail!("Envoy ended without an error");
        }
        Ok(())
    }
}

pub(super) fn spawn(binary: &Path, files: Files, arguments: &[String]) -> Result<Envoy> {
    let log = File::create(files.path(LOG))?;
    let child = Command::new(binary)
        .arg("--config-path")
        .arg(files.path("envoy.json"))
        .arg("--admin-address-path")
        .arg(files.path(ADMIN))
        // Hot restart takes shared memory under one name, which several Envoys would fight for.
        .arg("--disable-hot-restart")
        // At level info every start lists all of its extensions.
        .args(["--log-level", "warning"])
        // The access log is written at once, and not every ten seconds.
        .args(["--file-flush-interval-msec", "20"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", binary.display()))?;
    let pid = child.id().context("Envoy has ended at once")?;
    Ok(Envoy { files, child: Mutex::new(child), pid, port: 0, admin_port: 0 })
}

/// The version that the binary says it has: `ENVOY_PATH` may name any.
pub(super) fn version(binary: &Path) -> Result<Version> {
    let output = StdCommand::new(binary).arg("--version").output();
    let output = output.with_context(|| format!("running {}", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_version(&text).with_context(|| format!("no version in {text:?}"))
}

// === private ===

/// `…/envoy  version: 9e558093…/1.40.0/Clean/RELEASE/BoringSSL`
fn parse_version(text: &str) -> Option<Version> {
    let (_, version) = text.split_once("version: ")?;
    let mut numbers = version.split('/').nth(1)?.split(['.', '-']);
    Some(Version(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn port_in(status: &Value) -> Option<u16> {
    let address = &status["local_address"]["socket_address"];
    address["port_value"].as_u64()?.try_into().ok().filter(|port| *port != 0)
}

pub(super) const LOG: &str = "envoy.log";
const ADMIN: &str = "admin-address";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_releases_and_development_builds() {
        let text =
            |version| format!("\n/x/envoy  version: 9e55/{version}/Clean/RELEASE/BoringSSL\n");
        assert_eq!(parse_version(&text("1.36.4")), Some(Version(1, 36)));
        assert_eq!(parse_version(&text("1.41.0-dev")), Some(Version(1, 41)));
        assert_eq!(parse_version("envoy"), None);
    }
}
