//! The number of reviews: none for invalid tokens, at most the limit at once, and few for steady callers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::reviews::{check_passes, gate, invalid, outcome, reviewed, reviewer};
use crate::support::{Gate, api, get};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::load::Steady;
use envoy_test::{Endpoint, Fault, Request, Token, poll};
use serde_json::json;
use std::collections::BTreeMap;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

/// The number of requests per outcome, with a limit of concurrent requests.
async fn outcomes(
    gate: &Gate,
    tokens: Vec<String>,
    at_once: usize,
) -> Result<BTreeMap<String, usize>> {
    let (port, room) = (gate.envoy.port(), Arc::new(Semaphore::new(at_once)));
    let mut sent = JoinSet::new();
    for token in tokens {
        let room = room.clone().acquire_owned().await?;
        sent.spawn(async move {
            let response = get(&token).send(port).await;
            drop(room);
            response
        });
    }
    let mut counts = BTreeMap::new();
    for response in sent.join_all().await {
        *counts.entry(outcome(&response?)).or_default() += 1;
    }
    Ok(counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_invalid_tokens_cause_no_review_after_verification() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        let gate = gate(&version, &api_server, reviewed("afterVerification", json!({}))).await?;
        let good = api_server.mint(api());
        let kid = api_server.signing_key().kid().to_owned();
        let mut tokens = invalid(&kid, INVALID / 2);
        tokens.extend(invalid("unknown-kid", INVALID / 2));
        let counts = outcomes(&gate, tokens, 100).await?;
        assert_eq!(api_server.count(Endpoint::TokenReview), 0, "Envoy {version}");
        assert_eq!(
            counts.get("401 bad_signature"),
            Some(&(INVALID / 2)),
            "Envoy {version}: {counts:?}"
        );
        // Invented kids are unknown, or the request is paused until the keys are fetched.
        let unknown: usize = counts
            .iter()
            .filter(|(what, _)| *what != "401 bad_signature")
            .map(|(_, count)| count)
            .sum();
        assert_eq!(unknown, INVALID / 2, "Envoy {version}: {counts:?}");
        assert!(!counts.contains_key("200"), "Envoy {version}: {counts:?}");
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        gate.check_alive(&good).await?;
        assert_eq!(api_server.count(Endpoint::TokenReview), 1, "Envoy {version}");
        println!("Envoy {version}: {counts:?}, no review");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_invalid_tokens_cause_at_most_48_reviews_at_once_with_instead() -> Result<()>
{
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        let review = json!({ "timeout": "60s", "cacheTtl": "1s", "refreshAhead": "0s" });
        let mut config = reviewed("instead", review);
        config["limits"] = json!({ "waitTimeout": "30s" });
        let gate = gate(&version, &api_server, config).await?;
        let steady = api_server.mint(api());
        check_passes(gate.envoy.port(), &steady).await?;
        let before = api_server.count(Endpoint::TokenReview);
        api_server.set_fault(Endpoint::TokenReview, Some(Fault::UntilCleared));
        let mut tokens = invalid("unknown-kid", INVALID);
        let flood = tokens.split_off(NEW_CALLERS);
        // Requests that find a place are paused until their response.
        let port = gate.envoy.port();
        let waiting: JoinSet<_> =
            tokens.into_iter().map(|token| async move { get(&token).send(port).await }).collect();
        poll::until("48 reviews under way", async || {
            Ok((api_server.under_way(Endpoint::TokenReview) == NEW_CALLERS).then_some(()))
        })
        .await?;
        let counts = outcomes(&gate, flood, 100).await?;
        let expected = BTreeMap::from([("503 overloaded".to_owned(), INVALID - NEW_CALLERS)]);
        assert_eq!(counts, expected, "Envoy {version}");
        assert_eq!(
            api_server.most_under_way(Endpoint::TokenReview),
            NEW_CALLERS,
            "Envoy {version}"
        );
        assert_eq!(
            api_server.count(Endpoint::TokenReview) - before,
            NEW_CALLERS,
            "Envoy {version}"
        );
        // A place is reserved for a previously approved token whose approval has expired.
        let send = || {
            let request = get(&steady);
            tokio::spawn(async move { request.send(port).await })
        };
        let mut known = send();
        poll::until("a 49th review", async || {
            if known.is_finished() {
                known = send();
            }
            Ok((api_server.under_way(Endpoint::TokenReview) == NEW_CALLERS + 1).then_some(()))
        })
        .await
        .with_context(|| format!("Envoy {version}"))?;
        api_server.set_fault(Endpoint::TokenReview, None);
        assert_eq!(outcome(&known.await??), "200", "Envoy {version}");
        for response in waiting.join_all().await {
            assert_eq!(outcome(&response?), "401 bad_signature", "Envoy {version}");
        }
        gate.check_alive(&steady).await?;
        let most = api_server.most_under_way(Endpoint::TokenReview);
        println!("Envoy {version}: {counts:?}, at most {most} reviews at once");
    }
    Ok(())
}

/// Sends 10,000 requests of 50 callers over four periods of the cache, while each review takes long.
async fn steady_callers(version: String, purpose: &'static str) -> Result<String> {
    let api_server = reviewer().await?;
    let review = json!({ "cacheTtl": "5s", "refreshAhead": "2s" });
    let gate = gate(&version, &api_server, reviewed(purpose, review)).await?;
    let tokens: Vec<_> = (0..CALLERS)
        .map(|number| Token::for_service_account("api", &format!("caller-{number}")))
        .map(|token| api_server.mint(token))
        .collect();
    let start = Instant::now();
    let mut callers = Vec::new();
    for token in &tokens {
        check_passes(gate.envoy.port(), token).await?;
        callers.push(Steady::paced(gate.envoy.port(), Request::get("/").bearer(token), PACE));
    }
    // From now on each review takes long, and no request waits for one.
    api_server.set_fault(Endpoint::TokenReview, Some(Fault::Slow(SLOW)));
    poll::until_within(Duration::from_secs(60), "10,000 requests", async || {
        let sent: usize = callers.iter().map(Steady::sent).sum();
        Ok((sent >= REQUESTS).then_some(()))
    })
    .await?;
    let (mut sent, mut slowest) = (0, Duration::ZERO);
    for caller in callers {
        let report = caller.stop().await?;
        ensure!(report.refused.is_empty(), "{:?}", report.refused);
        sent += report.sent;
        slowest = slowest.max(report.slowest);
    }
    let (reviews, took) = (api_server.count(Endpoint::TokenReview), start.elapsed());
    // Each token once, and again at the earliest after three seconds.
    let periods = took.as_secs() / 3;
    let most = CALLERS * (1 + usize::try_from(periods)?);
    ensure!(reviews <= most, "{reviews} reviews in {took:?}, at most {most}");
    ensure!(periods < 3 || reviews >= 3 * CALLERS, "{reviews} reviews in {took:?}: not refreshed");
    let missed = gate.envoy.wait_stat(MISS, |missed| missed > 0).await?;
    ensure!(missed == CALLERS as u64, "{missed} requests waited, {CALLERS} of them the first");
    let found = gate.envoy.wait_stat(ACCEPTED, |found| found == sent as u64).await?;
    Ok(format!(
        "Envoy {version}, {purpose}: {sent} requests in {took:.1?}, {reviews} reviews (at most {most}), \
         {missed} waited (the first of each), {found} found a fresh yes; the slowest took {slowest:.1?} \
         while a review took {SLOW:?}"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steady_callers_cause_few_reviews_and_wait_only_for_the_first() -> Result<()> {
    LocalSet::new()
        .run_until(async {
            let mut all = JoinSet::new();
            for version in oldest_and_newest() {
                for purpose in crate::support::reviews::USES {
                    all.spawn_local(steady_callers(version.clone(), purpose));
                }
            }
            for line in all.join_all().await {
                println!("{}", line?);
            }
            Ok(())
        })
        .await
}

const MISS: &str = "wasmcustom.sa_authn.review_cache.miss";
const ACCEPTED: &str = "wasmcustom.sa_authn.review_cache.accepted";

const INVALID: usize = 5000;
/// A quarter of the 64 places is reserved for previously approved tokens.
const NEW_CALLERS: usize = 48;

const CALLERS: usize = 50;
const REQUESTS: usize = 10_000;
const PACE: Duration = Duration::from_millis(100);
const SLOW: Duration = Duration::from_millis(800);
