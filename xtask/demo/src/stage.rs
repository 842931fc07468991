//! A running API server, an upstream and an Envoy between them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use envoy_test::{ApiServer, ApiServerOptions, Envoy, EnvoySetup, Request, Rotation, Upstream};

use super::judge::Seen;

/// Everything that runs; it ends when this is dropped.
pub struct Stage {
    envoy: Envoy,
    api_server: ApiServer,
    upstream: Upstream,
    module: PathBuf,
}

// === impl Stage ===

impl Stage {
    /// Starts everything and waits until Envoy listens.
    pub async fn start(envoy_version: &str, module: PathBuf) -> Result<Self> {
        eprintln!("Starting a fake kube-apiserver, an echo upstream, and Envoy ...");
        // Without anonymous access, the fetched keys prove that Envoy's credential works.
        let options = ApiServerOptions { anonymous_auth: false, ..ApiServerOptions::default() };
        let api_server = ApiServer::start(options).await?;
        api_server.grant_auth_delegator("envoy-system", "sa-authn");
        let upstream = Upstream::start().await?;
        let envoy = EnvoySetup::new()
            .version(envoy_version)
            .module(&module)
            .plugin_config_text(PLUGIN_CONFIG)
            .api_server(&api_server)
            .upstream(&upstream)
            .start()
            .await?;
        Ok(Self { envoy, api_server, upstream, module })
    }

    /// Sends a request through Envoy, and returns the response and what reached the upstream.
    pub async fn send(&self, request: &Request) -> Result<Seen> {
        let before = self.upstream.received().len();
        let answer = request.send(self.envoy.port()).await?;
        let reached = self.upstream.received().split_off(before);
        Ok(Seen { answer, reached })
    }

    /// The API server signs with a new key from now on; the old one stays published.
    pub async fn rotate_key(&self) {
        // A fetch within the last second decides for an unknown kid without
        // another fetch, and a request before this one may have caused such a fetch.
        tokio::time::sleep(FETCH_COUNTS_FOR).await;
        self.api_server.rotate(Rotation::KeepOld);
    }

    /// The version of the running Envoy, because `ENVOY_PATH` may be any Envoy.
    pub async fn envoy_version(&self) -> Result<String> {
        let info = Request::get("/server_info").send(self.envoy.admin_port()).await?.json()?;
        // `9e558093…/1.40.0/Clean/RELEASE/BoringSSL`
        let version = info["version"].as_str().and_then(|version| version.split('/').nth(1));
        Ok(version.context("Envoy does not report its version")?.to_owned())
    }

    /// The Envoy.
    pub fn envoy(&self) -> &Envoy {
        &self.envoy
    }

    /// The API server.
    pub fn api_server(&self) -> &ApiServer {
        &self.api_server
    }

    /// The module that Envoy runs.
    pub fn module(&self) -> &Path {
        &self.module
    }
}

/// The filter's configuration, as the user may copy it.
pub const PLUGIN_CONFIG: &str = include_str!("plugin-config.json");

/// The path of the configuration, for the user.
pub const PLUGIN_CONFIG_FILE: &str = "xtask/demo/src/plugin-config.json";

const FETCH_COUNTS_FOR: Duration = Duration::from_millis(1100);
