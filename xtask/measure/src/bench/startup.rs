//! The time from the start of Envoy's process to the first response.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use envoy_test::bench::{BareUpstream, Caller, Process};
use envoy_test::{EnvoySetup, KeyKind};

use super::contender::{Contender, Filter, PATH};
use super::filters;
use super::interrupted;
use super::listeners;
use super::modules::Modules;
use super::statistics::Spread;
use super::tokens::Mint;

/// In milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Startup {
    /// Without a filter.
    pub without_filter: Spread,
    /// With sa-authn, which compiles, fetches keys, and lets the first request with a token pass.
    pub ours: Spread,
}

/// Starts Envoys that have one listener each.
pub async fn measure(
    envoy_version: &str,
    mint: &Mint,
    modules: &Modules,
    times: usize,
) -> Result<Startup> {
    eprintln!("Start:");
    let ours = Filter::wasm(&modules.ours, filters::ours().to_string());
    let contenders = [Contender::no_filter(), Contender::new("ours", "sa-authn", ours)];
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..times {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            interrupted()?;
            samples.push(start(envoy_version, mint, contender).await?.as_secs_f64() * 1e3);
        }
    }
    let [without_filter, ours] = samples.map(|samples| Spread::of(&samples));
    Ok(Startup { without_filter, ours })
}

// === private ===

/// Asks again and again, from before Envoy listens; Envoy's own age is the time.
async fn start(envoy_version: &str, mint: &Mint, contender: &Contender) -> Result<Duration> {
    let upstream = BareUpstream::start()?;
    // Known before Envoy is ready. The kernel assigns such ports in turn, so no other process takes it meanwhile.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let token = mint.mint(KeyKind::Rsa2048, 1).swap_remove(0);
    let answered = Arc::new(OnceLock::new());
    let asking = thread::spawn({
        let answered = answered.clone();
        move || ask(port, &token, &answered)
    });
    let (upstream_port, contenders) = (upstream.port(), vec![contender.clone()]);
    let envoy = EnvoySetup::new()
        .version(envoy_version)
        .module("/proc/self/exe")
        .api_server(mint.api_server())
        .patch(move |tree| {
            listeners::install(tree, upstream_port, &contenders);
            tree["static_resources"]["listeners"][0]["address"] = listeners::loopback(port);
        })
        .start()
        .await?;
    asking.join().map_err(|_| anyhow!("the caller panicked"))??;
    let answered = answered.get().context("no answer")?;
    Ok(Process::new(envoy.pid()).age()?.saturating_sub(answered.elapsed()))
}

fn ask(port: u16, token: &str, answered: &OnceLock<Instant>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        // Refused until Envoy listens. Once it does, an answer that is not 200 ends the measurement.
        if let Ok(mut caller) = Caller::connect(port, PATH) {
            caller.send(token)?;
            let _ = answered.set(Instant::now());
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    bail!("no answer in {LIMIT:?}")
}

const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(1);
