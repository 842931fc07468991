//! Shortages that a caller creates: they deny requests, but do not pass one or use the places of other callers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::support::reviews::{outcome, reviewed, reviewer};
use crate::support::{ACTIVE, Gate, api, check_refused, config, discovery, get, p256_api_server};
use anyhow::{Context, Result, ensure};
use envoy_test::client::Connection;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::token::assemble;
use envoy_test::{ApiServer, Endpoint, EnvoySetup, Fault, Request, Response, Token, poll};
use serde_json::{Value, json};

/// `onOutage: "acceptVerified"` without a cache of reviews.
fn accepting() -> Value {
    let review = json!({ "onOutage": "acceptVerified", "cacheTtl": "0s", "timeout": "20s" });
    let mut config = reviewed("afterVerification", review);
    config["limits"] = json!({ "waitTimeout": "30s" });
    config
}

/// An Envoy that has its keys, and a token whose service account is deleted.
struct World {
    api_server: ApiServer,
    gate: Gate,
    revoked: String,
    /// The number of requests at the upstream before.
    before: usize,
}

impl World {
    /// The API server reviews tokens with this fault from now on.
    async fn with_fault(
        version: &str,
        fault: Fault,
        patch: impl FnOnce(&mut Value) + Send + 'static,
    ) -> Result<Self> {
        let api_server = reviewer().await?;
        let setup = EnvoySetup::new().version(version).api_server(&api_server);
        let gate = Gate::start(setup.plugin_config(accepting()).patch(patch)).await?;
        gate.check_alive(&api_server.mint(api())).await?;
        let revoked = api_server.mint(Token::for_service_account("web", "web"));
        api_server.delete_service_account("web", "web");
        api_server.set_fault(Endpoint::TokenReview, Some(fault));
        let before = gate.upstream.count();
        Ok(Self { api_server, gate, revoked, before })
    }
}

/// Fresh tokens, each of another service account.
fn fresh(api_server: &ApiServer, count: usize) -> Vec<Request> {
    let mint = |number: usize| {
        get(&api_server.mint(Token::for_service_account("api", &format!("fresh-{number}"))))
    };
    (0..count).map(mint).collect()
}

