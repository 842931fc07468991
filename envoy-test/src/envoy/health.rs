//! Detects crashed Wasm VMs of a running Envoy.

use anyhow::Result;

use super::process::Envoy;

impl Envoy {
    /// All signs of a crashed VM since the start; empty if there are none.
    ///
    /// Under FAIL_RELOAD a crashed VM is visible in four places, none of which is sufficient. The log has the
    /// trap at once; the affected request ends with `wasm_fail_stream`; `vm_reload_backoff` and
    /// `vm_reload_success` count only when another request comes. (`vm_reload` itself stays 0.)
    pub async fn vm_failures(&self) -> Result<Vec<String>> {
        let mut failures: Vec<String> = self
            .stats()
            .await?
            .into_iter()
            .filter(|(name, value)| name.contains(".vm_reload") && *value > 0)
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let log = self.log();
        let traps = log.lines().filter(|line| TRAPS.iter().any(|trap| line.contains(trap)));
        failures.extend(traps.map(str::to_owned));
        let failed = self.access_log().into_iter().filter(|line| line["details"] == FAILED_STREAM);
        failures.extend(failed.map(|line| line.to_string()));
        Ok(failures)
    }
}

/// `Function: proxy_on_request_headers failed: Uncaught RuntimeError: unreachable`, and what Rust says
/// before it traps.
const TRAPS: [&str; 2] = ["Uncaught RuntimeError", "panicked at"];

const FAILED_STREAM: &str = "wasm_fail_stream";
