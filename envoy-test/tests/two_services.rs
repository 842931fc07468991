//! Two services end to end in typical deployments: allowed callers, identity headers, and denials.

use crate::support::services::{How, Service, check_identity, cluster, outcome, shipped};
use anyhow::{Context, Result};
use envoy_test::envoy::versions;
use envoy_test::token::DEFAULT_ISSUER;
use envoy_test::{KeyKind, SigningKey, Token, unix_now};
use serde_json::json;

/// A token for the service, bound to a pod.
fn token(namespace: &str, name: &str) -> Token {
    Token::for_service_account(namespace, name).audience("server").pod(&format!("{name}-7d9f"))
}

#[tokio::test]
async fn upstream_receives_the_pod_found_by_a_token_review() -> Result<()> {
    for version in versions() {
        let service = Service::start(&version, shipped("token-review")?).await?;
        let client = token("poc", "client");
        let uid = client.claims()["kubernetes.io"]["pod"]["uid"].clone();
        let client = service.api_server.mint(client);
        let mut caller = service.caller(How::Bearer, &client).await?;
        let expected = [
            ("x-sa-namespace", "poc"),
            ("x-sa-name", "client"),
            ("x-sa-pod", "client-7d9f"),
            ("x-sa-pod-uid", uid.as_str().context("a uid")?),
        ];
        let response = caller.get("/").await?;
        check_identity(&response, &expected).with_context(|| format!("Envoy {version}"))?;

        let gone = service.api_server.mint(token("poc", "gone"));
        service.api_server.delete_service_account("poc", "gone");
        let mut caller = service.caller(How::Bearer, &gone).await?;
        assert_eq!(outcome(&caller.get("/").await?), "401 revoked", "Envoy {version}");
    }
    Ok(())
}

const LEGACY: &str = "tokens from a Secret are not accepted: use a projected token";

