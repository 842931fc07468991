//! A key server that refuses gets fewer calls than one that answers.

use std::time::{Duration, Instant};

use crate::support::{Gate, api, check_refused, config, discovery, get};
use anyhow::{Result, ensure};
use envoy_test::{ApiServer, ApiServerOptions, Endpoint, EnvoySetup, Fault, poll};
use serde_json::json;

/// Envoy's workers; the main thread has a VM, too.
const WORKERS: u32 = 8;
const VMS: usize = WORKERS as usize + 1;

async fn start(api_server: &ApiServer) -> Result<Gate> {
    let setup = EnvoySetup::new().api_server(api_server).concurrency(WORKERS);
    Gate::start(setup.plugin_config(config(discovery(json!({}))))).await
}

/// The arrival times of the requests for the JWKS.
fn asked(api_server: &ApiServer) -> Vec<Instant> {
    let requests = api_server.requests().into_iter();
    requests
        .filter(|request| request.endpoint == Endpoint::Jwks)
        .map(|request| request.at)
        .collect()
}

/// Seen: 126 GETs in 40 s from one Envoy with 8 workers, with `Retry-After: 120`.
#[tokio::test]
async fn retry_after_is_followed_by_each_vm_and_discovery_is_not_repeated() -> Result<()> {
    let api_server = ApiServer::start(ApiServerOptions::default()).await?;
    api_server.set_fault(Endpoint::Jwks, Some(Fault::RetryAfter(429, 4)));
    let gate = start(&api_server).await?;
    api_server.wait_count(Endpoint::Jwks, VMS).await?;
    let token = api_server.mint(api());
    // The next attempt is too far away for a pause.
    check_refused(&get(&token).send(gate.envoy.port()).await?, 503, "keys_unavailable")?;
    api_server.wait_count(Endpoint::Jwks, 2 * VMS).await?;
    let times = asked(&api_server);
    let (first, second) = times.split_at(VMS);
    for (first, second) in first.iter().zip(second) {
        let wait = second.duration_since(*first);
        ensure!(wait >= Duration::from_millis(3950), "asked again after {wait:?}");
    }
    ensure!(api_server.count(Endpoint::Discovery) == VMS, "discovery was repeated");
    gate.envoy.wait_log("status 429: the server limits the number of requests").await?;
    api_server.set_fault(Endpoint::Jwks, None);
    poll::until("the first success", async || {
        Ok((get(&token).send(gate.envoy.port()).await?.status == 200).then_some(()))
    })
    .await
}

/// The figures of docs/operations.md: run it with `--ignored --nocapture`.
#[tokio::test]
#[ignore = "measures for ten minutes"]
async fn calls_of_one_envoy_to_a_key_server_that_refuses() -> Result<()> {
    let faults = [
        ("200", None),
        ("429, Retry-After: 120", Some(Fault::RetryAfter(429, 120))),
        ("500", Some(Fault::Status(500))),
        ("403", Some(Fault::Status(403))),
        ("no answer", Some(Fault::Close)),
    ];
    let window: u64 =
        std::env::var("WINDOW").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    for (name, fault) in faults {
        let api_server = ApiServer::start(ApiServerOptions::default()).await?;
        api_server.set_fault(Endpoint::Jwks, fault);
        let start_time = Instant::now();
        let _gate = start(&api_server).await?;
        let end = Duration::from_secs(window);
        poll::until_within(end * 2, "the end of the measurement", async || {
            Ok((start_time.elapsed() >= end).then_some(()))
        })
        .await?;
        let count = |from: u64, to: u64| {
            let at = |at: Instant| at.duration_since(start_time).as_secs();
            api_server.requests().iter().filter(|asked| (from..to).contains(&at(asked.at))).count()
        };
        println!(
            "{name}: GETs in the first 10 s: {}, 40 s: {}, 120 s: {}, from 60 s to 120 s: {}",
            count(0, 10),
            count(0, 40),
            count(0, 120),
            count(60, 120),
        );
    }
    Ok(())
}
