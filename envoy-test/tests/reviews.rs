//! TokenReviews: tokens of deleted pods, service accounts and secrets, and requests that wait for a review.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::support::reviews::{
    Place, USES, check_passes, gate, outcome, places, reviewed, reviewer,
};
use crate::support::{ACTIVE, Gate, answers, api, check_refused, get, listeners, post, send_all};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::{oldest_and_newest, versions};
use envoy_test::load::Steady;
use envoy_test::{ApiServer, Endpoint, EnvoySetup, Fault, Token, poll};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};

/// Sends a token that has passed until it is denied as revoked, and returns the time.
async fn becomes_revoked(port: u16, token: &str, within: Duration) -> Result<Duration> {
    let start = Instant::now();
    poll::until_within(within, "a token to be revoked", async || {
        let response = get(token).send(port).await?;
        if response.status != 200 {
            check_refused(&response, 401, "revoked")?;
        }
        Ok((response.status == 401).then(|| start.elapsed()))
    })
    .await
}

/// Deletes a pod and a service account whose tokens are in use.
async fn deletes(gate: &Gate, place: Place, own_cache: bool) -> Result<String> {
    let Place { port, api_server } = place;
    api_server.set_success_cache(own_cache);
    let pod = api_server.mint(api().pod("api-1"));
    let account = api_server.mint(Token::for_service_account("web", "web"));
    let others = [api().pod("api-2"), api(), Token::for_service_account("web", "other")]
        .map(|token| get(&api_server.mint(token)))
        .map(|request| Steady::paced(port, request, PACE));
    check_passes(port, &pod).await?;
    check_passes(port, &account).await?;
    api_server.delete_pod("api", "api-1");
    api_server.delete_service_account("web", "web");
    let within = CACHE_TTL + if own_cache { API_SERVERS_OWN } else { Duration::ZERO };
    // Requests in flight must still be answered.
    let (pod_took, account_took) = tokio::try_join!(
        becomes_revoked(port, &pod, within + MARGIN),
        becomes_revoked(port, &account, within + MARGIN)
    )?;
    let mut sent = 0;
    for other in others {
        let report = other.stop().await?;
        ensure!(report.refused.is_empty(), "others are refused: {:?}", report.refused);
        sent += report.sent;
    }
    check_revoked(port, &[pod, account]).await?;
    gate.check_alive_at(port, &api_server.mint(api())).await?;
    Ok(format!(
        "the API server's own cache {own_cache}: revoked after \
         {pod_took:.1?} and {account_took:.1?} of at most {within:?}; {sent} requests of others passed"
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_deleted_pods_and_accounts_are_revoked_in_time() -> Result<()> {
    for version in oldest_and_newest() {
        let cases = USES.into_iter().flat_map(|purpose| [(purpose, true), (purpose, false)]);
        let cases: Vec<_> = cases.collect();
        let configs =
            cases.iter().map(|(purpose, _)| reviewed(purpose, json!({ "cacheTtl": TTL })));
        let (gate, places) = places(&version, configs.collect()).await?;
        let gate = Rc::new(gate);
        let all = async {
            let mut all = JoinSet::new();
            for (place, (purpose, own_cache)) in places.into_iter().zip(cases) {
                let (gate, which) = (gate.clone(), format!("Envoy {version}, {purpose}"));
                all.spawn_local(async move {
                    let line =
                        deletes(&gate, place, own_cache).await.with_context(|| which.clone())?;
                    Ok::<_, anyhow::Error>(format!("{which}, {line}"))
                });
            }
            all.join_all().await
        };
        for line in LocalSet::new().run_until(all).await {
            println!("{}", line?);
        }
    }
    Ok(())
}

#[tokio::test]
async fn recreated_objects_do_not_accept_old_tokens() -> Result<()> {
    for version in versions() {
        let configs = USES.map(|purpose| reviewed(purpose, json!({ "cacheTtl": "0s" })));
        let (_gate, places) = places(&version, configs.to_vec()).await?;
        for (Place { port, api_server }, purpose) in places.into_iter().zip(USES) {
            let which = || format!("Envoy {version}, {purpose}");
            api_server.set_success_cache(false);
            let secret = || Token::for_service_account("web", "web").secret("ca");
            let account = || Token::for_service_account("job", "job");
            let pod = || api().pod("api-1").node("node-1");
            let old = [pod(), account(), secret()].map(|token| api_server.mint(token));
            for token in &old {
                check_passes(port, token).await.with_context(which)?;
            }
            // Deleting a node does not invalidate pod tokens.
            api_server.delete_node("node-1");
            check_passes(port, &old[0]).await.with_context(which)?;
            api_server.delete_pod("api", "api-1");
            api_server.delete_service_account("job", "job");
            api_server.delete_secret("web", "ca");
            check_revoked(port, &old).await.with_context(which)?;
            for token in [pod(), account(), secret()].map(|token| api_server.mint(token)) {
                check_passes(port, &token).await.with_context(which)?;
            }
            check_revoked(port, &old).await.with_context(which)?;
        }
    }
    Ok(())
}

async fn check_revoked(port: u16, tokens: &[String]) -> Result<()> {
    for token in tokens {
        check_refused(&get(token).send(port).await?, 401, "revoked")?;
    }
    Ok(())
}

fn stall(api_server: &ApiServer) {
    api_server.set_fault(Endpoint::TokenReview, Some(Fault::UntilCleared));
}

fn clear_fault(api_server: &ApiServer) {
    api_server.set_fault(Endpoint::TokenReview, None);
}

#[tokio::test]
async fn no_byte_of_a_body_reaches_the_upstream_before_the_review() -> Result<()> {
    for version in oldest_and_newest() {
        let configs = USES.map(|purpose| reviewed(purpose, json!({})));
        let (gate, places) = places(&version, configs.to_vec()).await?;
        for (Place { port, api_server }, purpose) in places.into_iter().zip(USES) {
            let which = format!("Envoy {version}, {purpose}");
            let before = (gate.envoy.stat(RECEIVED).await?, gate.upstream.count());
            stall(&api_server);
            let good = api_server.mint(api());
            let gone = api_server.mint(Token::for_service_account("web", "web"));
            api_server.delete_service_account("web", "web");
            let requests = [
                post(&good).body(vec![b'a'; BODY]),
                post(&good).body(vec![b'b'; BODY]).trailer("x-end", "yes").grpc(),
                post(&gone).body(vec![b'c'; BODY]),
                post(&gone).body(vec![b'd'; BODY]).trailer("x-end", "yes").grpc(),
            ];
            let sent = send_all(port, requests);
            gate.envoy.wait_stat(RECEIVED, |bytes| bytes >= before.0 + 4 * BODY as u64).await?;
            // Requests with the same token share one review.
            api_server.wait_count(Endpoint::TokenReview, 2).await?;
            assert_eq!(gate.upstream.count(), before.1, "{which}");
            clear_fault(&api_server);
            let answers = answers(sent).await?;
            let outcomes: Vec<_> = answers.iter().map(outcome).collect();
            assert_eq!(outcomes, ["200", "200", "401 revoked", "200"], "{which}");
            assert_eq!((answers[1].grpc_status(), answers[3].grpc_status()), (Some(0), Some(16)));
            let received = gate.upstream.received().split_off(before.1);
            assert_eq!((gate.upstream.count(), received.len()), (before.1 + 2, 2), "{which}");
            assert!(received.iter().all(|received| received.body.len() == BODY), "{which}");
            assert_eq!(api_server.count(Endpoint::TokenReview), 2, "{which}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn review_of_a_request_whose_caller_hung_up_is_still_cached() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        let gate = gate(&version, &api_server, reviewed("instead", json!({}))).await?;
        stall(&api_server);
        let token = api_server.mint(api());
        let head = format!("GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n");
        let mut callers = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(("127.0.0.1", gate.envoy.port())).await?;
            stream.write_all(head.as_bytes()).await?;
            callers.push(stream);
        }
        gate.envoy.wait_stat(ACTIVE, |active| active == 20).await?;
        api_server.wait_count(Endpoint::TokenReview, 1).await?;
        drop(callers);
        gate.envoy.wait_stat(ACTIVE, |active| active == 0).await?;
        clear_fault(&api_server);
        poll::until("the answer to be there", async || {
            Ok((api_server.under_way(Endpoint::TokenReview) == 0).then_some(()))
        })
        .await?;
        gate.check_alive(&token).await.with_context(|| format!("Envoy {version}"))?;
        assert_eq!(api_server.count(Endpoint::TokenReview), 1, "Envoy {version}");
        assert_eq!(gate.upstream.count(), 1, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn shadow_mode_and_open_paths_do_not_wait_for_a_review() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        stall(&api_server);
        let token = api_server.mint(api());
        let configs = USES.into_iter().flat_map(|purpose| {
            let mut shadow = reviewed(purpose, json!({}));
            shadow["mode"] = json!("shadow");
            let mut open = reviewed(purpose, json!({}));
            open["rules"] = json!([{ "paths": ["/secrets/*"], "allow": "anyone" }]);
            [shadow, open]
        });
        let configs: Vec<_> = configs.map(|config| config.to_string()).collect();
        let all = configs.clone();
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let setup = setup.patch(move |tree| listeners::one_for_each(tree, &all));
        let gate = Gate::start(setup).await?;
        for (number, config) in configs.iter().enumerate() {
            let which = format!("Envoy {version}, {config}");
            let port = listeners::port(&gate.envoy, number).await?;
            let response = post(&token).body(vec![b'a'; BODY]).send(port).await?;
            assert_eq!(outcome(&response), "200", "{which}");
            assert_eq!(gate.upstream.count(), number + 1, "{which}");
            let received = gate.upstream.last().context("a request")?;
            assert_eq!(received.body.len(), BODY, "{which}");
            let told = received.header("x-sa-name");
            assert_eq!(told, None, "{which}: no caller is authenticated yet");
        }
    }
    Ok(())
}

/// The interval between two requests of one of the other callers.
const PACE: Duration = Duration::from_millis(20);

const TTL: &str = "2s";
const CACHE_TTL: Duration = Duration::from_secs(2);

/// How long a kube-apiserver caches a successful authentication.
const API_SERVERS_OWN: Duration = Duration::from_secs(10);

/// A tolerance for busy machines.
const MARGIN: Duration = Duration::from_secs(3);

const RECEIVED: &str = "http.inbound.downstream_cx_rx_bytes_total";
const BODY: usize = 100_000;
