//! One fetch per Envoy, not per worker: what the API server counts when four workers need keys.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, Envoy, EnvoySetup, Request, Token, Upstream, poll,
};
use serde_json::{Value, json};

/// The main thread's VM and one for each worker.
const WORKERS: u32 = 4;
const VMS: usize = WORKERS as usize + 1;

fn config(keys: Value) -> Value {
    let mut source = json!({ "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" } });
    if let (Some(source), Value::Object(keys)) = (source.as_object_mut(), keys) {
        source.extend(keys);
    }
    json!({ "issuers": [{
        "name": "local",
        "issuer": envoy_test::token::DEFAULT_ISSUER,
        "audiences": ["secret-store"],
        "keys": source,
    }] })
}

async fn start(
    api_server: &ApiServer,
    upstream: &Upstream,
    keys: Value,
    vm_id: &str,
) -> Result<Envoy> {
    let vm_id = vm_id.to_owned();
    let filter = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0\
        /typed_config/config/vm_config/vm_id";
    EnvoySetup::new()
        .api_server(api_server)
        .upstream(upstream)
        .concurrency(WORKERS)
        .plugin_config(config(keys))
        .patch(move |tree| *tree.pointer_mut(filter).expect("a vm_id") = json!(vm_id))
        .start()
        .await
}

/// Every VM says so when it has keys.
async fn wait_for_keys(envoy: &Envoy) -> Result<()> {
    poll::until("keys in every VM", async || {
        let count = envoy.log().matches("keys of \"local\": 1 usable").count();
        Ok((count >= VMS).then_some(()))
    })
    .await
}

fn fetches(api_server: &ApiServer) -> BTreeMap<&'static str, usize> {
    let count = |endpoint| api_server.count(endpoint);
    BTreeMap::from([("discovery", count(Endpoint::Discovery)), ("jwks", count(Endpoint::Jwks))])
}

#[tokio::test]
async fn four_workers_start_with_one_fetch() -> Result<()> {
    let (api_server, upstream) =
        (ApiServer::start(ApiServerOptions::default()).await?, Upstream::start().await?);
    let envoy = start(&api_server, &upstream, json!({}), "sa-authn").await?;
    wait_for_keys(&envoy).await?;
    assert_eq!(fetches(&api_server), BTreeMap::from([("discovery", 1), ("jwks", 1)]));
    let token = api_server.mint(Token::for_service_account("api", "api"));
    assert_eq!(Request::get("/").bearer(&token).send(envoy.port()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_refresh_of_four_workers_is_one_request() -> Result<()> {
    let (api_server, upstream) =
        (ApiServer::start(ApiServerOptions::default()).await?, Upstream::start().await?);
    let keys = json!({ "refreshInterval": "2s", "minRefetchInterval": "1s" });
    let envoy = start(&api_server, &upstream, keys, "sa-authn").await?;
    wait_for_keys(&envoy).await?;
    let (start, before) = (Instant::now(), api_server.count(Endpoint::Jwks));
    let refreshes = 4;
    api_server.wait_count(Endpoint::Jwks, before + refreshes).await?;
    // Five VMs that each fetched would have done this many within one interval.
    let taken = start.elapsed();
    assert!(
        taken >= Duration::from_millis(1800) * (refreshes as u32 - 1),
        "{refreshes} fetches in {taken:?}"
    );
    assert_eq!(api_server.count(Endpoint::Discovery), 1);
    Ok(())
}

/// In Istio all plugins have the empty vm_id, and could plant keys for each other.
#[tokio::test]
async fn with_the_empty_vm_id_each_vm_fetches_for_itself() -> Result<()> {
    let (api_server, upstream) =
        (ApiServer::start(ApiServerOptions::default()).await?, Upstream::start().await?);
    let envoy = start(&api_server, &upstream, json!({}), "").await?;
    wait_for_keys(&envoy).await?;
    assert_eq!(api_server.count(Endpoint::Jwks), VMS);
    Ok(())
}
