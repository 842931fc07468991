//! Two clusters with one issuer: the kid selects the cluster, and an outage affects only one of them.

use crate::support::p256_api_server;
use anyhow::Result;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{ApiServer, EnvoySetup, Request, Token, Upstream};
use serde_json::{Value, json};

fn issuer(name: &str) -> Value {
    json!({
        "name": name,
        "issuer": envoy_test::token::DEFAULT_ISSUER,
        "audiences": ["secret-store"],
        "keys": { "discovery": { "cluster": name, "authority": "kubernetes.default.svc" },
            "timeout": "1s" },
    })
}

#[tokio::test]
async fn kid_selects_the_cluster_and_an_outage_affects_only_its_callers() -> Result<()> {
    for version in oldest_and_newest() {
        let (east, west, upstream) =
            (p256_api_server().await?, p256_api_server().await?, Upstream::start().await?);
        let mint = |cluster: &ApiServer| cluster.mint(Token::for_service_account("api", "api"));
        let (of_east, of_west) = (mint(&east), mint(&west));
        west.stop().await;
        let config = json!({
            "issuers": [issuer("east"), issuer("west")],
            "identityHeaders": { "x-sa-cluster": "issuer.name" },
            "limits": { "waitTimeout": "2s" },
        });
        let setup = EnvoySetup::new().version(&version).upstream(&upstream).plugin_config(config);
        let setup = setup.api_server_named("east", &east).api_server_named("west", &west);
        let envoy = setup.start().await?;
        let send = |token: &str| Request::get("/").bearer(token);
        let response = send(&of_east).send(envoy.port()).await?;
        assert_eq!(response.status, 200, "Envoy {version}: {}", response.text());
        let response = send(&of_west).send(envoy.port()).await?;
        assert_eq!(response.reason().as_deref(), Some("keys_unavailable"), "Envoy {version}");
        assert_eq!((response.status, upstream.count()), (503, 1), "Envoy {version}");

        west.restart().await?;
        envoy_test::poll::until("west's keys", async || {
            Ok((send(&of_west).send(envoy.port()).await?.status == 200).then_some(()))
        })
        .await?;
        for (token, cluster) in [(&of_east, "east"), (&of_west, "west")] {
            assert_eq!(send(token).send(envoy.port()).await?.status, 200, "Envoy {version}");
            let received = upstream.last().expect("the request at the upstream");
            let named = received.headers.iter().find(|(name, _)| name == "x-sa-cluster");
            assert_eq!(named.map(|(_, value)| value.as_slice()), Some(cluster.as_bytes()));
        }
    }
    Ok(())
}
