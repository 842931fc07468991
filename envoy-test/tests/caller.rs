//! The caller's Envoy adds to each request the token for its destination, and no other token.

use crate::support::destinations::{
    Destinations, ORDERS_TOKEN, SECRET_STORE_TOKEN, bearer, front, pair, send, to, tokens,
    with_tokens,
};
use crate::support::services::serving;
use anyhow::{Context, Result};
use envoy_test::envoy::caller::{ORDERS, SECRET_STORE, TELEMETRY};
use envoy_test::envoy::versions;
use envoy_test::{Request, Upstream, WorkloadCa, poll};
use serde_json::Value;

const ORDERS_SOURCE: &str = "/static_resources/clusters/0/typed_extension_protocol_options/\
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters/0/typed_config/credential/\
    typed_config/credential/sds_config/path_config_source";

#[tokio::test]
async fn each_service_receives_only_its_own_token() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::new(&version).await?;
        let envoy = destinations.caller_with_tokens().await?;
        for service in [ORDERS, SECRET_STORE, TELEMETRY] {
            send(&to(service), &envoy).await?;
            send(&to(service).http2(), &envoy).await?;
            send(&Request::get("/1").header("host", format!("{service}.shop.svc:443")), &envoy)
                .await?;
            // As an application sends it with Envoy as its HTTP_PROXY.
            send(&Request::get(&format!("http://{service}.shop.svc/1")), &envoy).await?;
        }
        let strange = to("unknown").send(envoy.port()).await?;
        assert_eq!(strange.status, 404, "Envoy {version}");
        let [orders, secret_store, telemetry] = destinations.all();
        let expected = [
            (orders, bearer()),
            (secret_store, pair("x-client-id", SECRET_STORE_TOKEN)),
            (telemetry, Vec::new()),
        ];
        for (received, expected) in expected {
            assert_eq!(received.len(), 4, "Envoy {version}");
            for request in received {
                assert_eq!(tokens(&request), expected, "Envoy {version}");
            }
        }
        let log = format!("{}{:?}", envoy.log(), envoy.wait_access_log(13).await?);
        assert!(!log.contains("made.for"), "Envoy {version}: a token in {log}");
    }
    Ok(())
}

#[tokio::test]
async fn application_token_is_replaced_only_for_configured_services() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::new(&version).await?;
        let envoy = destinations.caller_with_tokens().await?;
        let with_own = |service: &str, name: &str| to(service).header(name, "own");
        for (service, header) in [(ORDERS, "authorization"), (SECRET_STORE, "x-client-id")] {
            send(&with_own(service, header), &envoy).await?;
            send(&with_own(service, header).header(header, "again"), &envoy).await?;
            send(&with_own(TELEMETRY, header), &envoy).await?;
        }
        let [orders, secret_store, telemetry] = destinations.all();
        for request in orders {
            assert_eq!(tokens(&request), bearer(), "Envoy {version}");
        }
        for request in secret_store {
            let expected = pair("x-client-id", SECRET_STORE_TOKEN);
            assert_eq!(tokens(&request), expected, "Envoy {version}");
        }
        let left: Vec<_> = telemetry.iter().flat_map(tokens).collect();
        let expected = [pair("authorization", "own"), pair("x-client-id", "own")].concat();
        assert_eq!(left, expected, "Envoy {version}");
    }
    Ok(())
}

/// Older Envoys need `watched_directory`; these watch the folder of a secret's file without it.
#[tokio::test]
async fn token_rotates_without_a_watched_directory() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::new(&version).await?;
        let setup = with_tokens(destinations.caller()).patch(|tree| {
            let source = tree.pointer_mut(ORDERS_SOURCE).and_then(Value::as_object_mut);
            assert!(source.expect("a source").remove("watched_directory").is_some());
        });
        let envoy = setup.start().await?;
        send(&to(ORDERS), &envoy).await?;
        envoy.credential("tokens").update(&[(ORDERS, "a.fresh.one")])?;
        poll::until("the token to rotate", async || {
            send(&to(ORDERS), &envoy).await?;
            let last = destinations.orders.last().context("a request")?;
            Ok((tokens(&last) == pair("authorization", "Bearer a.fresh.one")).then_some(()))
        })
        .await
        .with_context(|| format!("Envoy {version}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_sent_only_after_a_token_exists() -> Result<()> {
    for version in versions() {
        let which = || format!("Envoy {version}");
        let destinations = Destinations::new(&version).await?;
        let envoy = destinations.caller().token(ORDERS, "").token(SECRET_STORE, "").start().await?;
        for service in [ORDERS, SECRET_STORE] {
            let refused = to(service).header("authorization", "own").header("x-client-id", "own");
            let refused = refused.send(envoy.port()).await?;
            assert_eq!(refused.status, 401, "Envoy {version}, {service}: {}", refused.text());
            assert_eq!(refused.text(), "Failed to inject credential.", "Envoy {version}");
        }
        let log = envoy.wait_access_log(2).await?;
        for line in &log {
            assert_eq!(line["details"], "failed_to_inject_credential", "Envoy {version}");
        }
        assert_eq!(destinations.all().map(|received| received.len()), [0, 0, 0], "Envoy {version}");
        envoy.credential("tokens").update(&[(ORDERS, ORDERS_TOKEN)])?;
        poll::until("orders to get its token", async || {
            Ok((to(ORDERS).send(envoy.port()).await?.status == 200).then_some(()))
        })
        .await
        .with_context(which)?;
        assert_eq!(tokens(&destinations.orders.received()[0]), bearer(), "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_not_sent_without_a_token_file() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::new(&version).await?;
        let envoy = destinations.caller().token(ORDERS, ORDERS_TOKEN).start().await?;
        let refused = to(SECRET_STORE).header("x-client-id", "own").send(envoy.port()).await?;
        assert_eq!(refused.status, 401, "Envoy {version}: {}", refused.text());
        send(&to(TELEMETRY), &envoy).await?;
        assert_eq!(destinations.all().map(|received| received.len()), [0, 0, 1], "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn server_with_an_invalid_certificate_receives_no_token() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::new(&version).await?;
        let impostors = [
            ("another service", serving(&destinations.ca, &["secret-store.shop.svc"])?),
            ("another CA", serving(&WorkloadCa::new()?, &["orders.shop.svc"])?),
        ];
        for (who, listen) in impostors {
            let impostor = Upstream::start().await?;
            let front = front(&version, &impostor, listen).await?;
            let caller = destinations.caller().destination(ORDERS, front.port());
            let envoy = caller.token(ORDERS, ORDERS_TOKEN).start().await?;
            let refused = to(ORDERS).send(envoy.port()).await?;
            assert_eq!(refused.status, 503, "Envoy {version}, {who}");
            let log = envoy.wait_access_log(1).await?;
            let why = log[0]["transport"].as_str().unwrap_or_default();
            assert!(why.contains("CERTIFICATE_VERIFY_FAILED"), "Envoy {version}, {who}: {why}");
            assert_eq!(impostor.count(), 0, "Envoy {version}, {who}");
        }
    }
    Ok(())
}
