//! Writes the bootstrap of a setup and its files into a folder.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::projected::ProjectedVolume;

use super::credential;
use super::lds;
use super::process::Version;
use super::setup::EnvoySetup;

/// A change to a finished bootstrap.
pub(super) type Patch = Box<dyn FnOnce(&mut Value) + Send>;

/// What is on disk for one Envoy; gone when this is dropped.
#[derive(Debug)]
pub(super) struct Files {
    folder: TempDir,
    pub(super) credentials: HashMap<String, ProjectedVolume>,
}

// === impl Files ===

impl Files {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("envoy-test-").tempdir()?;
        Ok(Self { folder, credentials: HashMap::new() })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, bootstrap: &Value) -> Result<()> {
        Ok(fs::write(self.path("envoy.json"), serde_json::to_vec_pretty(bootstrap)?)?)
    }

    /// The file's text as far as it is written; nothing where there is no file yet.
    pub(super) fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Writes the bootstrap and what it names.
pub(super) fn write(setup: EnvoySetup, version: Version) -> Result<Files> {
    let mut files = Files::new()?;
    let mut tree = template(BOOTSTRAP)?;
    tree["admin"]["address"] = loopback(0);
    listener(&mut tree, &setup, files.folder.path());
    files.credentials = clusters(&mut tree, &setup, version, files.folder.path())?;
    for patch in setup.patches {
        patch(&mut tree);
    }
    if setup.drain_time.is_some() {
        lds::split(&mut tree, files.folder.path())?;
    }
    files.write(&tree)?;
    Ok(files)
}

pub(super) fn template(yaml: &str) -> Result<Value> {
    serde_norway::from_str(yaml).context("reading a template")
}

// === private ===

fn listener(tree: &mut Value, setup: &EnvoySetup, folder: &Path) {
    let listener = &mut tree["static_resources"]["listeners"][0];
    listener["address"] = loopback(0);
    let http = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    http["access_log"][0]["typed_config"]["path"] = json!(folder.join(ACCESS_LOG));
    if let Some(kilobytes) = setup.max_request_headers_kb {
        http["max_request_headers_kb"] = json!(kilobytes);
    }
    if let Some(normalize) = setup.normalize_path {
        http["normalize_path"] = json!(normalize);
        http["merge_slashes"] = json!(normalize);
    }
    wasm(http, setup);
}

fn wasm(http: &mut Value, setup: &EnvoySetup) {
    let Some(module) = &setup.module else {
        let filters = http["http_filters"].as_array_mut();
        filters
            .into_iter()
            .for_each(|filters| filters.retain(|filter| filter["name"] != "sa-authn"));
        return;
    };
    let config = &mut http["http_filters"][0]["typed_config"]["config"];
    config["vm_config"]["code"]["local"]["filename"] = json!(module);
    if let Some(text) = &setup.plugin_config {
        config["configuration"]["value"] = json!(text);
    }
    if let Some(allow) = setup.stop_iteration {
        config["allow_on_headers_stop_iteration"] = json!(allow);
    }
}

/// Sets the upstream's port, and makes a cluster for each API server of the one in the template.
fn clusters(
    tree: &mut Value,
    setup: &EnvoySetup,
    version: Version,
    folder: &Path,
) -> Result<HashMap<String, ProjectedVolume>> {
    let [mut upstream, model] =
        serde_json::from_value::<[Value; 2]>(tree["static_resources"]["clusters"].take())?;
    // Nothing listens on port 1, so without an upstream a request that got through ends in a 503.
    endpoint(&mut upstream, setup.upstream_port.unwrap_or(1));
    let mut clusters = vec![upstream];
    let mut credentials = HashMap::new();
    for api_server in &setup.api_servers {
        let mut cluster = model.clone();
        cluster["name"] = json!(api_server.name);
        cluster["type"] = json!("STATIC");
        endpoint(&mut cluster, api_server.port);
        let credential = credential::install(&mut cluster, api_server, version, folder)?;
        credentials.insert(api_server.name.clone(), credential);
        clusters.push(cluster);
    }
    tree["static_resources"]["clusters"] = json!(clusters);
    Ok(credentials)
}

pub(super) fn endpoint(cluster: &mut Value, port: u16) {
    let name = cluster["name"].clone();
    let assignment = &mut cluster["load_assignment"];
    assignment["cluster_name"] = name;
    assignment["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] = loopback(port);
}

pub(super) fn loopback(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

pub(super) const ACCESS_LOG: &str = "access.log";
const BOOTSTRAP: &str = include_str!("../../envoy.yaml");
