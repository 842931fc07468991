//! The shipped rules and dashboard in a real Prometheus that scrapes a sidecar of the mesh.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use cluster_test::{Caller, Example, Load};
use envoy_test::prometheus::{Prometheus, as_sent, is_here, panels};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_panels_have_data_from_a_sidecar() -> Result<()> {
    if !is_here() {
        println!("not run: Prometheus on a sidecar: there is no prometheus in the PATH");
        return Ok(());
    }
    let example = Example::ready()?;
    // A fresh proxy: its counts are those of this test.
    example.restart()?;
    example.expect(Caller::Api, "/headers", "200")?;
    let namespace = example.namespace();
    let forwarded = example.kubectl.forward(namespace, "deploy/secret-store", 15020)?;
    let target = format!("127.0.0.1:{}", forwarded.port);
    // What the relabelings of observability/prometheus-scrape.yaml set.
    let labels =
        json!({ "job": "istio-proxies", "namespace": namespace, "workload": "secret-store" });
    let prometheus = Prometheus::start(&target, labels).await?;
    prometheus.wait_sample(r#"sa_authn_requests{workload="secret-store"}"#).await?;
    // As many requests with a token as without.
    let load = Load::start(&example.kubectl, Caller::Api)?;
    for expression in [
        r#"sa_authn:refusals:ratio_rate5m{reason="missing_token",workload="secret-store"} > 0.3 < 0.7"#,
        r#"sa_authn:keys_age:seconds{workload="secret-store"} >= 0"#,
        r#"sa_authn:token_cache_hits:ratio_rate5m{workload="secret-store"} > 0.9"#,
        r#"ALERTS{alertname="SaAuthnRefusals", alertstate="pending", reason="missing_token", workload="secret-store"}"#,
    ] {
        prometheus.wait_sample(expression).await?;
    }
    load.stop(&example.kubectl)?;
    let mut empty = BTreeSet::new();
    for panel in panels()? {
        if prometheus.query(&as_sent(&panel, "istio-proxies")).await?.is_empty() {
            empty.insert(panel);
        }
    }
    println!("panels without data: {empty:#?}");
    // The example has no review, no shadow rule, no request that waits, and none that passes for a reason.
    let unexpected: Vec<_> = empty
        .iter()
        .filter(|panel| !WITHOUT_DATA.iter().any(|part| panel.contains(part)))
        .collect();
    ensure!(unexpected.is_empty(), "no data: {unexpected:#?}");
    Ok(())
}

const WITHOUT_DATA: [&str; 6] =
    ["review", "shadow", "waiting", "access", "rejected", r#"verdict="allowed", reason!="none""#];
