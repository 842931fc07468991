//! Callers that hang up while their verdict is pending: they leave their places, and harm nobody.

mod support;

use anyhow::{Context, Result};
use envoy_test::EnvoySetup;
use envoy_test::client::Connection;
use envoy_test::envoy::oldest_and_newest;
use serde_json::json;
use support::{ACTIVE, Gate, answers, api, get, mend, patient, post, send_all, stalled};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn callers_that_hang_up_leave_their_place_and_harm_nobody() -> Result<()> {
    const PLACES: usize = 20;
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        // One address has a quarter of the places.
        let limits = json!({ "maxWaiting": 4 * PLACES });
        let gate = Gate::start(setup.plugin_config(patient(limits))).await?;
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
        mend(&api_server);
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

/// One stream ends and its connection lives on.
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
async fn callers_that_hang_up_as_the_keys_come_harm_nobody() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let gate = Gate::start(setup.plugin_config(patient(json!({})))).await?;
        let token = api_server.mint(api());
        let mut sent = send_all(gate.envoy.port(), vec![post(&token).body("a"); 100]);
        gate.envoy.wait_stat(ACTIVE, |active| active == 100).await?;
        mend(&api_server);
        sent.shutdown().await;
        gate.envoy.wait_stat(ACTIVE, |active| active == 0).await?;
        gate.check_alive(&token).await.with_context(|| format!("Envoy {version}"))?;
    }
    Ok(())
}
