//! The end-to-end tests: requests through real Envoys with the release module.
//!
//! They are one program, because each program would link all of the driver. nextest runs each test in a process of its own.

mod access_log;
mod attacks;
mod attacks_cache;
mod attacks_shortage;
mod attacks_tokens;
mod caller;
mod caller_detours;
mod caller_mesh;
mod caller_rotation;
mod capabilities;
mod changes_under_load;
mod conformance;
mod convert;
mod crash;
mod credentials;
mod decision_log;
mod docker_compose;
mod docker_image;
mod driver;
mod envoy_gateway_schemas;
mod faults_under_load;
mod hostile;
mod hostile_hosts;
mod hostile_http2;
mod hostile_paths;
mod hostile_tokens;
mod idle;
mod install;
mod istio_in_envoy;
mod istio_names;
mod istio_schemas;
mod istio_tcp;
mod keys;
mod keys_clusters;
mod keys_faults;
mod keys_refused;
mod keys_under_load;
mod keys_workers;
mod kubernetes_rbac;
mod kubernetes_rbac_cost;
mod metrics;
mod misconfigured;
mod module;
mod peer;
mod prometheus;
mod refused_config;
mod reload;
mod reviews;
mod reviews_load;
mod reviews_metrics;
mod reviews_outage;
mod scenarios;
mod shipped_configs;
mod stats_tags;
mod status;
mod status_changes;
mod support;
mod two_clusters;
mod two_services;
mod waiting;
mod waiting_callers;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

#[test]
fn every_file_of_this_folder_is_part_of_the_program() -> Result<()> {
    let declared = include_str!("main.rs");
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).context("a name")?;
        assert!(name == "main" || declared.contains(&format!("mod {name};\n")), "{name}");
    }
    Ok(())
}
