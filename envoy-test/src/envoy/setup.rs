//! Builds the configuration of a test's Envoy, and starts it.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::api_server::ApiServer;
use crate::token::Token;
use crate::upstream::Upstream;

use super::binary::envoy_binary;
use super::bootstrap::{self, Patch};
use super::process::{self, Envoy};

/// The parts of an Envoy that tests vary; everything else is as in `envoy.yaml`.
pub struct EnvoySetup {
    pub(super) version: String,
    pub(super) module: Option<PathBuf>,
    pub(super) plugin_config: Option<String>,
    pub(super) api_servers: Vec<ApiCluster>,
    pub(super) upstream_port: Option<u16>,
    pub(super) concurrency: u32,
    pub(super) log_level: String,
    pub(super) stop_iteration: Option<bool>,
    pub(super) max_request_headers_kb: Option<u32>,
    pub(super) normalize_path: Option<bool>,
    pub(super) drain_time: Option<Duration>,
    pub(super) merged: Option<String>,
    pub(super) patches: Vec<Patch>,
}

/// A cluster of Envoy's that is an API server, and the credential for it.
#[derive(Debug)]
pub(super) struct ApiCluster {
    pub(super) name: String,
    pub(super) port: u16,
    pub(super) ca_pem: String,
    /// What the token's file holds; None for no file.
    pub(super) token: Option<String>,
}

// === impl EnvoySetup ===

impl EnvoySetup {
    /// One worker, the release module, no API server, and an unreachable upstream.
    pub fn new() -> Self {
        Self {
            version: super::default_version(),
            module: Some(default_module()),
            plugin_config: None,
            api_servers: Vec::new(),
            upstream_port: None,
            concurrency: 1,
            log_level: "info".to_owned(),
            stop_iteration: None,
            max_request_headers_kb: None,
            normalize_path: None,
            drain_time: None,
            merged: None,
            patches: Vec::new(),
        }
    }

    /// Which Envoy; `ENVOY_PATH` overrides it.
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The wasm module; the one of `SA_AUTHN_MODULE`, or else `target/sa_authn.wasm`, unless said otherwise.
    pub fn module(mut self, path: impl Into<PathBuf>) -> Self {
        self.module = Some(path.into());
        self
    }

    /// No wasm filter at all: what Envoy does by itself.
    pub fn without_filter(mut self) -> Self {
        self.module = None;
        self
    }

    /// The filter's configuration.
    pub fn plugin_config(self, config: Value) -> Self {
        self.plugin_config_text(config.to_string())
    }

    /// The filter's configuration, as text that need not be JSON.
    pub fn plugin_config_text(mut self, config: impl Into<String>) -> Self {
        self.plugin_config = Some(config.into());
        self
    }

    /// The cluster `kube-apiserver`; Envoy is the service account `envoy-system/sa-authn` there, which
    /// may ask for TokenReviews only after [`ApiServer::grant_auth_delegator`].
    pub fn api_server(self, api_server: &ApiServer) -> Self {
        self.api_server_named("kube-apiserver", api_server)
    }

    /// An API server under another cluster name.
    pub fn api_server_named(mut self, cluster: &str, api_server: &ApiServer) -> Self {
        let token = Token::for_service_account("envoy-system", "sa-authn");
        self.api_servers.push(ApiCluster {
            name: cluster.to_owned(),
            port: api_server.port(),
            ca_pem: api_server.ca_pem().to_owned(),
            token: Some(api_server.mint(token.audience(&api_server.audience()))),
        });
        self
    }

    /// Another credential for the API server that was named last, or no file at all.
    pub fn credential(mut self, token: Option<&str>) -> Self {
        if let Some(api_server) = self.api_servers.last_mut() {
            api_server.token = token.map(str::to_owned);
        }
        self
    }

    /// The cluster `upstream`.
    pub fn upstream(self, upstream: &Upstream) -> Self {
        self.upstream_port(upstream.port())
    }

    /// The cluster `upstream`, where it is a process of its own.
    pub fn upstream_port(mut self, port: u16) -> Self {
        self.upstream_port = Some(port);
        self
    }

    /// How many workers.
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// What the filter may log: trace, debug, info (the default), warning, error.
    pub fn wasm_log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.log_level);
        self
    }

    /// Envoy's switch for what happens to the body while the filter holds the headers.
    pub fn allow_on_headers_stop_iteration(mut self, allow: bool) -> Self {
        self.stop_iteration = Some(allow);
        self
    }

    /// How large the headers of a request may be.
    pub fn max_request_headers_kb(mut self, kilobytes: u32) -> Self {
        self.max_request_headers_kb = Some(kilobytes);
        self
    }

    /// Whether Envoy resolves dots, slashes and escapes before the filter sees the path.
    pub fn normalize_path(mut self, normalize: bool) -> Self {
        self.normalize_path = Some(normalize);
        self
    }

    /// Has the listener come from a file, so that [`Envoy::replace_listener`] can change it; a listener
    /// that was replaced keeps its requests for `drain_time`, and is then gone.
    pub fn dynamic_listener(mut self, drain_time: Duration) -> Self {
        self.drain_time = Some(drain_time);
        self
    }

    /// Changes the finished bootstrap, for what only one test needs.
    pub fn patch(mut self, patch: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.patches.push(Box::new(patch));
        self
    }

    /// A second bootstrap, which Envoy itself merges into the first: `--config-yaml`, as Istio's agent passes it.
    pub fn merge(mut self, bootstrap: &str) -> Self {
        self.merged = Some(bootstrap.to_owned());
        self
    }

    /// Starts Envoy and waits until it listens.
    pub async fn start(self) -> Result<Envoy> {
        let mut envoy = self.spawn()?;
        envoy.becomes_ready().await.with_context(|| envoy.log_tail())?;
        Ok(envoy)
    }

    /// Starts Envoy, which must end by itself because it can't take the configuration; returns its log.
    pub async fn expect_refused(self) -> Result<String> {
        let mut envoy = self.spawn()?;
        envoy.ends().await.with_context(|| envoy.log_tail())?;
        Ok(envoy.log())
    }

    fn spawn(self) -> Result<Envoy> {
        if let Some(module) = &self.module {
            let missing =
                || format!("{} is missing: `cargo xtask wasm` builds it", module.display());
            ensure!(module.is_file(), missing());
        }
        let binary = envoy_binary(&self.version)?;
        let mut arguments = vec![
            "--concurrency".to_owned(),
            self.concurrency.to_string(),
            "--component-log-level".to_owned(),
            format!("wasm:{}", self.log_level),
        ];
        if let Some(drain_time) = self.drain_time {
            arguments.extend(["--drain-time-s".to_owned(), drain_time.as_secs().to_string()]);
        }
        if let Some(merged) = &self.merged {
            arguments.extend(["--config-yaml".to_owned(), merged.clone()]);
        }
        let files = bootstrap::write(self, process::version(&binary)?)?;
        process::spawn(&binary, files, &arguments)
    }
}

impl Default for EnvoySetup {
    fn default() -> Self {
        Self::new()
    }
}

/// The module that is tested: the one of `SA_AUTHN_MODULE`, or else `target/sa_authn.wasm`.
pub fn default_module() -> PathBuf {
    match env::var_os("SA_AUTHN_MODULE").filter(|path| !path.is_empty()) {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/sa_authn.wasm"),
    }
}
