//! Several configurations in one Envoy: each has a listener.

use anyhow::Result;
use envoy_test::{ApiServer, Envoy, EnvoySetup};
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

/// Adds these API servers, and a listener for each of these configurations, which asks the API server at the same place for
/// keys and reviews.
pub fn each_with_an_api_server(
    mut setup: EnvoySetup,
    mut configs: Vec<Value>,
    api_servers: &[ApiServer],
) -> EnvoySetup {
    for (number, (config, api_server)) in configs.iter_mut().zip(api_servers).enumerate() {
        let cluster = format!("kube-apiserver-{number}");
        for source in ["/issuers/0/keys/discovery", "/issuers/0/tokenReview"] {
            if let Some(source) = config.pointer_mut(source) {
                source["cluster"] = json!(cluster);
            }
        }
        setup = setup.api_server_named(&cluster, api_server);
    }
    let configs: Vec<_> = configs.iter().map(Value::to_string).collect();
    setup.patch(move |tree| one_for_each(tree, &configs))
}

/// The ports of so many listeners, in their order.
pub async fn ports(envoy: &Envoy, count: usize) -> Result<Vec<u16>> {
    let mut ports = Vec::new();
    for number in 0..count {
        ports.push(port(envoy, number).await?);
    }
    Ok(ports)
}

/// The port of the listener for the configuration at this place.
pub async fn port(envoy: &Envoy, number: usize) -> Result<u16> {
    envoy.port_of(&name(number)).await
}

/// The name of that listener and of its plugin.
pub fn name(number: usize) -> String {
    format!("config-{number}")
}
