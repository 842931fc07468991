//! A running Envoy comes in; what tells of a wasm VM that died goes out.

use anyhow::Result;

use super::process::Envoy;

impl Envoy {
    /// Everything that tells of a VM that died since the start; empty in good health.
    ///
    /// Under FAIL_RELOAD a dead VM shows in four places, of which none alone is enough. The log has the
    /// trap at once; the request that it befell ends with `wasm_fail_stream`; `vm_reload_backoff` and
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
