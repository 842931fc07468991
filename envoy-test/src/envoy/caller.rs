//! The Envoy of a calling service, configured by `caller/envoy.yaml`.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::mtls::WorkloadCa;
use crate::projected::ProjectedVolume;

use super::binary::envoy_binary;
use super::bootstrap::{ACCESS_LOG, Files, Patch, endpoint, loopback, template};
use super::credential::{Credential, inject, trust};
use super::process::{self, Envoy, Version};

/// The Envoy of a service that calls others: the application's requests leave by it, with tokens.
pub struct CallerSetup {
    version: String,
    ca_pem: String,
    concurrency: u32,
    ports: HashMap<&'static str, u16>,
    tokens: Vec<(&'static str, String)>,
    patches: Vec<Patch>,
}

/// The service that takes `Authorization: Bearer`.
pub const ORDERS: &str = "orders";

/// The service that takes the bare token in `X-Client-Id`.
pub const SECRET_STORE: &str = "secret-store";

/// The service that must get no token.
pub const TELEMETRY: &str = "telemetry";

// === impl CallerSetup ===

impl CallerSetup {
    /// One worker, no tokens, and no services; servers must have certificates of this CA.
    pub fn new(ca: &WorkloadCa) -> Self {
        Self {
            version: super::default_version(),
            ca_pem: ca.pem().to_owned(),
            concurrency: 1,
            ports: HashMap::new(),
            tokens: Vec::new(),
            patches: Vec::new(),
        }
    }

    /// Which Envoy; `ENVOY_PATH` overrides it.
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Where a service listens on 127.0.0.1.
    pub fn destination(mut self, service: &'static str, port: u16) -> Self {
        self.ports.insert(service, port);
        self
    }

    /// The token for a service, as the kubelet puts it into the volume; without it there is no file.
    pub fn token(mut self, service: &'static str, token: &str) -> Self {
        self.tokens.push((service, token.to_owned()));
        self
    }

    /// How many workers.
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Changes the finished bootstrap, for what only one test needs.
    pub fn patch(mut self, patch: impl FnOnce(&mut Value) + Send + 'static) -> Self {
        self.patches.push(Box::new(patch));
        self
    }

    /// Starts Envoy and waits until it listens. Its tokens are [`Envoy::credential`] `"tokens"`, a file for each
    /// service.
    pub async fn start(self) -> Result<Envoy> {
        let binary = envoy_binary(&self.version)?;
        let arguments = ["--concurrency".to_owned(), self.concurrency.to_string()];
        let files = self.write(process::version(&binary)?)?;
        let mut envoy = process::spawn(&binary, files, &arguments)?;
        envoy.becomes_ready().await.with_context(|| envoy.log_tail())?;
        Ok(envoy)
    }

    fn write(self, version: Version) -> Result<Files> {
        let mut files = Files::new()?;
        let mut tree = template(BOOTSTRAP)?;
        tree["admin"]["address"] = loopback(0);
        let listener = &mut tree["static_resources"]["listeners"][0];
        listener["address"] = loopback(0);
        let http = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
        http["access_log"][0]["typed_config"]["path"] = json!(files.path(ACCESS_LOG));
        fs::write(files.path(CA), &self.ca_pem)?;
        let tokens: Vec<_> = self.tokens.iter().map(|(file, token)| (*file, &**token)).collect();
        let volume = ProjectedVolume::create(files.path(VOLUME), &tokens)?;
        let clusters = tree["static_resources"]["clusters"].as_array_mut();
        for cluster in clusters.into_iter().flatten() {
            self.point(cluster, &volume, version, &files)?;
        }
        files.credentials.insert(VOLUME.to_owned(), volume);
        for patch in self.patches {
            patch(&mut tree);
        }
        files.write(&tree)?;
        Ok(files)
    }

    /// Points a cluster to its port, the CA and its token.
    fn point(
        &self,
        cluster: &mut Value,
        volume: &ProjectedVolume,
        version: Version,
        files: &Files,
    ) -> Result<()> {
        let name = cluster["name"].as_str().context("a cluster has a name")?.to_owned();
        cluster["type"] = json!("STATIC");
        // Nothing listens on port 1.
        endpoint(cluster, self.ports.get(name.as_str()).copied().unwrap_or(1));
        let Some((file, sds)) = SDS.iter().find(|(service, _)| *service == name) else {
            return Ok(());
        };
        trust(cluster, &files.path(CA));
        inject(cluster, &Credential { volume, file, sds }, version, &files.path(""))
    }
}

const BOOTSTRAP: &str = include_str!("../../caller/envoy.yaml");
const SDS: [(&str, &str); 2] = [
    (ORDERS, include_str!("../../caller/orders-token.yaml")),
    (SECRET_STORE, include_str!("../../caller/secret-store-token.yaml")),
];
const VOLUME: &str = "tokens";
const CA: &str = "services-ca.crt";
