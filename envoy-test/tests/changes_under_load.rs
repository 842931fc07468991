//! Configuration and module change through Envoy's file-based xDS under load: each request is evaluated with the
//! configuration it arrived under.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::support::{Gate, api, config, discovery, get, http_options_of, p256_api_server};
use anyhow::{Context, Result, ensure};
use envoy_test::bench::Process;
use envoy_test::envoy::{default_module, oldest_and_newest};
use envoy_test::{ApiServer, Endpoint, EnvoySetup, Request, Token, poll};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Even configurations allow `api/api`, odd ones `web/web`.
fn numbered(number: u64) -> Value {
    let mut config = config(discovery(json!({})));
    let account = if number.is_multiple_of(2) { "api/api" } else { "web/web" };
    config["rules"] = json!([{ "name": "secrets", "paths": ["/secrets/*"], "allow": [account] }]);
    config["answers"] = json!({ "realm": format!("configuration {number}") });
    config
}

/// 64 KiB pages of the VMs' memories.
fn pages(gate: &Gate) -> Result<u64> {
    Ok(Process::new(gate.envoy.pid()).wasm_memories()?.iter().sum::<u64>() >> 16)
}

async fn start(version: &str, api_server: &ApiServer) -> Result<Gate> {
    let setup = EnvoySetup::new().version(version).api_server(api_server).concurrency(WORKERS);
    let setup = setup.dynamic_listener(DRAIN_TIME).plugin_config(numbered(0));
    let gate = Gate::start(setup).await?;
    gate.check_alive(&api_server.mint(api())).await?;
    // A configuration that arrives during a fetch has no keys to take over.
    gate.envoy.wait_keys(VMS_OF_MODULE).await?;
    Ok(gate)
}

/// The configurations that may be active: `2 * n` means only n, `2 * n + 1` means n or n + 1.
#[derive(Debug, Default)]
struct Epoch(AtomicU64);

