//! Key fetches of an Envoy with four workers.

use std::collections::BTreeMap;

use anyhow::Result;
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, Envoy, EnvoySetup, Request, Token, Upstream,
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

fn fetches(api_server: &ApiServer) -> BTreeMap<&'static str, usize> {
    let count = |endpoint| api_server.count(endpoint);
    BTreeMap::from([("discovery", count(Endpoint::Discovery)), ("jwks", count(Endpoint::Jwks))])
}

/// The cost that docs/operations.md names: two GETs for each VM, and one VM for each worker and the main thread.
#[tokio::test]
async fn each_vm_fetches_its_keys_once_at_start() -> Result<()> {
    for vm_id in ["sa-authn", ""] {
        let (api_server, upstream) =
            (ApiServer::start(ApiServerOptions::default()).await?, Upstream::start().await?);
        let envoy = start(&api_server, &upstream, json!({}), vm_id).await?;
        envoy.wait_keys(VMS).await?;
        assert_eq!(
            fetches(&api_server),
            BTreeMap::from([("discovery", VMS), ("jwks", VMS)]),
            "{vm_id:?}"
        );
        let token = api_server.mint(Token::for_service_account("api", "api"));
        assert_eq!(Request::get("/").bearer(&token).send(envoy.port()).await?.status, 200);
    }
    Ok(())
}
