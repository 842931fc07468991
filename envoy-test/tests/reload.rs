//! Configuration changes at run time: paused requests, keys, and timers of the old configuration.

use std::time::{Duration, Instant};

use crate::support::{
    ACTIVE, Gate, answers, api, check_refused, clear_fault, config, discovery, get, long_wait,
    p256_api_server, send_all, stalled,
};
use anyhow::Result;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{ApiServer, Endpoint, Envoy, EnvoySetup, Request, Token, poll};
use serde_json::{Value, json};

/// A configuration that allows this account, with this realm in `WWW-Authenticate`.
fn variant(mut config: Value, realm: &str, account: &str) -> Value {
    config["rules"] = json!([{ "name": "secrets", "paths": ["/secrets/*"], "allow": [account] }]);
    config["answers"] = json!({ "realm": realm });
    config
}

fn dynamic(version: &str, api_server: &ApiServer, drain_time: Duration) -> EnvoySetup {
    EnvoySetup::new().version(version).api_server(api_server).dynamic_listener(drain_time)
}

fn web() -> Token {
    Token::for_service_account("web", "web")
}

/// The realm of the configuration that a new connection uses.
async fn realm(port: u16) -> Result<String> {
    let response = Request::get("/secrets/1").send(port).await?;
    check_refused(&response, 401, "missing_token")?;
    let challenge = response.header("www-authenticate").unwrap_or_default();
    Ok(challenge.split('"').nth(1).unwrap_or_default().to_owned())
}

/// Replaces the configuration, and waits until each worker uses it.
async fn reload(envoy: &Envoy, config: &Value, workers: usize) -> Result<()> {
    let wanted = config["answers"]["realm"].as_str().unwrap_or_default();
    envoy.replace_plugin_config(config)?;
    let mut in_a_row = 0;
    poll::until(&format!("configuration {wanted}"), async || {
        in_a_row = if realm(envoy.port()).await? == wanted { in_a_row + 1 } else { 0 };
        Ok((in_a_row >= 4 * workers - 3).then_some(()))
    })
    .await
}

#[tokio::test]
async fn paused_requests_use_the_config_they_arrived_under() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = dynamic(&version, &api_server, Duration::from_secs(60));
        let old = variant(long_wait(json!({})), "old", "api/api");
        let new = variant(long_wait(json!({})), "new", "web/web");
        let gate = Gate::start(setup.plugin_config(old)).await?;
        let (port, api, web) = (gate.envoy.port(), api_server.mint(api()), api_server.mint(web()));
        let requests = || [get(&api), get(&web).grpc(), get(&api).http2(), get(&web)];
        let before = send_all(port, requests());
        gate.envoy.wait_stat(ACTIVE, |active| active == 4).await?;
        reload(&gate.envoy, &new, 1).await?;
        let after = send_all(port, requests());
        gate.envoy.wait_stat(ACTIVE, |active| active == 8).await?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");

        clear_fault(&api_server);
        let verdicts = async |sent| -> Result<Vec<String>> {
            let answers = answers(sent).await?;
            let verdict = |answer: &envoy_test::Response| match answer.grpc_status() {
                Some(status) => format!("gRPC {status}"),
                None => format!("{} {}", answer.status, answer.reason().unwrap_or_default()),
            };
            Ok(answers.iter().map(verdict).collect())
        };
        let (passes, forbidden) = ("200 ", "403 forbidden");
        assert_eq!(verdicts(before).await?, [passes, "gRPC 7", passes, forbidden], "{version}");
        let after = verdicts(after).await?;
        assert_eq!(after, [forbidden, "gRPC 0", forbidden, passes], "Envoy {version}");
        assert_eq!(gate.upstream.count(), 4, "Envoy {version}");
        // Two configurations without keys, each in two VMs; no request waited for the main thread's.
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            assert_eq!(api_server.wait_count(endpoint, 4).await?, 4, "Envoy {version}");
        }
        assert_eq!(gate.envoy.vm_failures().await?, [""; 0], "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn invalid_configuration_is_rejected_and_the_old_one_stays_active() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = p256_api_server().await?;
        let setup = dynamic(&version, &api_server, Duration::from_secs(1));
        let old = variant(config(discovery(json!({}))), "old", "api/api");
        let gate = Gate::start(setup.plugin_config(old.clone())).await?;
        let token = api_server.mint(api());
        gate.check_alive(&token).await?;

        let mut bad = variant(old.clone(), "bad", "web/web");
        bad["issuers"][0]["audience"] = json!("secret-store");
        bad["rules"][0]["paths"] = json!(["secrets/*"]);
        gate.envoy.replace_plugin_config(&bad)?;
        gate.envoy.wait_stat("listener_manager.lds.update_rejected", |count| count == 1).await?;
        let log = gate.envoy.log();
        for problem in [
            "configuration: issuers[0].audience: unknown field `audience`, expected one of ",
            "configuration: rules[0].paths[0]: ",
        ] {
            assert!(log.contains(problem), "Envoy {version}: no {problem:?} in {log}");
        }
        for _ in 0..10 {
            assert_eq!(realm(gate.envoy.port()).await?, "old", "Envoy {version}");
            gate.check_alive(&token).await?;
        }

        reload(&gate.envoy, &variant(old, "recovered", "web/web"), 1).await?;
        let refused = get(&token).send(gate.envoy.port()).await?;
        check_refused(&refused, 403, "forbidden")?;
        assert_eq!(gate.envoy.stat("listener_manager.lds.update_rejected").await?, 1);
        assert_eq!(gate.envoy.vm_failures().await?, [""; 0], "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn fetch_of_a_replaced_configuration_does_not_delay_the_next() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = dynamic(&version, &api_server, Duration::from_secs(1));
        let mut old = variant(long_wait(json!({})), "old", "api/api");
        old["issuers"][0]["keys"]["timeout"] = json!("20s");
        let gate = Gate::start(setup.plugin_config(old.clone())).await?;
        api_server.wait_count(Endpoint::Discovery, 1).await?;
        reload(&gate.envoy, &variant(old, "new", "api/api"), 1).await?;
        gate.envoy.wait_stat(DRAINING, |count| count == 0).await?;
        // The fetch of the replaced configuration is no longer needed.
        clear_fault(&api_server);
        let start = Instant::now();
        gate.check_alive(&api_server.mint(api())).await?;
        // Half of the timeout after which the old fetch would have ended.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        // The check waited for the worker's VM alone; the main thread's fetches too.
        assert_eq!(api_server.wait_count(Endpoint::Jwks, 2).await?, 2, "Envoy {version}");
    }
    Ok(())
}

const DRAINING: &str = "listener_manager.total_filter_chains_draining";
