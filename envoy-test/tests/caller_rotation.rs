//! Token rotation on the caller's side under load rejects no request.

use std::collections::BTreeSet;

use crate::support::services::{Caller, How, Service, shipped};
use anyhow::{Context, Result};
use envoy_test::envoy::versions;
use envoy_test::{Token, poll};
use serde_json::Value;

/// The number of rotations in one test.
const ROTATIONS: usize = 5;

/// The number of applications that send continuously.
const SENDERS: usize = 3;

#[tokio::test]
async fn x_client_id_token_rotates_under_load() -> Result<()> {
    for version in versions() {
        let config = shipped("x-client-id")?;
        check(&version, How::ClientId, config).await.with_context(|| version)?;
    }
    Ok(())
}

#[tokio::test]
async fn bearer_token_rotates_under_load() -> Result<()> {
    for version in versions() {
        let mut config = shipped("x-client-id")?;
        // The filter reads the Bearer token by default.
        config.as_object_mut().context("an object")?.remove("tokenFrom");
        check(&version, How::Bearer, config).await.with_context(|| version)?;
    }
    Ok(())
}

async fn check(version: &str, how: How, config: Value) -> Result<()> {
    let mut service = Service::start(version, config).await?;
    let (first, first_id) = mint(&service);
    let mut caller = Caller::start(service.calling(how, &first).concurrency(2), how).await?;
    wait_until_received(&mut caller, &first_id).await?;
    let mut senders = Vec::new();
    for _ in 0..SENDERS {
        senders.push(caller.load().await?);
    }
    let mut ids = BTreeSet::from([first_id]);
    for _ in 0..ROTATIONS {
        let (token, id) = mint(&service);
        caller.rotate(&token)?;
        wait_until_received(&mut caller, &id).await?;
        ids.insert(id);
        for sender in &mut senders {
            // Each application has sent a request with each token.
            let before = sender.sent().await?;
            poll::until("more requests", async || {
                Ok((sender.sent().await? > before + 20).then_some(()))
            })
            .await?;
        }
    }
    let mut sent = 0;
    for sender in senders {
        let report = sender.stop().await?;
        assert_eq!(report.refused, Vec::<String>::new(), "{how:?}, of {}", report.sent);
        sent += report.sent;
    }
    println!("Envoy {version}, {how:?}: {sent} requests, {ROTATIONS} rotations, none rejected");
    check_received(&mut service, sent, &ids).await
}

/// A token of `api/api` and its ID.
fn mint(service: &Service) -> (String, String) {
    let token = Token::for_service_account("api", "api").audience("server").pod("api-7d9f");
    let id = token.claims()["jti"].as_str().unwrap_or_default().to_owned();
    (service.api_server.mint(token), id)
}

/// Sends requests until the server application receives this token ID; every response must be 200.
async fn wait_until_received(caller: &mut Caller, id: &str) -> Result<()> {
    poll::until(&format!("the token {id}"), async || {
        let response = caller.get("/").await?;
        anyhow::ensure!(response.status == 200, "{} {}", response.status, response.text());
        Ok(response.text().contains(id).then_some(()))
    })
    .await
}

/// Every request came from `api/api` with one of these tokens, and reached the application without it.
async fn check_received(service: &mut Service, sent: usize, ids: &BTreeSet<String>) -> Result<()> {
    let received = service.app.received().await?;
    assert!(received.len() > sent, "{} of {sent} arrived", received.len());
    let mut seen = BTreeSet::new();
    for request in received {
        assert_eq!(request.header("x-sa-namespace").as_deref(), Some("api"));
        assert_eq!(request.header("x-sa-name").as_deref(), Some("api"));
        assert_eq!(request.header("x-client-id"), None);
        assert_eq!(request.header("authorization"), None);
        seen.extend(request.header("x-sa-credential-id"));
    }
    assert_eq!(&seen, ids);
    Ok(())
}
