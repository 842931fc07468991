//! Callers that send slowly, and callers that hang up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use envoy_test::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::callers::{DEADLINE, judge};
use super::expected::Conditions;
use super::kind::{Case, Kind};
use super::random::Random;
use super::stage::Stage;

/// Runs all of them until the stage ends.
pub fn start(stage: &Arc<Stage>) -> Vec<JoinHandle<()>> {
    let slow = (0..4).map(|seed| tokio::spawn(slowly(stage.clone(), Random::new(2000 + seed))));
    let gone = (0..3).map(|seed| tokio::spawn(leaving(stage.clone(), Random::new(3000 + seed))));
    slow.chain(gone).collect()
}

// === private ===

async fn slowly(stage: Arc<Stage>, mut random: Random) {
    while !stage.is_over() {
        let page = stage.tokens.page();
        let kinds =
            [Kind::EastSteady, Kind::WestSteady, Kind::Body, Kind::Missing, Kind::BadSignature];
        let kind = kinds[random.below(kinds.len() as u64) as usize];
        let case = kind.case(&stage.tokens, &page, &mut random);
        match timeout(SLOW_DEADLINE, slow_request(stage.envoy.port(), &case)).await {
            Err(_) => stage.tally.stuck(kind, SLOW_DEADLINE),
            Ok(Err(error)) => stage.tally.lost(kind, &error.context("a slow caller")),
            Ok(Ok((under, response))) => judge(&stage, &case, &under, &response),
        }
    }
}

/// In pieces of a few bytes, over some two seconds.
async fn slow_request(port: u16, case: &Case) -> Result<(Conditions, Response)> {
    let bytes = case.request.http1_bytes();
    let opening = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    for piece in bytes.chunks(bytes.len().div_ceil(PIECES)) {
        stream.write_all(piece).await?;
        sleep(BETWEEN_PIECES).await;
    }
    // The request arrives between the first and the last piece.
    let sent = opening;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let now = Instant::now();
    let response = Response::parse_http1(&answer).context("no answer")?;
    Ok((Conditions { opening, opened: now, sent, answered: now }, response))
}

async fn leaving(stage: Arc<Stage>, mut random: Random) {
    while !stage.is_over() {
        let page = stage.tokens.page();
        let kind = Kind::any(&mut random);
        let case = kind.case(&stage.tokens, &page, &mut random);
        let all = case.request.http1_bytes();
        let sent = match random.below(3) {
            0 => all.len() / 2,
            1 => all.len() - 1,
            _ => all.len(),
        };
        let patience = Duration::from_millis(random.below(40));
        if let Err(error) = leave(stage.envoy.port(), &all[..sent], patience).await {
            stage.tally.lost(kind, &error.context("a caller that hangs up"));
        }
        stage.tally.gone();
        drop(page);
        sleep(BETWEEN_LEAVERS).await;
    }
}

async fn leave(port: u16, bytes: &[u8], patience: Duration) -> Result<()> {
    let mut stream = timeout(DEADLINE, TcpStream::connect(("127.0.0.1", port))).await??;
    stream.write_all(bytes).await?;
    sleep(patience).await;
    // With zero linger the kernel sends a RST at once.
    stream.set_zero_linger()?;
    Ok(())
}

const PIECES: usize = 60;
const BETWEEN_PIECES: Duration = Duration::from_millis(30);
const BETWEEN_LEAVERS: Duration = Duration::from_millis(400);
const SLOW_DEADLINE: Duration = Duration::from_secs(20);
