//! The stats tags that turn metric names into labels are equal for plain Envoy and for Istio.

use crate::support::istio::{BOOTSTRAP, bootstrap, bootstrap_map, list};
use anyhow::{Context, Result};
use serde_json::Value;

const ENVOY: &str = include_str!("../envoy.yaml");

fn tags(yaml: &str) -> Vec<&str> {
    yaml.lines().map(str::trim).filter(|line| line.starts_with("- { tag_name:")).collect()
}

#[test]
fn stats_tags_for_istio_equal_those_for_plain_envoy() -> Result<()> {
    for proxy in ["sidecar", "gateway", "waypoint"] {
        let map = bootstrap_map(proxy)?;
        let text = map.value["data"][BOOTSTRAP].as_str().context("a bootstrap")?;
        assert_eq!(tags(ENVOY), tags(text), "{proxy}");
        let stats = bootstrap(&map)?.context("a bootstrap")?["stats_config"].take();
        assert_eq!(list(&stats["stats_tags"]).len(), 6, "{proxy}");
        let patterns = &stats["stats_matcher"]["inclusion_list"]["patterns"];
        let prefixes: Vec<_> = list(patterns).iter().map(|pattern| &pattern["prefix"]).collect();
        assert_eq!(prefixes, [&Value::from("wasmcustom.sa_authn"), &Value::from("wasm.")]);
    }
    Ok(())
}
