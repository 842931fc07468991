//! The test driver itself, with Envoys without the filter.

use crate::support::p256_api_server;
use anyhow::Result;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{ApiServer, Endpoint, Envoy, EnvoySetup, Request, Token, Upstream, poll};
use serde_json::{Value, json};

fn newest() -> String {
    oldest_and_newest().pop().expect("a version")
}

fn setup(version: &str, upstream: &Upstream) -> EnvoySetup {
    EnvoySetup::new().version(version).without_filter().upstream(upstream)
}

/// Routes `/<cluster>/…` to the cluster of that name.
fn route_to(cluster: &'static str) -> impl FnOnce(&mut Value) {
    move |tree| {
        let routes = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config\
            /route_config/virtual_hosts/0/routes";
        let routes = tree.pointer_mut(routes).and_then(Value::as_array_mut).unwrap();
        let route = json!({
            "match": { "prefix": format!("/{cluster}/") },
            "route": { "cluster": cluster, "prefix_rewrite": "/" },
        });
        routes.insert(0, route);
    }
}

#[tokio::test]
async fn requests_reach_the_upstream_unchanged() -> Result<()> {
    for version in oldest_and_newest() {
        let upstream = Upstream::start().await?;
        let envoy = setup(&version, &upstream).start().await?;
        let request = Request::post("/a?b=c")
            .header("host", "secret-store.test")
            .header("x-twice", "one")
            .header("x-twice", b"tw\xf6")
            .body("hello");
        let response = request.send(envoy.port()).await?;
        assert_eq!(response.status, 200);
        let echo = response.json()?;
        assert_eq!(echo["method"], "POST");
        assert_eq!(echo["path"], "/a?b=c");
        assert_eq!(echo["authority"], "secret-store.test");
        assert_eq!(echo["body"], "hello");
        let received = upstream.last().unwrap();
        let twice: Vec<&[u8]> = received
            .headers
            .iter()
            .filter(|(name, _)| name == "x-twice")
            .map(|(_, value)| value.as_slice())
            .collect();
        assert_eq!(twice, [b"one".as_slice(), b"tw\xf6"]);
        let log = envoy.wait_access_log(1).await?;
        assert_eq!(log[0]["status"], 200);
        assert_eq!(log[0]["details"], "via_upstream");
    }
    Ok(())
}

#[tokio::test]
async fn grpc_calls_have_trailers_in_both_directions() -> Result<()> {
    let upstream = Upstream::start().await?;
    let envoy = setup(&newest(), &upstream).start().await?;
    let call = Request::post("/service/Method").grpc().body("message").trailer("x-end", "yes");
    let response = call.send(envoy.port()).await?;
    assert_eq!((response.status, response.grpc_status()), (200, Some(0)));
    let received = upstream.last().unwrap();
    assert_eq!(received.trailers, [("x-end".to_owned(), b"yes".to_vec())]);
    Ok(())
}

#[tokio::test]
async fn envoy_authenticates_to_the_api_server_with_a_rotating_credential() -> Result<()> {
    for version in oldest_and_newest() {
        let (upstream, api_server) = (Upstream::start().await?, p256_api_server().await?);
        let envoy = setup(&version, &upstream)
            .api_server(&api_server)
            .patch(route_to("kube-apiserver"))
            .start()
            .await?;
        let jwks = Request::get("/kube-apiserver/openid/v1/jwks");
        let response = jwks.send(envoy.port()).await?;
        assert_eq!(response.status, 200, "{version}: {}", response.text());
        assert_eq!(caller(&api_server), "system:serviceaccount:envoy-system:sa-authn");

        let token = Token::for_service_account("envoy-system", "rotated");
        let token = api_server.mint(token.audience(&api_server.audience()));
        envoy
            .credential("kube-apiserver")
            .update(&[("token", &token), ("ca.crt", api_server.ca_pem())])?;
        poll::until("the rotated token", async || {
            jwks.send(envoy.port()).await?;
            let rotated = caller(&api_server) == "system:serviceaccount:envoy-system:rotated";
            Ok(rotated.then_some(()))
        })
        .await?;
        assert!(api_server.count(Endpoint::Jwks) >= 2);
    }
    Ok(())
}

fn caller(api_server: &ApiServer) -> String {
    api_server.requests().last().and_then(|request| request.caller.clone()).unwrap_or_default()
}

#[tokio::test]
async fn several_api_servers_run_in_parallel() -> Result<()> {
    let upstream = Upstream::start().await?;
    let (east, west) = (p256_api_server().await?, p256_api_server().await?);
    let envoy = setup(&newest(), &upstream)
        .api_server_named("east", &east)
        .api_server_named("west", &west)
        .patch(route_to("east"))
        .patch(route_to("west"))
        .start()
        .await?;
    for (cluster, api_server) in [("east", &east), ("west", &west)] {
        let path = format!("/{cluster}/openid/v1/jwks");
        let response = Request::get(&path).send(envoy.port()).await?;
        let kid = response.json()?["keys"][0]["kid"].clone();
        assert_eq!(kid, api_server.signing_key().kid(), "{cluster}");
    }
    Ok(())
}

#[tokio::test]
async fn stopped_api_server_is_503_until_it_restarts() -> Result<()> {
    let (upstream, api_server) = (Upstream::start().await?, p256_api_server().await?);
    let envoy = setup(&newest(), &upstream)
        .api_server(&api_server)
        .patch(route_to("kube-apiserver"))
        .start()
        .await?;
    let jwks = Request::get("/kube-apiserver/openid/v1/jwks");
    api_server.stop().await;
    assert_eq!(jwks.send(envoy.port()).await?.status, 503);
    api_server.restart().await?;
    assert_eq!(jwks.send(envoy.port()).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn statistics_can_be_read() -> Result<()> {
    let upstream = Upstream::start().await?;
    let envoy = setup(&newest(), &upstream).concurrency(2).start().await?;
    Request::get("/").send(envoy.port()).await?;
    let name = "http.inbound.downstream_rq_total";
    assert_eq!(envoy.wait_stat(name, |value| value > 0).await?, 1);
    assert_eq!(envoy.stats().await?.get("server.concurrency"), Some(&2));
    assert!(envoy.prometheus().await?.contains("envoy_http_downstream_rq_total"));
    Ok(())
}

#[tokio::test]
async fn rejected_envoy_configuration_exits_with_a_log() -> Result<()> {
    for version in oldest_and_newest() {
        let broken =
            |tree: &mut Value| tree["static_resources"]["listeners"] = json!([{ "nonsense": 1 }]);
        let log = EnvoySetup::new()
            .version(&version)
            .without_filter()
            .patch(broken)
            .expect_refused()
            .await?;
        assert!(log.contains("nonsense"), "{log}");
        let error = EnvoySetup::new()
            .version(&version)
            .without_filter()
            .patch(broken)
            .start()
            .await
            .unwrap_err();
        assert!(format!("{error:?}").contains("nonsense"), "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn dropping_the_envoy_ends_its_process() -> Result<()> {
    let upstream = Upstream::start().await?;
    let envoy: Envoy = setup(&newest(), &upstream).start().await?;
    let port = envoy.port();
    drop(envoy);
    poll::until("the listener to close", async || {
        Ok(Request::get("/").send(port).await.is_err().then_some(()))
    })
    .await
}
