//! The metrics of reviews and caches at the Prometheus endpoint.

use std::collections::BTreeMap;

use crate::support::reviews::{outcome, reviewed, reviewer};
use crate::support::{Gate, api, get};
use anyhow::Result;
use envoy_test::client::Connection;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, EnvoySetup, Fault, KeyKind, Token, jwks, poll,
};
use serde_json::{Value, json};

const SECOND: &str = "https://second.example";

/// Both issuers have inline keys, so that no request is paused for keys. The second's API server is down, and its
/// tokens pass with verified signatures.
fn config(first: &ApiServer, second: &ApiServer) -> Value {
    let mut config = reviewed("afterVerification", json!({}));
    config["issuers"][0]["keys"] = json!({ "inline": jwks(&[&first.signing_key()]) });
    let mut other = config["issuers"][0].clone();
    other["name"] = json!("second");
    other["issuer"] = json!(SECOND);
    other["keys"] = json!({ "inline": jwks(&[&second.signing_key()]) });
    other["tokenReview"]["cluster"] = json!("second");
    other["tokenReview"]["onOutage"] = json!("acceptVerified");
    config["issuers"].as_array_mut().into_iter().for_each(|issuers| issuers.push(other.clone()));
    config
}

/// One caller's connection, so that one worker's VM receives all requests.
struct Caller<'g> {
    connection: Connection,
    api_server: &'g ApiServer,
}

impl Caller<'_> {
    /// Sends the token this often, each time with the same outcome.
    async fn sends(&mut self, token: &str, times: usize, expected: &str) -> Result<()> {
        for _ in 0..times {
            let response = self.connection.send(&get(token)).await?;
            assert_eq!(outcome(&response), expected);
        }
        Ok(())
    }

    fn fault(&self, fault: Option<Fault>) {
        self.api_server.set_fault(Endpoint::TokenReview, fault);
    }
}

/// The filter's metrics from the Prometheus endpoint.
async fn metrics(gate: &Gate) -> Result<BTreeMap<String, u64>> {
    let text = gate.envoy.prometheus().await?;
    let lines = text.lines().filter(|line| line.starts_with("sa_authn_"));
    let pairs = lines.filter_map(|line| line.rsplit_once(' '));
    Ok(pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}

#[tokio::test]
async fn review_metrics_are_correct_with_one_and_four_workers() -> Result<()> {
    for (version, workers) in
        oldest_and_newest().into_iter().flat_map(|version| [(version.clone(), 1), (version, 4)])
    {
        let first = reviewer().await?;
        let options =
            ApiServerOptions { key_kind: KeyKind::P256, ..ApiServerOptions::with_issuer(SECOND) };
        let second = ApiServer::start(options).await?;
        second.stop().await;
        let setup = EnvoySetup::new().version(&version).concurrency(workers);
        let setup = setup.api_server(&first).api_server_named("second", &second);
        let gate = Gate::start(setup.plugin_config(config(&first, &second))).await?;
        let connection = Connection::http1(gate.envoy.port()).await?;
        let mut caller = Caller { connection, api_server: &first };

        caller.sends(&first.mint(api()), 5, "200").await?;
        let gone = first.mint(Token::for_service_account("web", "web"));
        first.delete_service_account("web", "web");
        caller.sends(&gone, 3, "401 revoked").await?;
        let status = json!({ "authenticated": true, "user": { "username": "system:anonymous" } });
        let anonymous = json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status,
        });
        caller.fault(Some(Fault::Body(anonymous.to_string().into_bytes())));
        caller.sends(&first.mint(api()), 2, "401 review_mismatch").await?;
        caller.fault(Some(Fault::Status(500)));
        caller.sends(&first.mint(api()), 2, "503 review_unavailable").await?;
        // The first request waits for the failed call; during the outage no call is sent for the others.
        for _ in 0..3 {
            caller.sends(&second.mint(api()), 1, "200").await?;
        }

        let expected = [
            (r#"sa_authn_reviews{outcome="accepted",issuer="local"}"#, 1),
            (r#"sa_authn_reviews{outcome="refused",issuer="local"}"#, 1),
            (r#"sa_authn_reviews{outcome="mismatch",issuer="local"}"#, 1),
            (r#"sa_authn_reviews{outcome="unavailable",issuer="local"}"#, 2),
            (r#"sa_authn_reviews{outcome="unavailable",issuer="second"}"#, 1),
            (r#"sa_authn_unreviewed{issuer="second"}"#, 3),
            (r#"sa_authn_review_cache{outcome="accepted"}"#, 4),
            (r#"sa_authn_review_cache{outcome="refused"}"#, 3),
            (r#"sa_authn_review_cache{outcome="miss"}"#, 6),
            // 15 requests, of which 6 were paused and evaluated twice; rejected tokens are not cached.
            (r#"sa_authn_token_cache{outcome="hit"}"#, 12),
            (r#"sa_authn_token_cache{outcome="miss"}"#, 9),
            (
                r#"sa_authn_requests{verdict="denied",reason="revoked",rule="none",issuer="none"}"#,
                3,
            ),
        ];
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        let shown = |metrics: BTreeMap<String, u64>| -> BTreeMap<_, _> {
            metrics.into_iter().filter(|(name, _)| expected.contains_key(name)).collect()
        };
        let mut last = BTreeMap::new();
        let there = poll::until("the metrics", async || {
            last = shown(metrics(&gate).await?);
            Ok((last == expected).then_some(()))
        });
        let in_time = there.await;
        assert_eq!(last, expected, "Envoy {version}, {workers} workers: {in_time:?}");
        let names: Vec<_> = metrics(&gate).await?.into_keys().collect();
        let prefixes = ["sa_authn_review", "sa_authn_token_cache", "sa_authn_unreviewed"];
        let ours = |name: &&String| prefixes.iter().any(|prefix| name.starts_with(prefix));
        assert_eq!(names.iter().filter(ours).count(), expected.len() - 1, "{names:?}");
    }
    Ok(())
}
