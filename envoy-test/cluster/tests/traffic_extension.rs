//! The filter as a TrafficExtension, which Istio has since 1.30.

use crate::install;
use anyhow::Result;
use cluster_test::{Caller, Example, Gateway};

#[test]
fn traffic_extension_acts_as_the_wasm_plugin() -> Result<()> {
    let example = Example::ready()?;
    example.kubectl.run(["-n", example.namespace(), "delete", "wasmplugin", "sa-authn"])?;
    example.expect_without_token("/headers", "200")?;
    let manifest = Example::manifest("trafficextension-sidecar.yaml")?;
    example.kubectl.apply(&example.with_image(&manifest)?)?;
    example.expect_without_token("/headers", "401 missing_token")?;
    example.expect(Caller::Api, "/headers", "200")?;
    example.expect(Caller::Web, "/headers", "403 forbidden")
}

#[test]
fn traffic_extension_of_a_gateway_passes_one_caller_and_denies_the_other() -> Result<()> {
    Gateway::ready()?.protect("trafficextension-gateway.yaml")
}

#[test]
fn overlays_with_a_traffic_extension_protect_the_workload_until_they_are_removed() -> Result<()> {
    install::overlays_protect_the_workload("trafficextension")
}

#[test]
fn overlays_with_a_traffic_extension_protect_the_gateway_until_they_are_removed() -> Result<()> {
    install::overlays_protect_the_gateway("trafficextension")
}
