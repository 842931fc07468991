//! An idle filter only reads the clock once a second.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{EnvoySetup, Upstream};
use serde_json::{Value, json};

#[tokio::test]
async fn envoy_threads_sleep_without_keys_to_fetch() -> Result<()> {
    for version in oldest_and_newest() {
        let upstream = Upstream::start().await?;
        let setup = EnvoySetup::new().version(&version).upstream(&upstream);
        let envoy = setup.plugin_config(static_keys()).start().await?;
        let before = switches(envoy.pid())?;
        // Measures the wake-ups during this time.
        tokio::time::sleep(WATCHED).await;
        let woken = switches(envoy.pid())? - before;
        ensure!(woken < MOST, "Envoy {version} woke {woken} times in {WATCHED:?}");
    }
    Ok(())
}

/// The voluntary context switches of all threads of a process.
fn switches(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += line.context("no voluntary_ctxt_switches")?.trim().parse::<u64>()?;
    }
    Ok(sum)
}

fn static_keys() -> Value {
    // The key of RFC 7517, appendix A.1.
    let key = json!({
        "kty": "EC",
        "crv": "P-256",
        "kid": "1",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    });
    json!({ "issuers": [{
        "issuer": "https://kubernetes.default.svc.cluster.local",
        "audiences": ["secret-store"],
        "keys": { "inline": { "keys": [key] } },
    }] })
}

const WATCHED: Duration = Duration::from_secs(1);

/// A tick of one millisecond would cause a thousand on each thread with a VM.
const MOST: u64 = 300;