fn counted(responses: &[Response]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for response in responses {
        *counts.entry(outcome(response)).or_default() += 1;
    }
    counts
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.into_iter().map(|(outcome, count)| (outcome.to_owned(), count)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_token_does_not_pass_if_too_many_requests_are_paused() -> Result<()> {
    for version in oldest_and_newest() {
        let World { api_server, gate, revoked, before } =
            World::with_fault(&version, Fault::UntilCleared, |_| {}).await?;
        let connection = Connection::http2(gate.envoy.port()).await?;
        let requests = vec![get(&revoked).http2(); 1020];
        let sent = connection.send_at_once(&requests);
        let repaired = async {
            gate.envoy.wait_stat(DENIED, |denied| denied >= 1020 - 250).await?;
            api_server.set_fault(Endpoint::TokenReview, None);
            anyhow::Ok(())
        };
        let (responses, repaired) = tokio::join!(sent, repaired);
        repaired?;
        let expected = counts([("401 revoked", 250), ("503 overloaded", 770)]);
        assert_eq!(counted(&responses?), expected, "Envoy {version}");
        assert_eq!(gate.upstream.count(), before, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revoked_token_does_not_pass_if_new_tokens_use_all_reviews() -> Result<()> {
    for version in oldest_and_newest() {
        let World { api_server, gate, revoked, before } =
            World::with_fault(&version, Fault::UntilCleared, |_| {}).await?;
        let connection = Connection::http2(gate.envoy.port()).await?;
        let requests = fresh(&api_server, 48);
        let sent = connection.send_at_once(&requests);
        let attack = async {
            poll::until("48 reviews under way", async || {
                Ok((api_server.under_way(Endpoint::TokenReview) == 48).then_some(()))
            })
            .await?;
            let response = get(&revoked).send(gate.envoy.port()).await?;
            check_refused(&response, 503, "overloaded")?;
            assert_eq!(gate.upstream.count(), before, "Envoy {version}");
            api_server.set_fault(Endpoint::TokenReview, None);
            anyhow::Ok(())
        };
        let (responses, attack) = tokio::join!(sent, attack);
        attack.with_context(|| format!("Envoy {version}"))?;
        assert_eq!(counted(&responses?), counts([("200", 48)]), "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn review_with_429_does_not_affect_another_token() -> Result<()> {
    for version in oldest_and_newest() {
        let World { api_server, gate, revoked, before } =
            World::with_fault(&version, Fault::Status(429), |_| {}).await?;
        let response = get(&api_server.mint(api())).send(gate.envoy.port()).await?;
        check_refused(&response, 503, "review_unavailable")?;
        check_refused(&get(&revoked).send(gate.envoy.port()).await?, 503, "review_unavailable")?;
        api_server.set_fault(Endpoint::TokenReview, None);
        check_refused(&get(&revoked).send(gate.envoy.port()).await?, 401, "revoked")?;
        assert_eq!(gate.upstream.count(), before, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_circuit_breaker_is_not_an_outage() -> Result<()> {
    for version in oldest_and_newest() {
        let breaker = |tree: &mut Value| {
            let limits =
                json!([{ "max_requests": 1, "max_connections": 1, "max_pending_requests": 1 }]);
            tree["static_resources"]["clusters"][1]["circuit_breakers"] =
                json!({ "thresholds": limits });
        };
        let World { api_server, gate, revoked, before } =
            World::with_fault(&version, Fault::UntilCleared, breaker).await?;
        let connection = Connection::http2(gate.envoy.port()).await?;
        let requests = fresh(&api_server, 2);
        let sent = connection.send_at_once(&requests);
        let attack = async {
            gate.envoy.wait_stat(ACTIVE, |active| active > 0).await?;
            poll::until("a review under way", async || {
                Ok((api_server.under_way(Endpoint::TokenReview) == 1).then_some(()))
            })
            .await?;
            // Logged at most once a second.
            poll::until("the log to say why", async || {
                let response = get(&revoked).send(gate.envoy.port()).await?;
                check_refused(&response, 503, "review_unavailable")?;
                Ok(gate.envoy.log().contains(OVERFLOW).then_some(()))
            })
            .await?;
            api_server.set_fault(Endpoint::TokenReview, None);
            anyhow::Ok(())
        };
        let (responses, attack) = tokio::join!(sent, attack);
        attack.with_context(|| format!("Envoy {version}: {}", gate.envoy.log()))?;
        let answers = counted(&responses?);
        ensure!(answers.contains_key("200"), "Envoy {version}: {answers:?}");
        let passed = answers.get("200").copied().unwrap_or_default();
        assert_eq!(gate.upstream.count() - before, passed, "Envoy {version}: {answers:?}");
    }
    Ok(())
}

/// Envoy does not report why it did not send a call, so an open circuit breaker could be the reason.
#[tokio::test]
async fn call_that_envoy_does_not_send_is_not_an_outage() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let gate =
            Gate::start(setup.credential(Some("")).plugin_config(accepting_inline(&api_server)));
        let gate = gate.await?;
        let response = get(&api_server.mint(api())).send(gate.envoy.port()).await?;
        check_refused(&response, 503, "review_unavailable")
            .with_context(|| format!("Envoy {version}"))?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
    }
    Ok(())
}

/// The same with inline keys.
fn accepting_inline(api_server: &ApiServer) -> Value {
    let mut config = accepting();
    config["issuers"][0]["keys"] =
        json!({ "inline": envoy_test::jwks(&[&api_server.signing_key()]) });
    config
}

/// An API server whose first answer takes 1.5 s.
async fn slow() -> Result<ApiServer> {
    let api_server = p256_api_server().await?;
    api_server.set_fault(Endpoint::Discovery, Some(Fault::Slow(Duration::from_millis(1500))));
    Ok(api_server)
}

/// Unsigned tokens with different key IDs.
fn invalid(count: usize) -> Vec<Request> {
    let token = |number: usize| {
        let header = json!({ "alg": "ES256", "kid": format!("kid-{number}") }).to_string();
        let token = api().claim("jti", json!(format!("invalid-{number}")));
        get(&assemble(&header, &token.claims().to_string(), |_| vec![7; 64]))
    };
    (0..count).map(token).collect()
}

/// 2,000 unsigned tokens during the first fetch from one address, then 100 genuine callers from another.
async fn flood(
    version: &str,
    attacker: Ipv4Addr,
    caller: Ipv4Addr,
) -> Result<[BTreeMap<String, usize>; 2]> {
    let api_server = slow().await?;
    let setup = EnvoySetup::new().version(version).api_server(&api_server);
    let gate = Gate::start(setup.plugin_config(config(discovery(json!({}))))).await?;
    let port = gate.envoy.port();
    let (invalid, genuine) = (invalid(2000), fresh(&api_server, 100));
    let halves = invalid.split_at(1000);
    let attack = [
        Connection::http2_from(attacker, port).await?,
        Connection::http2_from(attacker, port).await?,
    ];
    let callers = Connection::http2_from(caller, port).await?;
    let genuine = async {
        gate.envoy.wait_stat(ACTIVE, |active| active >= 250).await?;
        callers.send_at_once(&genuine).await
    };
    let (first, second, genuine) =
        tokio::join!(attack[0].send_at_once(halves.0), attack[1].send_at_once(halves.1), genuine);
    let mut invalid = first?;
    invalid.extend(second?);
    let counts = [counted(&invalid), counted(&genuine?)];
    ensure!(!counts[0].contains_key("200"), "Envoy {version}: {counts:?}");
    Ok(counts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_from_one_address_does_not_use_places_of_another() -> Result<()> {
    for version in oldest_and_newest() {
        let (attacker, caller) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
        let [invalid, genuine] = flood(&version, attacker, caller).await?;
        println!("Envoy {version}: invalid {invalid:?}, genuine {genuine:?}");
        assert_eq!(genuine, counts([("200", 100)]), "Envoy {version}; invalid: {invalid:?}");
        assert!(invalid.get("503 overloaded").is_some_and(|denied| *denied > 0), "{invalid:?}");
    }
    Ok(())
}

/// A known limitation: behind one address (a gateway, a NAT) the filter cannot distinguish callers before their tokens
/// are verified, so a flood denies other callers at that address. No invalid token passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_from_a_shared_address_denies_other_callers_there_and_does_not_pass() -> Result<()> {
    for version in oldest_and_newest() {
        let shared = Ipv4Addr::new(127, 0, 0, 4);
        let [invalid, genuine] = flood(&version, shared, shared).await?;
        println!("Envoy {version}: invalid {invalid:?}, genuine {genuine:?}");
        let denied = genuine.get("503 overloaded").copied().unwrap_or_default();
        let passed = genuine.get("200").copied().unwrap_or_default();
        assert_eq!(denied + passed, 100, "Envoy {version}: {genuine:?}");
    }
    Ok(())
}

const DENIED: &str = "wasmcustom.sa_authn.requests.denied.overloaded.none.none";
/// Envoy does not distinguish an open circuit breaker from a cluster without a healthy host.
const OVERFLOW: &str = "issuer \"local\": TokenReview unavailable: Envoy did not send the call";
