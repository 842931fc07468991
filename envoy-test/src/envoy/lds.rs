//! Moves the listener into a file that can be replaced at run time.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::process::Envoy;

// === impl Envoy ===

impl Envoy {
    /// Changes the listener of an Envoy with [`dynamic_listener`], as a control plane would: its file is
    /// replaced by a rename. Envoy takes it a moment later (`listener_manager.lds.update_success`), or
    /// refuses it (`update_rejected`).
    ///
    /// [`dynamic_listener`]: super::EnvoySetup::dynamic_listener
    pub fn replace_listener(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let path = self.files.path(LDS);
        let text = fs::read(&path).context("the listener is not dynamic")?;
        let mut response = serde_json::from_slice::<Value>(&text)?;
        change(&mut response["resources"][0]);
        put(&path, &response)
    }

    /// Gives the filter of a dynamic listener another configuration.
    pub fn replace_plugin_config(&self, config: &Value) -> Result<()> {
        self.replace_plugin_config_text(&config.to_string())
    }

    /// The same, with a text that may be invalid.
    pub fn replace_plugin_config_text(&self, config: &str) -> Result<()> {
        self.replace_listener(|listener| {
            let http = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
            let plugin = &mut http["http_filters"][0]["typed_config"]["config"];
            plugin["configuration"]["value"] = json!(config);
        })
    }
}

/// Moves the listener into a file under `folder`, and has Envoy watch that.
pub(super) fn split(tree: &mut Value, folder: &Path) -> Result<()> {
    let resources = tree["static_resources"].as_object_mut().context("static resources")?;
    let mut listeners = resources.remove("listeners").context("a listener")?;
    listeners[0]["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    let path = folder.join(LDS);
    tree["dynamic_resources"]["lds_config"] = json!({
        "resource_api_version": "V3",
        "path_config_source": { "path": path },
    });
    put(&path, &json!({ "resources": listeners }))
}

// === private ===

/// Envoy reads the file as soon as it has its name, so it must be complete by then.
fn put(path: &Path, response: &Value) -> Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, serde_json::to_vec_pretty(response)?)?;
    fs::rename(&fresh, path).context("replacing the listener's file")
}

const LDS: &str = "lds.json";
