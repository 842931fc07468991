//! The filter in a gateway, with the manifests for gateways.

use anyhow::Result;
use cluster_test::{Gateway, until};

#[test]
fn gateway_passes_one_caller_and_denies_the_other_and_its_metrics_have_labels() -> Result<()> {
    let gateway = Gateway::ready()?;
    gateway.protect("wasmplugin-gateway.yaml")?;
    // A VM adds its counts to the metrics once a second.
    until("the metrics", || {
        let metrics = gateway.metrics()?;
        let expected = r#"sa_authn_requests{verdict="denied",reason="forbidden",rule="orders","#;
        Ok((!metrics.contains(expected)).then_some(metrics))
    })
}
