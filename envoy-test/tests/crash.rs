//! Crashed VMs: the outcome of their requests, and that no request passes without a verdict.
//!
//! The shipped module cannot be made to crash; `crash_switch` wraps it with a switch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::crash_switch::pull;
use crate::support::{
    ACTIVE, Gate, api, check_refused, clear_fault, config, discovery, get, http_options, long_wait,
    send_all, stalled,
};
use anyhow::{Context, Result, ensure};
use envoy_test::client::Connection;
use envoy_test::envoy::versions;
use envoy_test::{ApiServer, Endpoint, EnvoySetup, KeyKind, Request, SigningKey, Token, poll};
use serde_json::{Value, json};

/// Keys by discovery; `/secrets/*` is for `api/api`.
fn guarded() -> Value {
    let mut config = config(discovery(json!({})));
    config["rules"] = json!([{ "name": "secrets", "paths": ["/secrets/*"], "allow": ["api/api"] }]);
    config
}

async fn start(
    version: &str,
    api_server: &ApiServer,
    config: Value,
    policy: &'static str,
    workers: u32,
) -> Result<Gate> {
    // Deleted after Envoy has read it.
    let folder = tempfile::tempdir()?;
    let module = crate::support::crash_switch::write(folder.path())?;
    let setup = EnvoySetup::new().version(version).module(module).api_server(api_server);
    let setup = setup.plugin_config(config).concurrency(workers).patch(move |tree| {
        let plugin = &mut http_options(tree)["http_filters"][0]["typed_config"]["config"];
        plugin["failure_policy"] = json!(policy);
        http_options(tree)["stream_idle_timeout"] = json!("2s");
    });
    Gate::start(setup).await
}

async fn api_server() -> Result<ApiServer> {
    let api_server = stalled().await?;
    clear_fault(&api_server);
    Ok(api_server)
}

/// Requests for `/secrets/1` that must never pass, with their reasons.
fn rejected(api_server: &ApiServer) -> Vec<(Request, u16, &'static str)> {
    let forged = api().header("kid", json!(api_server.signing_key().kid()));
    let forged = forged.sign(&SigningKey::generate(KeyKind::P256));
    let web = api_server.mint(Token::for_service_account("web", "web"));
    vec![
        (Request::get("/secrets/1"), 401, "missing_token"),
        (get(&forged), 401, "bad_signature"),
        (get(&web), 403, "forbidden"),
    ]
}

