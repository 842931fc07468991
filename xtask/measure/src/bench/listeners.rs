//! The listeners of one Envoy, each a copy of the one in envoy.yaml with another filter.

use std::collections::HashMap;

use anyhow::{Context, Result};
use envoy_test::{Envoy, Request};
use serde_json::{Value, json};

use super::contender::{Contender, Filter, Wasm};

/// Puts a listener for each contender in place of the template's.
pub fn install(tree: &mut Value, upstream_port: u16, contenders: &[Contender]) {
    let model = tree["static_resources"]["listeners"][0].take();
    let listeners: Vec<_> =
        contenders.iter().map(|contender| listener(model.clone(), contender)).collect();
    tree["static_resources"]["listeners"] = json!(listeners);
    let upstream = &mut tree["static_resources"]["clusters"][0];
    upstream["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] =
        loopback(upstream_port);
}

/// The port that each listener was given.
pub async fn ports(envoy: &Envoy) -> Result<HashMap<String, u16>> {
    let answer = Request::get("/listeners?format=json").send(envoy.admin_port()).await?.json()?;
    let listeners = answer["listener_statuses"].as_array().context("no listeners")?;
    Ok(listeners.iter().filter_map(port).collect())
}

/// An address on 127.0.0.1; port 0 for any that is free.
pub fn loopback(port: u16) -> Value {
    json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } })
}

// === private ===

fn port(listener: &Value) -> Option<(String, u16)> {
    let name = listener["name"].as_str()?.to_owned();
    let port = listener["local_address"]["socket_address"]["port_value"].as_u64()?;
    Some((name, port.try_into().ok()?))
}

fn listener(mut listener: Value, contender: &Contender) -> Value {
    listener["name"] = json!(contender.key);
    // With several workers, each gets its share of the connections.
    listener["connection_balance_config"] = json!({ "exact_balance": {} });
    let http = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    http["stat_prefix"] = json!(contender.key);
    // It would cost each contender the same, and hide what they differ in behind its own noise.
    http["access_log"] = json!([]);
    let [model, router] = [http["http_filters"][0].take(), http["http_filters"][1].take()];
    http["http_filters"] = match &contender.filter {
        None => json!([router]),
        Some(Filter::JwtAuthn(config)) => {
            json!([{ "name": "envoy.filters.http.jwt_authn", "typed_config": config }, router])
        }
        Some(Filter::Wasm(module)) => json!([wasm(model, &contender.key, module), router]),
    };
    listener
}

/// Each contender has VMs of its own, as a plugin has that is alone in its Envoy.
fn wasm(mut filter: Value, key: &str, module: &Wasm) -> Value {
    let config = &mut filter["typed_config"]["config"];
    config["name"] = json!(key);
    config["vm_config"]["vm_id"] = json!(key);
    config["vm_config"]["code"]["local"]["filename"] = json!(module.module);
    config["configuration"]["value"] = json!(module.config);
    if !module.capabilities.is_empty() {
        let allowed = module.capabilities.iter().map(|name| ((*name).to_owned(), json!({})));
        config["capability_restriction_config"] =
            json!({ "allowed_capabilities": Value::Object(allowed.collect()) });
    }
    filter
}
