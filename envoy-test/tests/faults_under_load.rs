//! Faults of a key server under load: with cached keys, and at startup.

use std::time::Duration;

use crate::support::{listeners, p256_api_server};
use anyhow::{Context, Result, ensure};
use envoy_test::load::Steady;
use envoy_test::{
    ApiServer, Endpoint, Envoy, EnvoySetup, Fault, Request, Rotation, Token, Upstream, poll,
    unix_now,
};
use serde_json::{Value, json};
use tokio::task::{JoinSet, LocalSet};

const WORKERS: u32 = 4;

/// A fault, and the response to a valid caller before the first keys.
struct KeyServerFault {
    name: &'static str,
    endpoint: Endpoint,
    fault: Option<Fault>,
    at_start: &'static str,
}

fn faults() -> Vec<KeyServerFault> {
    let jwks = |name, fault| KeyServerFault {
        name,
        endpoint: Endpoint::Jwks,
        fault: Some(fault),
        at_start: "503 keys_unavailable",
    };
    let foreign = r#"{"issuer":"https://other.example","jwks_uri":"https://other.example/keys"}"#;
    vec![
        KeyServerFault {
            name: "down",
            endpoint: Endpoint::Jwks,
            fault: None,
            at_start: "503 keys_unavailable",
        },
        KeyServerFault { at_start: "200", ..jwks("slow", Fault::Slow(Duration::from_millis(300))) },
        jwks("stalled", Fault::Stall),
        jwks("stalled mid-body", Fault::StallMidBody),
        jwks("500", Fault::Status(500)),
        jwks("403", Fault::Status(403)),
        jwks("garbage", Fault::Body(b"<html>not found</html>".to_vec())),
        jwks("10 MB", Fault::Body(vec![b' '; 10 << 20])),
        jwks("truncated", Fault::Truncate),
        jwks("redirect", Fault::Redirect("https://elsewhere.example/keys".to_owned())),
        KeyServerFault {
            name: "another issuer",
            endpoint: Endpoint::Discovery,
            fault: Some(Fault::Body(foreign.as_bytes().to_vec())),
            at_start: "503 keys_unavailable",
        },
    ]
}

/// One of the callers' ways through an Envoy: a listener, whose keys come from an API server.
struct World {
    api_server: ApiServer,
    port: u16,
}

/// Refreshes the keys every second.
fn config() -> Value {
    json!({
        "issuers": [{
            "issuer": envoy_test::token::DEFAULT_ISSUER,
            "audiences": ["secret-store"],
            "keys": {
                "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" },
                "refreshInterval": "1s", "minRefetchInterval": "1s", "timeout": "1s",
            },
        }],
        "limits": { "waitTimeout": "2s" },
    })
}

/// An Envoy with a listener for each of these API servers, and its upstream.
async fn start(api_servers: Vec<ApiServer>) -> Result<(Vec<World>, Envoy, Upstream)> {
    let upstream = Upstream::start().await?;
    let setup = EnvoySetup::new().upstream(&upstream).concurrency(WORKERS);
    let configs = vec![config(); api_servers.len()];
    let envoy = listeners::each_with_an_api_server(setup, configs, &api_servers).start().await?;
    let ports = listeners::ports(&envoy, api_servers.len()).await?;
    let worlds = api_servers.into_iter().zip(ports);
    let worlds = worlds.map(|(api_server, port)| World { api_server, port }).collect();
    Ok((worlds, envoy, upstream))
}

/// The same with one API server.
async fn start_one() -> Result<(World, Envoy, Upstream)> {
    let (mut worlds, envoy, upstream) = start(vec![p256_api_server().await?]).await?;
    Ok((worlds.pop().context("one")?, envoy, upstream))
}

async fn begin(fault: &KeyServerFault, api_server: &ApiServer) {
    match &fault.fault {
        Some(response) => api_server.set_fault(fault.endpoint, Some(response.clone())),
        None => api_server.stop().await,
    }
}

async fn end(fault: &KeyServerFault, api_server: &ApiServer) -> Result<()> {
    match fault.fault {
        Some(_) => api_server.set_fault(fault.endpoint, None),
        None => api_server.restart().await?,
    }
    Ok(())
}