impl Epoch {
    fn begins_to_change(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn has_changed(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A request, and the expected response of each configuration.
type Kind = (Request, fn(u64) -> u16);

/// Requests of one kind, each on a new connection and soon after the previous one, until they are stopped, and their number.
struct Callers {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Callers {
    fn start(port: u16, epoch: &Arc<Epoch>, kinds: Vec<Kind>) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = kinds.into_iter().map(|(request, right)| {
            let (stop, sent, epoch) = (stop.clone(), sent.clone(), epoch.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let before = epoch.now();
                    let answer = request.send(port).await?.status;
                    let after = epoch.now();
                    let judges: Vec<_> = (before / 2..=after.div_ceil(2)).collect();
                    ensure!(
                        judges.iter().any(|number| right(*number) == answer),
                        "{answer}, where the configurations {judges:?} may judge"
                    );
                    sent.fetch_add(1, Ordering::Relaxed);
                    sleep(PACE).await;
                }
                Ok(())
            })
        });
        let tasks = tasks.collect();
        Self { stop, sent, tasks }
    }

    fn for_all(port: u16, epoch: &Arc<Epoch>, api_server: &ApiServer) -> Self {
        let even = |number: u64| if number.is_multiple_of(2) { 200 } else { 403 };
        let odd = |number: u64| if number.is_multiple_of(2) { 403 } else { 200 };
        let web = api_server.mint(Token::for_service_account("web", "web"));
        let kinds: Vec<Kind> = vec![
            (get(&api_server.mint(api())), even),
            (get(&web), odd),
            (get(&web).http2(), odd),
            (Request::get("/secrets/1"), |_| 401),
        ];
        Self::start(port, epoch, kinds)
    }

    /// Fails as soon as a request has failed.
    async fn more(&mut self, count: u64) -> Result<()> {
        let enough = self.sent.load(Ordering::Relaxed) + count;
        poll::until("more requests", async || {
            for task in self.tasks.iter_mut().filter(|task| task.is_finished()) {
                task.await??;
            }
            Ok((self.sent.load(Ordering::Relaxed) >= enough).then_some(()))
        })
        .await
    }

    async fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

/// Changes the listener, and returns when each worker uses it.
async fn change(gate: &Gate, epoch: &Epoch, change: impl FnOnce(&mut Value)) -> Result<()> {
    let taken = gate.envoy.stat(TAKEN).await? + u64::from(WORKERS);
    epoch.begins_to_change();
    gate.envoy.replace_listener(change)?;
    gate.envoy.wait_stat(TAKEN, |count| count >= taken).await?;
    epoch.has_changed();
    Ok(())
}

fn plugin(listener: &mut Value) -> &mut Value {
    let http = http_options_of(listener);
    &mut http["http_filters"][0]["typed_config"]["config"]
}

fn fetches(api_server: &ApiServer) -> [usize; 2] {
    [Endpoint::Discovery, Endpoint::Jwks].map(|one| api_server.count(one))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundred_configuration_changes_under_load_cause_no_wrong_verdict() -> Result<()> {
    for version in oldest_and_newest() {
        let (api_server, epoch) = (p256_api_server().await?, Arc::new(Epoch::default()));
        let gate = start(&version, &api_server).await?;
        let mut callers = Callers::for_all(gate.envoy.port(), &epoch, &api_server);
        for number in 1..=100 {
            let config = numbered(number).to_string();
            let new = |listener: &mut Value| {
                plugin(listener)["configuration"]["value"] = json!(config);
            };
            change(&gate, &epoch, new).await?;
            let more = callers.more(10).await;
            more.with_context(|| format!("Envoy {version}, change {number}"))?;
        }
        let sent = callers.stop().await.with_context(|| format!("Envoy {version}"))?;
        println!("Envoy {version}: 100 changes, {sent} requests, no wrong verdict");
        // Each VM fetches once; a new configuration takes over the keys of the old one.
        let expected = [VMS_OF_MODULE, VMS_OF_MODULE];
        assert_eq!(fetches(&api_server), expected, "Envoy {version}, {sent} requests");
        gate.check_alive(&api_server.mint(api())).await?;
    }
    Ok(())
}

/// The release module with a custom section that contains a number: different bytes, same behaviour.
fn copy(folder: &Path, number: u8) -> Result<std::path::PathBuf> {
    let mut bytes = std::fs::read(default_module())?;
    // Section 0, of three bytes: a name of one letter, and the number.
    bytes.extend([0, 3, 1, b'n', number]);
    let path = folder.join(format!("copy-{number}.wasm"));
    std::fs::write(&path, bytes)?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn module_upgrades_under_load_cause_no_wrong_verdict() -> Result<()> {
    const UPGRADES: u8 = 4;
    for version in oldest_and_newest() {
        let (api_server, epoch) = (p256_api_server().await?, Arc::new(Epoch::default()));
        let gate = start(&version, &api_server).await?;
        let vms = gate.envoy.stat(VMS).await?;
        let folder = tempfile::tempdir()?;
        let mut callers = Callers::for_all(gate.envoy.port(), &epoch, &api_server);
        for number in 1..=UPGRADES {
            let module = copy(folder.path(), number)?;
            let config = numbered(number.into()).to_string();
            let new = |listener: &mut Value| {
                let plugin = plugin(listener);
                plugin["vm_config"]["code"]["local"]["filename"] = json!(module);
                plugin["configuration"]["value"] = json!(config);
            };
            change(&gate, &epoch, new).await?;
            let more = callers.more(100).await;
            more.with_context(|| format!("Envoy {version}, upgrade {number}"))?;
            gate.envoy.wait_keys(VMS_OF_MODULE * (usize::from(number) + 1)).await?;
        }
        let sent = callers.stop().await.with_context(|| format!("Envoy {version}"))?;
        println!("Envoy {version}: {UPGRADES} upgrades, {sent} requests, no wrong verdict");
        // A new module is a new VM, which fetches its own keys.
        let vms_in_all = VMS_OF_MODULE * (usize::from(UPGRADES) + 1);
        let expected = [vms_in_all, vms_in_all];
        assert_eq!(fetches(&api_server), expected, "Envoy {version}, {sent} requests");
        // The VMs of the old modules end with their last request.
        gate.envoy.wait_stat(VMS, |now| now <= vms).await.with_context(|| version.clone())?;
        gate.check_alive(&api_server.mint(api())).await?;
    }
    Ok(())
}

/// With 600 changes the result was the same: no growth after the first 100.
#[tokio::test]
async fn replaced_configurations_do_not_leak_memory() -> Result<()> {
    let api_server = p256_api_server().await?;
    let setup = EnvoySetup::new().api_server(&api_server).plugin_config(numbered(0));
    let gate = Gate::start(setup.dynamic_listener(Duration::from_secs(1))).await?;
    let mut early = 0;
    for number in 1..=HALF * 2 {
        let (taken, config) = (gate.envoy.stat(TAKEN).await?, numbered(number).to_string());
        gate.envoy.replace_listener(|listener| {
            plugin(listener)["configuration"]["value"] = json!(config);
        })?;
        gate.envoy.wait_stat(TAKEN, |now| now > taken).await?;
        // Wasm memory never shrinks: it has the size for the most configurations that were active at once.
        gate.envoy.wait_stat(DRAINING, |listeners| listeners <= 10).await?;
        let status = get(&api_server.mint(api())).send(gate.envoy.port()).await?.status;
        ensure!(status == if number.is_multiple_of(2) { 200 } else { 403 }, "{status} by {number}");
        if number == HALF {
            early = pages(&gate)?;
        }
    }
    let late = pages(&gate)?;
    println!("pages after {HALF} changes: {early}, after twice as many: {late}");
    // Ten active configurations take about three pages in each VM, and their number depends on the machine's speed: 61 to 69
    // pages were seen. A leak of each configuration would take more than twenty.
    let allowed = 3 * gate.envoy.stat(VMS).await?;
    assert!(early > 0 && late <= early + allowed, "{early} pages, then {late}, allowed {allowed}");
    Ok(())
}

/// A busy caller, and not one that keeps a core busy: the workers compile modules meanwhile.
const PACE: Duration = Duration::from_millis(5);

const HALF: u64 = 90;

const DRAINING: &str = "listener_manager.total_listeners_draining";

const WORKERS: u32 = 2;

/// One for each worker, and that of the main thread.
const VMS_OF_MODULE: usize = WORKERS as usize + 1;

/// A worker that compiles a module sends no responses. After this time, Envoy closes the old connections.
const DRAIN_TIME: Duration = Duration::from_secs(12);

/// Counts each worker that has taken a listener.
const TAKEN: &str = "listener_manager.listener_create_success";

/// How many VMs there are.
const VMS: &str = "wasm.envoy.wasm.runtime.v8.active";
