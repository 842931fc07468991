//! Callers that hang up while their request is paused.

use crate::support::{
    ACTIVE, Gate, answers, api, clear_fault, get, long_wait, post, send_all, stalled,
};
use anyhow::{Context, Result};
use envoy_test::EnvoySetup;
use envoy_test::client::Connection;
use envoy_test::envoy::oldest_and_newest;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn callers_that_hang_up_free_their_place() -> Result<()> {
    const PLACES: usize = 20;
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        // One address may use a quarter of the places.
        let limits = json!({ "maxWaiting": 4 * PLACES });
        let gate = Gate::start(setup.plugin_config(long_wait(limits))).await?;
        let token = api_server.mint(api());
        for request in [post(&token).body("a".repeat(100_000)), get(&token).http2()] {
            let mut sent = send_all(gate.envoy.port(), vec![request; PLACES]);
            gate.envoy.wait_stat(ACTIVE, |active| active == PLACES as u64).await?;
            sent.shutdown().await;
            gate.envoy.wait_stat(ACTIVE, |active| active == 0).await?;
        }
        half_a_body_and_gone(&gate, &token).await?;
        let mut connection = one_stream_reset(&gate, &token).await?;

        let mut sent = send_all(gate.envoy.port(), vec![post(&token).body("b"); PLACES - 1]);
        let next = get(&token);
        sent.spawn(async move { (PLACES, connection.send(&next).await) });
        gate.envoy.wait_stat(ACTIVE, |active| active == PLACES as u64).await?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        clear_fault(&api_server);
        let answers = answers(sent).await?;
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        assert_eq!(gate.upstream.count(), PLACES, "Envoy {version}");
        gate.check_alive(&token).await?;
    }
    Ok(())
}

async fn half_a_body_and_gone(gate: &Gate, token: &str) -> Result<()> {
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n");
    let mut stream = TcpStream::connect(("127.0.0.1", gate.envoy.port())).await?;
    stream.write_all(format!("{head}content-length: 10\r\n\r\nhello").as_bytes()).await?;
    gate.envoy.wait_stat(ACTIVE, |active| active == 1).await?;
    drop(stream);
    gate.envoy.wait_stat(ACTIVE, |active| active == 0).await?;
    Ok(())
}

/// Resets one stream and keeps its connection.
async fn one_stream_reset(gate: &Gate, token: &str) -> Result<Connection> {
    let mut connection = Connection::http2(gate.envoy.port()).await?;
    let request = get(token);
    tokio::select! {
        answer = connection.send(&request) => anyhow::bail!("answered: {answer:?}"),
        active = gate.envoy.wait_stat(ACTIVE, |active| active == 1) => active?,
    };
    gate.envoy.wait_stat(ACTIVE, |active| active == 0).await?;
    Ok(connection)
}

#[tokio::test]
async fn callers_that_hang_up_as_keys_arrive_do_not_affect_others() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let gate = Gate::start(setup.plugin_config(long_wait(json!({})))).await?;
        let token = api_server.mint(api());
        let mut sent = send_all(gate.envoy.port(), vec![post(&token).body("a"); 100]);
        gate.envoy.wait_stat(ACTIVE, |active| active == 100).await?;
        clear_fault(&api_server);
        sent.shutdown().await;
        gate.envoy.wait_stat(ACTIVE, |active| active == 0).await?;
        gate.check_alive(&token).await.with_context(|| format!("Envoy {version}"))?;
    }
    Ok(())
}