impl World {
    fn token(&self) -> String {
        self.api_server.mint(Token::for_service_account("api", "api"))
    }

    async fn answer(&self, token: &str) -> Result<String> {
        let response = Request::get("/").bearer(token).send(self.port).await?;
        let reason = response.reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        Ok(format!("{}{reason}", response.status))
    }

    async fn wait_for(&self, answer: &str, token: &str) -> Result<()> {
        let there = async || Ok((self.answer(token).await? == answer).then_some(()));
        poll::until(answer, there).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_server_faults_do_not_affect_callers_with_cached_keys() -> Result<()> {
    let (world, envoy, _upstream) = start_one().await?;
    envoy.wait_keys(WORKERS as usize + 1).await?;
    for fault in faults() {
        let steady = Steady::start(world.port, world.token());
        let asked = world.api_server.requests().len();
        begin(&fault, &world.api_server).await;
        let (began, before) = (std::time::Instant::now(), steady.sent());
        // Two refreshes during the fault, if the API server is running.
        poll::until("two refreshes", async || {
            let long = began.elapsed() > Duration::from_millis(2500);
            Ok((long && steady.sent() > before).then_some(()))
        })
        .await?;
        end(&fault, &world.api_server).await?;
        let report = steady.stop().await?;
        ensure!(report.sent > 100, "{}: only {} requests", fault.name, report.sent);
        assert_eq!(report.refused, Vec::<String>::new(), "{} of {}", fault.name, report.sent);
        let asked = world.api_server.requests().len() - asked;
        ensure!(asked > 0 || fault.fault.is_none(), "{}: no call", fault.name);
        // The next fault begins after the filter has recovered from this one, including its backoff.
        world
            .api_server
            .wait_count(Endpoint::Jwks, world.api_server.count(Endpoint::Jwks) + 1)
            .await?;
        println!("{}: {} requests, none rejected, {asked} calls", fault.name, report.sent);
    }
    Ok(())
}

/// Each fault begins before Envoy starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_server_faults_at_startup_pause_or_reject_callers_until_they_end() -> Result<()> {
    let mut api_servers = Vec::new();
    for fault in faults() {
        let api_server = p256_api_server().await?;
        begin(&fault, &api_server).await;
        api_servers.push(api_server);
    }
    let (worlds, _envoy, _upstream) = start(api_servers).await?;
    let mut all = JoinSet::new();
    let cases = async {
        for (fault, world) in faults().into_iter().zip(worlds) {
            all.spawn_local(async move {
                ends(&fault, &world).await.with_context(|| fault.name)?;
                anyhow::Ok(format!("{}: {} at startup, then 200", fault.name, fault.at_start))
            });
        }
        all.join_all().await
    };
    for line in LocalSet::new().run_until(cases).await {
        println!("{}", line?);
    }
    Ok(())
}

async fn ends(fault: &KeyServerFault, world: &World) -> Result<()> {
    let token = world.token();
    let answer = world.answer(&token).await?;
    ensure!(answer == fault.at_start, "{answer} instead of {}", fault.at_start);
    end(fault, &world.api_server).await?;
    world.wait_for("200", &token).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removed_key_and_fast_clock_have_different_reasons() -> Result<()> {
    let (world, _envoy, _upstream) = start_one().await?;
    let old = world.token();
    world.wait_for("200", &old).await?;
    world.api_server.rotate(Rotation::RemoveOld);
    let steady = Steady::start(world.port, world.token());
    world.wait_for("401 unknown_key", &old).await?;
    let ahead = Token::for_service_account("api", "api").issued_at(unix_now() + 600);
    let ahead = ahead.sign(&world.api_server.signing_key());
    assert_eq!(world.answer(&ahead).await?, "401 not_yet_valid");
    let report = steady.stop().await?;
    ensure!(report.sent > 0, "nothing sent");
    ensure!(
        report.refused.is_empty(),
        "{} refused, such as {}",
        report.refused.len(),
        report.refused[0]
    );
    Ok(())
}
