//! Key rotations, floods and outages under load, and their effect on valid callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::p256_api_server;
use anyhow::Result;
use envoy_test::client::Connection;
use envoy_test::load::{Report, Steady};
use envoy_test::{
    ApiServer, Endpoint, Envoy, EnvoySetup, Fault, KeyKind, Request, Rotation, SigningKey, Token,
    Upstream, poll,
};
use serde_json::{Value, json};

const WORKERS: u32 = 4;

fn config(keys: Value) -> Value {
    let mut source = json!({ "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" } });
    if let (Some(source), Value::Object(keys)) = (source.as_object_mut(), keys) {
        source.extend(keys);
    }
    json!({ "issuers": [{
        "issuer": envoy_test::token::DEFAULT_ISSUER,
        "audiences": ["secret-store"],
        "keys": source,
    }] })
}

async fn start(keys: Value) -> Result<(ApiServer, Upstream, Envoy)> {
    let (api_server, upstream) = (p256_api_server().await?, Upstream::start().await?);
    let setup = EnvoySetup::new().api_server(&api_server).upstream(&upstream).concurrency(WORKERS);
    let envoy = setup.plugin_config(config(keys)).start().await?;
    envoy.wait_keys(WORKERS as usize + 1).await?;
    Ok((api_server, upstream, envoy))
}

fn mint(api_server: &ApiServer) -> String {
    api_server.mint(Token::for_service_account("api", "api"))
}

/// Callers that send one request after another, each with the newest token of the cluster.
struct Callers {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Result<Vec<String>>>>,
}

impl Callers {
    fn start(count: usize, port: u16, api_server: &Arc<ApiServer>) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..count).map(|_| {
            let (stop, sent, api_server) = (stop.clone(), sent.clone(), api_server.clone());
            tokio::spawn(async move {
                let mut connection = Connection::http1(port).await?;
                let (mut refused, mut token, mut kid) = (Vec::new(), String::new(), String::new());
                while !stop.load(Ordering::Relaxed) {
                    let key = api_server.signing_key();
                    if kid != key.kid() {
                        (token, kid) = (mint(&api_server), key.kid().to_owned());
                    }
                    let response = connection.send(&Request::get("/").bearer(&token)).await?;
                    sent.fetch_add(1, Ordering::Relaxed);
                    if response.status != 200 {
                        refused.push(format!("{} {}", response.status, response.text()));
                    }
                }
                Ok(refused)
            })
        });
        let tasks = tasks.collect();
        Self { stop, sent, tasks }
    }

    fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    async fn wait_sent(&self, count: usize) -> Result<()> {
        let enough = async || Ok((self.sent() >= count).then_some(()));
        poll::until_within(Duration::from_secs(120), "enough requests", enough).await
    }

    /// Every response except 200.
    async fn stop(self) -> Result<Vec<String>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut refused = Vec::new();
        for task in self.tasks {
            refused.extend(task.await??);
        }
        Ok(refused)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_key_rotations_under_load_reject_no_valid_request() -> Result<()> {
    let (api_server, _upstream, envoy) = start(json!({ "minRefetchInterval": "1s" })).await?;
    let api_server = Arc::new(api_server);
    let callers = Callers::start(8, envoy.port(), &api_server);
    for rotation in 1..=5 {
        callers.wait_sent(rotation * 3500).await?;
        // A fetch in the last second may decide for a new kid, so the rotations are further apart.
        let (quiet, before) = (Instant::now(), callers.sent());
        let enough = async || {
            Ok((quiet.elapsed() > Duration::from_millis(1500) && callers.sent() > before)
                .then_some(()))
        };
        poll::until("the last fetch to be old", enough).await?;
        api_server.rotate(Rotation::KeepOld);
    }
    callers.wait_sent(21_000.max(callers.sent() + 2000)).await?;
    let (sent, refused) = (callers.sent(), callers.stop().await?);
    assert!(sent >= 20_000, "{sent} requests");
    assert!(refused.is_empty(), "{} of {sent} denied, such as {}", refused.len(), refused[0]);
    // One for each VM at startup, and at each rotation one for each worker that receives the new kid.
    let (fetches, workers) = (api_server.count(Endpoint::Jwks), WORKERS as usize);
    let start = workers + 1;
    assert!((start + 5..=start + 5 * workers).contains(&fetches), "{fetches} fetches");
    println!("{sent} requests, 5 rotations, {fetches} fetches, none denied");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_unknown_kids_delays_valid_callers_by_at_most_one_interval() -> Result<()> {
    let interval = Duration::from_secs(4);
    let (api_server, _upstream, envoy) = start(json!({ "minRefetchInterval": "4s" })).await?;
    let api_server = Arc::new(api_server);
    let (began, before) = (Instant::now(), api_server.count(Endpoint::Jwks));
    let steady = Steady::start(envoy.port(), mint(&api_server));
    let floods = [Flood::start(envoy.port()), Flood::start(envoy.port())];
    let used_up = async || Ok((api_server.count(Endpoint::Jwks) >= before + 3).then_some(()));
    poll::until("the burst to be used up", used_up).await?;

    let rotated = Instant::now();
    api_server.rotate(Rotation::KeepOld);
    let token = mint(&api_server);
    let served = async || {
        Ok((Request::get("/").bearer(&token).send(envoy.port()).await?.status == 200).then_some(()))
    };
    poll::until("the new key to be accepted", served).await?;
    let waited = rotated.elapsed();
    assert!(
        waited <= interval + Duration::from_secs(1),
        "the new key was accepted after {waited:?}"
    );

    let mut statuses = Vec::new();
    for flood in floods {
        statuses.extend(flood.stop().await?);
    }
    let Report { sent: good, refused, .. } = steady.stop().await?;
    assert!(refused.is_empty(), "of {good} valid requests during the flood: {refused:?}");
    assert!(good > 0);
    let strange = statuses.iter().filter(|status| !matches!(**status, 401 | 503)).count();
    assert!(statuses.len() >= 1000, "only {} unknown kids", statuses.len());
    assert_eq!(strange, 0);
    let fetches = api_server.count(Endpoint::Jwks) - before;
    let intervals = began.elapsed().as_secs() as usize / interval.as_secs() as usize;
    let limit = (3 + intervals) * WORKERS as usize;
    assert!(fetches <= limit, "{fetches} fetches, the limit was {limit}");
    println!(
        "1000 unknown kids, {fetches} fetches, {good} good requests, new key after {waited:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_api_server_affects_callers_only_after_max_stale() -> Result<()> {
    let keys = json!({ "refreshInterval": "1s", "minRefetchInterval": "1s", "maxStale": "5s" });
    let (api_server, _upstream, envoy) = start(keys).await?;
    let token = mint(&api_server);
    let steady = Steady::start(envoy.port(), token.clone());
    api_server.stop().await;
    let stopped = Instant::now();
    let longer_than_refresh =
        async || Ok((stopped.elapsed() > Duration::from_millis(3500)).then_some(()));
    poll::until("longer than refreshInterval", longer_than_refresh).await?;
    let Report { sent: good, refused, .. } = steady.stop().await?;
    assert!(good > 100 && refused.is_empty(), "{good} sent, denied: {refused:?}");

    let lapsed = async || {
        let response = Request::get("/").bearer(&token).send(envoy.port()).await?;
        Ok((response.status != 200).then_some(response))
    };
    let response = poll::until("the keys to lapse", lapsed).await?;
    assert!(stopped.elapsed() >= Duration::from_secs(3), "expired after {:?}", stopped.elapsed());
    assert_eq!((response.status, response.reason().as_deref()), (503, Some("keys_unavailable")));
    let retry_after = response.header("retry-after").and_then(|text| text.parse().ok());
    let retry_after = Duration::from_secs(retry_after.expect("Retry-After in seconds"));

    api_server.restart().await?;
    let restarted = Instant::now();
    let back = async || {
        Ok((Request::get("/").bearer(&token).send(envoy.port()).await?.status == 200).then_some(()))
    };
    poll::until_within(Duration::from_secs(70), "recovery", back).await?;
    let recovered = restarted.elapsed();
    // A backoff step of the VM that this request reaches.
    assert!(
        recovered <= retry_after + Duration::from_secs(8),
        "after {recovered:?}, said {retry_after:?}"
    );
    println!(
        "{good} requests while the API server was down; recovered after {recovered:?} (said {retry_after:?})"
    );
    Ok(())
}

/// Tokens with unknown kids, without pauses on one connection.
struct Flood {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Vec<u16>>>,
}

impl Flood {
    fn start(port: u16) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let key = SigningKey::generate(KeyKind::P256);
            let mut connection = Connection::http1(port).await?;
            let mut statuses = Vec::new();
            while statuses.len() < 500 || !stopped.load(Ordering::Relaxed) {
                let kid = json!(format!("kid-{}", statuses.len()));
                let token = Token::for_service_account("api", "api").header("kid", kid);
                let request = Request::get("/").bearer(&token.sign(&key));
                statuses.push(connection.send(&request).await?.status);
            }
            Ok(statuses)
        });
        Self { stop, task }
    }

    /// The status of every response.
    async fn stop(self) -> Result<Vec<u16>> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

