//! One Envoy with a listener for each contender, and callers for every listener.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use envoy_test::bench::{BareUpstream, Caller, Process};
use envoy_test::{Envoy, EnvoySetup, KeyKind};

use super::contender::Contender;
use super::interrupted;
use super::listeners;
use super::plan::Plan;
use super::tokens::{Feed, Mint};

/// Everything that runs; it ends when this is dropped.
pub struct Stage {
    envoy: Envoy,
    upstream: BareUpstream,
    /// The contenders with their callers, in their order.
    pub lanes: Vec<Lane>,
}

/// A contender and who calls it.
pub struct Lane {
    /// The contender.
    pub contender: Contender,
    callers: Vec<Caller>,
    feed: Feed,
}

// === impl Stage ===

impl Stage {
    /// Starts Envoy, checks that each contender does its work, and warms all of them up.
    pub async fn start(
        envoy_version: &str,
        plan: &Plan,
        mint: &Mint,
        contenders: Vec<Contender>,
    ) -> Result<Self> {
        let feeds = feeds(plan, mint, &contenders)?;
        let upstream = BareUpstream::start()?;
        let envoy = envoy(envoy_version, plan, mint, &upstream, &contenders).await?;
        let ports = listeners::ports(&envoy).await?;
        let mut lanes = Vec::new();
        for (contender, feed) in contenders.into_iter().zip(feeds) {
            let port = *ports.get(&contender.key).context("a listener for each contender")?;
            let connect = |_| Caller::connect(port, &contender.path);
            let callers = (0..plan.callers).map(connect).collect::<Result<_>>()?;
            lanes.push(Lane { contender, callers, feed });
        }
        let mut stage = Self { envoy, upstream, lanes };
        stage.warm_up(plan).with_context(|| stage.envoy.log_tail())?;
        Ok(stage)
    }

    /// The measured process.
    pub fn process(&self) -> Process {
        Process::new(self.envoy.pid())
    }

    /// The end of its log, to explain an error.
    pub fn log_tail(&self) -> String {
        self.envoy.log_tail()
    }

    fn warm_up(&mut self, plan: &Plan) -> Result<()> {
        for lane in &mut self.lanes {
            eprintln!("  warming up: {}", lane.contender.label);
            let what = lane.contender.label.clone();
            lane.send(1).with_context(|| what.clone())?;
            check_edits(&lane.contender, &self.upstream.last_head())
                .with_context(|| what.clone())?;
            let mut left = plan.warm_up(&lane.contender);
            while left > 0 {
                interrupted()?;
                let now = left.min(WARM_UP_SLICE);
                lane.send(now).with_context(|| what.clone())?;
                left -= now;
            }
        }
        Ok(())
    }
}

// === impl Lane ===

impl Lane {
    /// Sends so many requests, by all callers at once; how long each took, in microseconds.
    pub fn send(&mut self, count: usize) -> Result<Vec<f64>> {
        let tokens = self.feed.draw(count)?;
        if let [caller] = self.callers.as_mut_slice() {
            return send_each(caller, &tokens);
        }
        let share = count.div_ceil(self.callers.len().max(1)).max(1);
        std::thread::scope(|scope| {
            let shares = self.callers.iter_mut().zip(tokens.chunks(share));
            let threads: Vec<_> = shares
                .map(|(caller, tokens)| scope.spawn(move || send_each(caller, tokens)))
                .collect();
            let mut latencies = Vec::with_capacity(count);
            for thread in threads {
                let sent = thread.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?;
                latencies.extend(sent?);
            }
            Ok(latencies)
        })
    }
}

// === private ===

/// Contenders that need the same kind and number of tokens share them: no filter sees what another one saw.
fn feeds(plan: &Plan, mint: &Mint, contenders: &[Contender]) -> Result<Vec<Feed>> {
    let mut minted: Vec<Minted> = Vec::new();
    let mut feeds = Vec::new();
    for contender in contenders {
        // One is sent to check the edits, before all others.
        let (kind, count) = contender.tokens.needed(plan.requests(contender) + 1);
        let known = minted.iter().find(|known| known.kind == kind && known.tokens.len() == count);
        let tokens = match known {
            Some(known) => known.tokens.clone(),
            None => {
                if count > 1 {
                    eprintln!("  minting {count} tokens ({kind:?})");
                }
                let tokens = Arc::new(mint.mint(kind, count));
                minted.push(Minted { kind, tokens: tokens.clone() });
                tokens
            }
        };
        ensure!(tokens.len() == count, "{} of {count} tokens", tokens.len());
        feeds.push(Feed::new(contender.tokens, tokens));
    }
    Ok(feeds)
}

struct Minted {
    kind: KeyKind,
    tokens: Arc<Vec<String>>,
}

async fn envoy(
    version: &str,
    plan: &Plan,
    mint: &Mint,
    upstream: &BareUpstream,
    contenders: &[Contender],
) -> Result<Envoy> {
    let (port, contenders) = (upstream.port(), contenders.to_vec());
    eprintln!("  starting Envoy {version} with {} listeners", contenders.len());
    // Names a module that is there, though each listener names its own.
    EnvoySetup::new()
        .version(version)
        .module("/proc/self/exe")
        .api_server(mint.api_server())
        .concurrency(plan.workers)
        .patch(move |tree| listeners::install(tree, port, &contenders))
        .start()
        .await
}

fn send_each(caller: &mut Caller, tokens: &[&str]) -> Result<Vec<f64>> {
    let send = |token: &&str| Ok(caller.send(token)?.as_secs_f64() * 1e6);
    tokens.iter().map(send).collect()
}

/// Fails if a filter does not do its work.
fn check_edits(contender: &Contender, head: &str) -> Result<()> {
    let has = |name: &str| head.lines().any(|line| line.starts_with(&format!("{name}:")));
    ensure!(!head.is_empty(), "no request at the upstream");
    let told = [has("x-sa-namespace"), has("x-sa-name")];
    ensure!(
        !contender.edits || told == [true; 2],
        "the upstream received no identity headers:\n{head}"
    );
    ensure!(!contender.edits || !has("authorization"), "the upstream received the token:\n{head}");
    Ok(())
}

const WARM_UP_SLICE: usize = 1000;
