//! `cargo xtask soak --tokens N`: sends N different valid tokens, then N invalid tokens, and reports verdicts and memory.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use envoy_test::bench::{BareUpstream, Caller, Process};
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER};
use envoy_test::{
    ApiServer, ApiServerOptions, Envoy, EnvoySetup, KeyKind, SigningKey, Token, unix_now,
};
use serde_json::json;

use super::report::mb;

/// Sends the tokens, and fails after a wrong verdict or unbounded memory growth.
pub async fn run(version: &str, module: PathBuf, workers: u32, tokens: u64) -> Result<ExitCode> {
    let options = ApiServerOptions { key_kind: KeyKind::P256, ..ApiServerOptions::default() };
    let api_server = ApiServer::start(options).await?;
    let upstream = BareUpstream::start()?;
    let envoy = envoy(version, module, workers, &api_server, &upstream).await?;
    let flood = Flood {
        port: envoy.port(),
        process: Process::new(envoy.pid()),
        key: api_server.signing_key(),
        foreign: SigningKey::generate(KeyKind::P256),
    };
    println!(
        "Envoy {version}, {workers} workers, {tokens} tokens of each kind, none of them twice.\n"
    );
    println!(
        "| sent | expected response | seconds | RSS before | full caches | after | VMs before | full caches | after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let valid = flood.send("valid, ES256", tokens, |flood, n| flood.valid(n))?;
    let invalid = flood.send("invalid", tokens, |flood, n| flood.invalid(n))?;
    let dead = envoy.vm_failures().await?;
    ensure!(dead.is_empty(), "a VM died: {}", dead.join("\n"));
    for memory in [valid, invalid] {
        ensure!(!memory.grows(), "memory grew after the caches were full: {memory:?}");
    }
    Ok(ExitCode::SUCCESS)
}

struct Flood {
    port: u16,
    process: Process,
    key: SigningKey,
    foreign: SigningKey,
}

/// In bytes, of the process and of its VMs: before, when caches are full, and after.
#[derive(Debug)]
struct Memory {
    resident: [u64; 3],
    wasm: [u64; 3],
}

/// A token, and the expected reason; `None` if it passes.
struct Sent {
    token: String,
    reason: Option<&'static str>,
}

// === impl Flood ===

impl Flood {
    fn send(
        &self,
        name: &str,
        count: u64,
        make: impl Fn(&Self, u64) -> Sent + Sync,
    ) -> Result<Memory> {
        let (start, next) = (Instant::now(), AtomicU64::new(0));
        let mut memory =
            Memory { resident: [self.process.resident_bytes()?; 3], wasm: [self.wasm()?; 3] };
        // The token cache of each worker has 10,000 entries.
        let warm = count.min(WARM);
        self.send_until(warm, &next, &make)?;
        (memory.resident[1], memory.wasm[1]) = (self.process.resident_bytes()?, self.wasm()?);
        self.send_until(count, &next, &make)?;
        (memory.resident[2], memory.wasm[2]) = (self.process.resident_bytes()?, self.wasm()?);
        let took = start.elapsed().as_secs();
        let [r0, r1, r2] = memory.resident.map(|bytes| mb(bytes as f64));
        let [w0, w1, w2] = memory.wasm.map(|bytes| mb(bytes as f64));
        println!(
            "| {name} | {count} of {count} | {took} | {r0} | {r1} | {r2} | {w0} | {w1} | {w2} |"
        );
        Ok(memory)
    }

    fn send_until(
        &self,
        end: u64,
        next: &AtomicU64,
        make: &(impl Fn(&Self, u64) -> Sent + Sync),
    ) -> Result<()> {
        thread::scope(|scope| {
            let callers: Vec<_> =
                (0..CALLERS).map(|_| scope.spawn(|| self.call(end, next, make))).collect();
            for caller in callers {
                caller.join().map_err(|_| anyhow::anyhow!("a caller panicked"))??;
            }
            Ok(())
        })
    }

    fn call(
        &self,
        end: u64,
        next: &AtomicU64,
        make: &(impl Fn(&Self, u64) -> Sent + Sync),
    ) -> Result<()> {
        let mut caller = Caller::connect(self.port, "/secrets/1")?;
        while let Some(n) = claim(next, end) {
            let Sent { token, reason } = make(self, n);
            let answer = caller.ask(&token)?;
            let right = match reason {
                None => answer.status == 200,
                Some(reason) => {
                    answer.status == 401 && answer.body.contains(&format!("\"{reason}\""))
                }
            };
            if !right {
                bail!(
                    "token {n} is answered {} {}, expected {reason:?}",
                    answer.status,
                    answer.body
                );
            }
        }
        Ok(())
    }

    fn valid(&self, n: u64) -> Sent {
        Sent { token: model(n).sign(&self.key), reason: None }
    }

    fn invalid(&self, n: u64) -> Sent {
        let model = model(n);
        let (token, reason) = match n % 8 {
            0 => (model.header("kid", json!(self.key.kid())).sign(&self.foreign), "bad_signature"),
            1 => (altered(&model.sign(&self.key), n), "bad_signature"),
            2 => (format!("{n:x}.{n:o}.{n}"), "malformed_token"),
            3 => (
                model.issued_at(unix_now() - 9000).expires_at(unix_now() - 7000).sign(&self.key),
                "expired",
            ),
            4 => (model.audience(&format!("service-{n}")).sign(&self.key), "wrong_audience"),
            5 => (model.issuer(&format!("https://{n}.example")).sign(&self.key), "unknown_issuer"),
            6 => (
                model.claim("sub", json!(format!("user-{n}"))).sign(&self.key),
                "not_a_service_account",
            ),
            _ => (model.header("alg", json!("HS256")).sign(&self.key), "unsupported_algorithm"),
        };
        Sent { token, reason: Some(reason) }
    }

    fn wasm(&self) -> Result<u64> {
        Ok(self.process.wasm_memories()?.iter().sum())
    }
}

// === impl Memory ===

impl Memory {
    fn grows(&self) -> bool {
        let [_, full, after] = self.resident;
        after as f64 > full as f64 * MOST_GROWTH
    }
}

// === private ===

async fn envoy(
    version: &str,
    module: PathBuf,
    workers: u32,
    api_server: &ApiServer,
    upstream: &BareUpstream,
) -> Result<Envoy> {
    let config = json!({
        "issuers": [{
            "name": "local", "issuer": DEFAULT_ISSUER, "audiences": [DEFAULT_AUDIENCE],
            "keys": { "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" } },
        }],
    });
    EnvoySetup::new()
        .version(version)
        .module(&module)
        .plugin_config(config)
        .api_server(api_server)
        .upstream_port(upstream.port())
        .concurrency(workers)
        .patch(|tree| {
            let listener = &mut tree["static_resources"]["listeners"][0];
            listener["filter_chains"][0]["filters"][0]["typed_config"]["access_log"] = json!([]);
        })
        .start()
        .await
}

fn claim(next: &AtomicU64, end: u64) -> Option<u64> {
    next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < end).then_some(n + 1)).ok()
}

fn model(n: u64) -> Token {
    let jti = format!("{n:08x}-9a3e-4b07-8c55-d1f0e2a7b6c4");
    Token::for_service_account("api", &format!("api-{}", n % 1000)).claim("jti", json!(jti))
}

/// Replaces one character in the middle of the signature.
fn altered(token: &str, n: u64) -> String {
    let at = token.len() - 20 - (n % 40) as usize;
    let letter = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{letter}{}", &token[..at], &token[at + 1..])
}

const CALLERS: usize = 16;

/// Enough to fill the caches of all workers, 10,000 entries each, also of one that has a single connection: kernels
/// spread them as they like.
const WARM: u64 = 400_000;

/// Relative to the memory with full caches.
const MOST_GROWTH: f64 = 1.05;