#[tokio::test]
async fn crashed_vm_rejects_requests_until_it_has_keys_again() -> Result<()> {
    for version in versions() {
        let api_server = api_server().await?;
        let gate = start(&version, &api_server, guarded(), "FAIL_RELOAD", 1).await?;
        let (port, good) = (gate.envoy.port(), get(&api_server.mint(api())));
        assert_eq!(good.send(port).await?.status, 200, "Envoy {version}");
        for crash in 1..=3 {
            let passed = gate.upstream.count();
            assert_eq!(pull(good.clone()).send(port).await?.status, 503, "Envoy {version}");
            // The reload waits one second: until then valid tokens are rejected too.
            assert_eq!(good.send(port).await?.status, 503, "Envoy {version}");
            poll::until("the VM to be back", async || {
                for (request, status, _) in rejected(&api_server) {
                    let answer = request.send(port).await?.status;
                    ensure!(answer == status || answer == 503, "{answer} instead of {status}");
                }
                ensure!(gate.upstream.count() == passed, "a rejected request reached the upstream");
                Ok((rejected(&api_server)[0].0.send(port).await?.status == 401).then_some(()))
            })
            .await?;
            assert_eq!(good.send(port).await?.status, 200, "Envoy {version}, crash {crash}");
            for (request, status, reason) in rejected(&api_server) {
                check_refused(&request.send(port).await?, status, reason)?;
            }
            assert_eq!(gate.upstream.count(), passed + 1, "Envoy {version}");
        }
        // The VMs of the main thread and of the worker fetch once, and the worker's VM again after each crash.
        assert_eq!(api_server.count(Endpoint::Jwks), 2 + 3, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn crashed_vm_with_fail_closed_rejects_requests_permanently() -> Result<()> {
    for version in versions() {
        let api_server = api_server().await?;
        let gate = start(&version, &api_server, guarded(), "FAIL_CLOSED", 1).await?;
        let (port, good) = (gate.envoy.port(), get(&api_server.mint(api())));
        assert_eq!(good.send(port).await?.status, 200, "Envoy {version}");
        assert_eq!(pull(good.clone()).send(port).await?.status, 503, "Envoy {version}");
        // Longer than a reload would take.
        let start = std::time::Instant::now();
        poll::until("three seconds of refusals", async || {
            for request in [&good, &Request::get("/secrets/1"), &pull(good.clone())] {
                let answer = request.send(port).await?.status;
                ensure!(answer == 503, "Envoy {version}: {answer}");
            }
            Ok((start.elapsed().as_secs() >= 3).then_some(()))
        })
        .await?;
        assert_eq!(gate.upstream.count(), 1, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn crash_of_one_worker_does_not_affect_the_others() -> Result<()> {
    const CONNECTIONS: usize = 32;
    for version in versions() {
        let api_server = api_server().await?;
        let gate = start(&version, &api_server, guarded(), "FAIL_RELOAD", 4).await?;
        let (port, good) = (gate.envoy.port(), get(&api_server.mint(api())));
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::http1(port).await?;
            ensure!(connection.send(&good).await?.status == 200, "Envoy {version}");
            connections.push(connection);
        }
        // The kernel distributes connections over the workers; this many use more than one.
        let crash = connections[0].send(&pull(good.clone())).await?;
        assert_eq!(crash.status, 503, "Envoy {version}");
        let mut answers = Vec::new();
        for connection in &mut connections {
            answers.push(connection.send(&good).await?.status);
        }
        let count = |status| answers.iter().filter(|answer| **answer == status).count();
        assert_eq!(answers[0], 503, "Envoy {version}: the same worker");
        assert_eq!(count(200) + count(503), CONNECTIONS, "Envoy {version}: {answers:?}");
        assert!(count(200) >= CONNECTIONS / 4, "Envoy {version}: {answers:?}");
    }
    Ok(())
}

/// The VM had the timer, so only Envoy's `stream_idle_timeout` ends these requests, which is
/// five minutes by default.
#[tokio::test]
async fn requests_paused_in_a_crashed_vm_never_reach_the_upstream() -> Result<()> {
    const WAITING: u64 = 12;
    for version in versions() {
        let api_server = stalled().await?;
        let config = long_wait(json!({}));
        let gate = start(&version, &api_server, config, "FAIL_RELOAD", 1).await?;
        let good = api_server.mint(api());
        let kinds =
            [get(&good), get(&good).http2(), crate::support::post(&good).body(vec![b'a'; 50_000])];
        let requests = kinds.iter().cycle().take(WAITING as usize).cloned();
        let mut sent = send_all(gate.envoy.port(), requests);
        gate.envoy.wait_stat(ACTIVE, |active| active == WAITING).await?;
        let crash = pull(get(&good)).send(gate.envoy.port()).await?;
        assert_eq!(crash.status, 503, "Envoy {version}");
        clear_fault(&api_server);
        while let Some(ended) = sent.join_next().await {
            let (at, answer) = ended?;
            let answer =
                answer.with_context(|| format!("Envoy {version}: request {at} is lost"))?;
            ensure!(answer.status == 503, "Envoy {version}: {} to {at}", answer.status);
        }
        let log = gate.envoy.wait_access_log(WAITING as usize + 1).await?;
        let ended = log.iter().filter(|line| line["flags"] == STREAM_IDLE_TIMEOUT);
        assert_eq!(ended.count() as u64, WAITING, "Envoy {version}");
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        // A repeated request passes.
        poll::until("the VM to be back", async || {
            Ok((get(&good).send(gate.envoy.port()).await?.status == 200).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Callers until they are stopped, and the number of responses per status.
fn call(
    port: u16,
    request: Request,
    right: u16,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<Result<[usize; 2]>> {
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut seen = [0, 0];
        while !stop.load(Ordering::Relaxed) {
            match request.send(port).await?.status {
                status if status == right => seen[0] += 1,
                503 => seen[1] += 1,
                other => anyhow::bail!("{other} instead of {right} or 503"),
            }
        }
        Ok(seen)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_crashes_under_load_pass_no_request_without_a_verdict() -> Result<()> {
    const CRASHES: usize = 6;
    for version in versions() {
        let api_server = api_server().await?;
        let gate = start(&version, &api_server, guarded(), "FAIL_RELOAD", 2).await?;
        let (port, good) = (gate.envoy.port(), get(&api_server.mint(api())));
        assert_eq!(good.send(port).await?.status, 200, "Envoy {version}");
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = vec![call(port, good.clone(), 200, &stop)];
        for (request, status, _) in rejected(&api_server) {
            callers.push(call(port, request, status, &stop));
        }
        for _ in 0..CRASHES {
            assert_eq!(pull(good.clone()).send(port).await?.status, 503, "Envoy {version}");
            poll::until("eight good answers in a row", async || {
                for _ in 0..8 {
                    if good.send(port).await?.status != 200 {
                        return Ok(None);
                    }
                }
                Ok(Some(()))
            })
            .await?;
        }
        stop.store(true, Ordering::Relaxed);
        let mut counts = Vec::new();
        for caller in callers {
            counts.push(caller.await?.with_context(|| format!("Envoy {version}"))?);
        }
        println!(
            "Envoy {version}: expected responses and 503 of the valid and the three invalid requests: {counts:?}"
        );
        assert!(counts.iter().all(|[right, refused]| *right > 100 && *refused > 0), "{counts:?}");
        for received in gate.upstream.received() {
            assert_eq!(received.header("x-sa-name").as_deref(), Some("api"), "Envoy {version}");
        }
    }
    Ok(())
}

/// `%RESPONSE_FLAGS%`
const STREAM_IDLE_TIMEOUT: &str = "SI";