#[tokio::test]
async fn secret_store_serves_api_and_rejects_others_with_their_reason() -> Result<()> {
    for version in versions() {
        let mut service = Service::start(&version, shipped("secret-store")?).await?;
        let of = |name: &str| Token::for_service_account(name, name).audience("secret-store");
        let mint = |token: Token| service.api_server.mint(token);
        let (api, data_store) = (mint(of("api")), mint(of("data-store")));
        let legacy = mint(Token::legacy_secret("api", "api", "api-token-x2x4"));
        let foreign = mint(of("api").audience("data-store"));
        let old = mint(of("api").issued_at(unix_now() - 7200).lifetime(3600));

        let mut caller = service.caller(How::ClientId, &api).await?;
        let response = caller.becomes(&api, "200").await?;
        check_identity(&response, &[("x-sa-namespace", "api"), ("x-sa-name", "api")])
            .with_context(|| format!("Envoy {version}"))?;
        let response = caller.get("/admin").await?;
        assert_eq!(outcome(&response), "403 forbidden", "Envoy {version}");

        let refused = [
            (&data_store, "403 forbidden", "this service account may not do this"),
            (&legacy, "401 legacy_token", LEGACY),
            (&foreign, "401 wrong_audience", "the token is not meant for this service"),
            (&old, "401 expired", "the token has expired"),
        ];
        for (token, expected, why) in refused {
            let response = caller.becomes(token, expected).await;
            let response = response.with_context(|| format!("Envoy {version}"))?;
            assert_eq!(response.json()?["message"], why, "Envoy {version}");
        }
        let mut anonymous = service.caller(How::NotAtAll, "").await?;
        let response = anonymous.get("/secrets/1").await?;
        assert_eq!(outcome(&response), "401 missing_token", "Envoy {version}");
        for received in service.app.received().await? {
            assert_eq!(received.header("x-sa-name").as_deref(), Some("api"), "Envoy {version}");
            assert_ne!(received.path, "/admin", "Envoy {version}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn default_token_passes_until_its_warnafter() -> Result<()> {
    for version in versions() {
        let which = || format!("Envoy {version}");
        let service = Service::start(&version, shipped("default-token")?).await?;
        let be2 = service.api_server.mint(default_token("be2", unix_now()));
        let mut caller = service.caller(How::Bearer, &be2).await?;
        let response = caller.becomes(&be2, "200").await.with_context(which)?;
        let subject = ("x-sa-subject", "system:serviceaccount:default:be2");
        check_identity(&response, &[subject]).with_context(which)?;

        // Valid for another year, but the kubelet should have replaced it hours ago.
        let old = service.api_server.mint(default_token("be2", unix_now() - 7200));
        caller.becomes(&old, "401 expired").await.with_context(which)?;
        let other = service.api_server.mint(default_token("be3", unix_now()));
        caller.becomes(&other, "403 forbidden").await.with_context(which)?;

        let mut config = shipped("default-token")?;
        config["issuers"][0]["honorWarnAfter"] = json!(false);
        let lenient = Service::start_in(&version, service.api_server, config).await?;
        let mut caller = lenient.caller(How::Bearer, &old).await?;
        assert_eq!(outcome(&caller.get("/").await?), "200", "Envoy {version}");
    }
    Ok(())
}

/// The default token of a pod: for the API server, valid for a year, to be replaced within an hour.
fn default_token(name: &str, issued: u64) -> Token {
    Token::for_service_account("default", name)
        .audience(DEFAULT_ISSUER)
        .pod(&format!("{name}-5c6b"))
        .node("kind-worker")
        .issued_at(issued)
        .lifetime(31_536_000)
        .warn_after(issued + 3607)
}

#[tokio::test]
async fn one_service_with_a_public_key_has_the_same_outcomes() -> Result<()> {
    for version in versions() {
        let api_server = cluster().await?;
        let mut config = shipped("one-service-by-public-key")?;
        config["issuers"][0]["keys"]["pem"] = json!([api_server.signing_key().pem()]);
        let service = Service::start_in(&version, api_server, config).await?;
        check_one_service(service, "401 unknown_key").await.with_context(|| version)?;
    }
    Ok(())
}

#[tokio::test]
async fn one_service_with_discovery_has_the_same_outcomes() -> Result<()> {
    for version in versions() {
        let service = Service::start(&version, shipped("one-service-by-discovery")?).await?;
        check_one_service(service, "401 unknown_key").await.with_context(|| version)?;
    }
    Ok(())
}

#[tokio::test]
async fn one_service_with_token_review_has_the_same_outcomes() -> Result<()> {
    for version in versions() {
        let service = Service::start(&version, shipped("one-service-by-token-review")?).await?;
        check_one_service(service, "401 bad_signature").await.with_context(|| version)?;
    }
    Ok(())
}

/// The same callers with each key source; only the reason for a foreign signature differs.
async fn check_one_service(mut service: Service, strange: &str) -> Result<()> {
    let mint = |token: Token| service.api_server.mint(token);
    let client = mint(token("client", "client"));
    let key = service.api_server.signing_key();
    let elsewhere = token("client", "client").sign(&SigningKey::generate(KeyKind::Rsa2048));
    let mut caller = service.caller(How::Bearer, &client).await?;
    let cases = [
        (client.clone(), "200"),
        (mint(token("other", "client")), "403 forbidden"),
        (mint(token("client", "client").audience("another")), "401 wrong_audience"),
        (mint(Token::legacy_secret("client", "client", "client-token-1")), "401 legacy_token"),
        (elsewhere, strange),
        (
            token("client", "client").issuer("https://other.example").sign(&key),
            "401 unknown_issuer",
        ),
        (
            mint(token("client", "client").issued_at(unix_now() - 7200).lifetime(3600)),
            "401 expired",
        ),
    ];
    for (token, expected) in &cases {
        let response = caller.becomes(token, expected).await?;
        if *expected == "200" {
            check_identity(&response, &[("x-sa-namespace", "client"), ("x-sa-name", "client")])?;
        }
    }
    let mut anonymous = service.caller(How::NotAtAll, "").await?;
    assert_eq!(outcome(&anonymous.get("/").await?), "401 missing_token");
    for received in service.app.received().await? {
        assert_eq!(received.header("x-sa-name").as_deref(), Some("client"));
    }
    Ok(())
}