/// Each denial has Envoy call the VM again, and these calls nest: all at once would overflow its stack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_paused_requests_are_answered_without_a_stack_overflow() -> Result<()> {
    for passes in [false, true] {
        let (api_server, upstream) = (p256_api_server().await?, Upstream::start().await?);
        api_server.set_fault(Endpoint::Jwks, Some(Fault::Slow(Duration::from_secs(3))));
        let config = config(json!({ "timeout": "20s" }));
        let mut config = config;
        // One address may use a quarter of the places.
        config["limits"] = json!({ "waitTimeout": "20s", "maxWaiting": 4000 });
        let setup =
            EnvoySetup::new().api_server(&api_server).upstream(&upstream).plugin_config(config);
        let envoy = setup.patch(raise_circuit_breakers).start().await?;
        let key = SigningKey::generate(KeyKind::P256);
        let token = match passes {
            true => mint(&api_server),
            false => Token::for_service_account("api", "api").sign(&key),
        };
        let port = envoy.port();
        let requests: Vec<_> = (0..1000)
            .map(|_| {
                let request = Request::get("/").bearer(&token);
                tokio::spawn(
                    async move { request.send(port).await.map(|response| response.status) },
                )
            })
            .collect();
        let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
        for request in requests {
            *statuses.entry(request.await??).or_default() += 1;
        }
        let expected = if passes { 200 } else { 401 };
        assert_eq!(statuses, std::collections::BTreeMap::from([(expected, 1000)]));
        assert!(!envoy.log().contains("Maximum call stack"), "{}", envoy.log());
        let good = Request::get("/").bearer(&mint(&api_server)).send(port).await?;
        assert_eq!(good.status, 200, "{}", good.text());
    }
    Ok(())
}

/// By default Envoy allows 1024 concurrent requests and connections to a cluster.
fn raise_circuit_breakers(tree: &mut Value) {
    if let Some(cluster) = tree.pointer_mut("/static_resources/clusters/0") {
        let many =
            json!({ "max_connections": 5000, "max_pending_requests": 5000, "max_requests": 5000 });
        cluster["circuit_breakers"] = json!({ "thresholds": [many] });
    }
}
