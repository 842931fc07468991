//! A VM that dies: what becomes of its requests, and that nobody passes without a verdict.
//!
//! The module that ships has no switch for that; `crash_switch` puts one around its bytes.

#[path = "support/crash_switch.rs"]
mod crash_switch;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use crash_switch::pull;
use envoy_test::client::Connection;
use envoy_test::envoy::versions;
use envoy_test::{ApiServer, Endpoint, EnvoySetup, KeyKind, Request, SigningKey, Token, poll};
use serde_json::{Value, json};
use support::{
    ACTIVE, Gate, api, check_refused, config, discovery, get, http_options, mend, patient,
    send_all, stalled,
};

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
    // Deleted when Envoy has read it.
    let folder = tempfile::tempdir()?;
    let module = crash_switch::write(folder.path())?;
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
    mend(&api_server);
    Ok(api_server)
}

/// Tokens in front of `/secrets/1` that must never pass, and why.
fn strangers(api_server: &ApiServer) -> Vec<(Request, u16, &'static str)> {
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
async fn a_vm_that_dies_refuses_everybody_until_it_is_back_with_its_keys() -> Result<()> {
    for version in versions() {
        let api_server = api_server().await?;
        let gate = start(&version, &api_server, guarded(), "FAIL_RELOAD", 1).await?;
        let (port, good) = (gate.envoy.port(), get(&api_server.mint(api())));
        assert_eq!(good.send(port).await?.status, 200, "Envoy {version}");
        for crash in 1..=3 {
            let passed = gate.upstream.count();
            assert_eq!(pull(good.clone()).send(port).await?.status, 503, "Envoy {version}");
            // The reload waits a second: until then even the good are refused.
            assert_eq!(good.send(port).await?.status, 503, "Envoy {version}");
            poll::until("the VM to be back", async || {
                for (request, status, _) in strangers(&api_server) {
                    let answer = request.send(port).await?.status;
                    ensure!(answer == status || answer == 503, "{answer} instead of {status}");
                }
                ensure!(gate.upstream.count() == passed, "a stranger reached the upstream");
                Ok((strangers(&api_server)[0].0.send(port).await?.status == 401).then_some(()))
            })
            .await?;
            assert_eq!(good.send(port).await?.status, 200, "Envoy {version}, crash {crash}");
            for (request, status, reason) in strangers(&api_server) {
                check_refused(&request.send(port).await?, status, reason)?;
            }
            assert_eq!(gate.upstream.count(), passed + 1, "Envoy {version}");
        }
        // The main thread's VM and the worker's fetched once, and the worker's again after each crash.
        assert_eq!(api_server.count(Endpoint::Jwks), 2 + 3, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn under_fail_closed_a_vm_that_died_refuses_everybody_for_ever() -> Result<()> {
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
async fn the_other_workers_go_on() -> Result<()> {
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
        // Kernels spread connections over the workers as they like: over more than one, with so many.
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

/// The VM had the timer, too, so nobody but Envoy ends their waiting: by its `stream_idle_timeout`, which is
/// five minutes where nothing else is said.
#[tokio::test]
async fn who_waits_in_a_vm_that_dies_never_reaches_the_upstream() -> Result<()> {
    const WAITING: u64 = 12;
    for version in versions() {
        let api_server = stalled().await?;
        // A VM that dies while it fetches leaves its lease behind, which lasts as long as the fetch could.
        let mut config = patient(json!({}));
        config["issuers"][0]["keys"]["timeout"] = json!("5s");
        let gate = start(&version, &api_server, config, "FAIL_RELOAD", 1).await?;
        let good = api_server.mint(api());
        let kinds = [get(&good), get(&good).http2(), support::post(&good).body(vec![b'a'; 50_000])];
        let requests = kinds.iter().cycle().take(WAITING as usize).cloned();
        let mut sent = send_all(gate.envoy.port(), requests);
        gate.envoy.wait_stat(ACTIVE, |active| active == WAITING).await?;
        let crash = pull(get(&good)).send(gate.envoy.port()).await?;
        assert_eq!(crash.status, 503, "Envoy {version}");
        mend(&api_server);
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
        // Who comes again passes.
        poll::until("the VM to be back", async || {
            Ok((get(&good).send(gate.envoy.port()).await?.status == 200).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Callers until they are stopped: how many were answered each status.
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
async fn crash_after_crash_under_load_lets_nobody_through_unjudged() -> Result<()> {
    const CRASHES: usize = 6;
    for version in versions() {
        let api_server = api_server().await?;
        let gate = start(&version, &api_server, guarded(), "FAIL_RELOAD", 2).await?;
        let (port, good) = (gate.envoy.port(), get(&api_server.mint(api())));
        assert_eq!(good.send(port).await?.status, 200, "Envoy {version}");
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = vec![call(port, good.clone(), 200, &stop)];
        for (request, status, _) in strangers(&api_server) {
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
        println!("Envoy {version}: right and 503, of the good and of three strangers: {counts:?}");
        assert!(counts.iter().all(|[right, refused]| *right > 100 && *refused > 0), "{counts:?}");
        for received in gate.upstream.received() {
            assert_eq!(received.header("x-sa-name").as_deref(), Some("api"), "Envoy {version}");
        }
    }
    Ok(())
}

/// `%RESPONSE_FLAGS%`
const STREAM_IDLE_TIMEOUT: &str = "SI";
