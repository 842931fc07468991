//! Several configurations in one Envoy: each has a listener.

use anyhow::Result;
use envoy_test::Envoy;
use serde_json::{Value, json};

use super::http_options_of;

/// Copies the listener for each configuration, which need not be JSON. All are in one VM, as several plugins of a sidecar are: Envoy compiles the
/// module once, which costs a second and a half of a core.
pub fn one_for_each(tree: &mut Value, configs: &[String]) {
    let model = tree["static_resources"]["listeners"][0].clone();
    let listeners = configs.iter().enumerate().map(|(number, config)| {
        let mut listener = model.clone();
        listener["name"] = json!(name(number));
        let plugin =
            &mut http_options_of(&mut listener)["http_filters"][0]["typed_config"]["config"];
        plugin["name"] = json!(name(number));
        plugin["configuration"]["value"] = json!(config);
        listener
    });
    tree["static_resources"]["listeners"] = listeners.collect();
}

/// The port of the listener for the configuration at this place.
pub async fn port(envoy: &Envoy, number: usize) -> Result<u16> {
    envoy.port_of(&name(number)).await
}

/// The name of that listener and of its plugin.
pub fn name(number: usize) -> String {
    format!("config-{number}")
}
