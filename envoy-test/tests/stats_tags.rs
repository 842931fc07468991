//! The stats tags that turn metric names into labels are equal for plain Envoy and for Istio.

use anyhow::{Context, Result};

const ENVOY: &str = include_str!("../envoy.yaml");
const ISTIO: &str = include_str!("../../istio/stats.yaml");

fn tags(yaml: &str) -> Vec<&str> {
    yaml.lines().map(str::trim).filter(|line| line.starts_with("- { tag_name:")).collect()
}

#[test]
fn stats_tags_for_istio_equal_those_for_plain_envoy() {
    assert_eq!(tags(ENVOY), tags(ISTIO));
    assert_eq!(tags(ISTIO).len(), 6);
}

#[test]
fn manifest_merges_the_stats_tags_into_the_bootstrap() -> Result<()> {
    let manifest: serde_json::Value = serde_saphyr::from_str(ISTIO)?;
    let patch = manifest.pointer("/spec/configPatches/0").context("a patch")?;
    assert_eq!(patch["applyTo"], "BOOTSTRAP");
    let tags = patch.pointer("/patch/value/stats_config/stats_tags");
    assert_eq!(tags.and_then(|tags| tags.as_array()).map(Vec::len), Some(6));
    Ok(())
}
