//! Requests paused for keys: no byte reaches the upstream before the verdict.

use std::time::{Duration, Instant};

use crate::support::{
    ACTIVE, Gate, Sent, answers, api, check_refused, clear_fault, get, long_wait, post, send_all,
    stalled,
};
use anyhow::{Context, Result};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{Endpoint, EnvoySetup, KeyKind, Request, Response, SigningKey};
use serde_json::json;

/// Sends each request, and returns when Envoy has received all of their bodies.
async fn send(gate: &Gate, requests: &[Request]) -> Result<Sent> {
    let sent = send_all(gate.envoy.port(), requests.iter().cloned());
    gate.envoy.wait_stat(ACTIVE, |active| active >= requests.len() as u64).await?;
    let bytes = requests.len() as u64 * BODY as u64;
    gate.envoy.wait_stat(RECEIVED, |received| received >= bytes).await?;
    // A response to a later request proves that the worker has processed these.
    let behind = Request::get("/").send(gate.envoy.port()).await?;
    check_refused(&behind, 401, "missing_token")?;
    Ok(sent)
}

#[tokio::test]
async fn no_byte_reaches_the_upstream_before_the_verdict_and_every_byte_after_it() -> Result<()> {
    for (version, allow) in oldest_and_newest()
        .into_iter()
        .flat_map(|version| [(version.clone(), true), (version, false)])
    {
        let which = format!("Envoy {version}, allow_on_headers_stop_iteration {allow}");
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let setup = setup.plugin_config(long_wait(json!({})));
        let gate = Gate::start(setup.allow_on_headers_stop_iteration(allow)).await?;
        let good = api_server.mint(api());
        let forged = api().header("kid", json!(api_server.signing_key().kid()));
        let forged = forged.sign(&SigningKey::generate(KeyKind::P256));
        let body = |letter: u8| vec![letter; BODY];
        let requests = [
            post(&good).body(body(b'a')),
            post(&good).body(body(b'b')).trailer("x-end", "yes"),
            post(&good).body(body(b'c')).trailer("x-end", "yes").http2(),
            post(&good).body(body(b'd')).trailer("x-end", "yes").grpc(),
            post(&forged).body(body(b'e')).trailer("x-end", "yes"),
            post(&forged).body(body(b'f')).trailer("x-end", "yes").grpc(),
        ];
        let sent = send(&gate, &requests).await?;
        assert_eq!(gate.upstream.count(), 0, "{which}");
        assert_eq!(gate.envoy.stat("cluster.upstream.upstream_rq_total").await?, 0, "{which}");
        assert_eq!(gate.envoy.stat(ACTIVE).await?, 6, "{which}");

        clear_fault(&api_server);
        let answers = answers(sent).await?;
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 200, 200, 401, 200], "{which}");
        check_refused(&answers[4], 401, "bad_signature").context(which.clone())?;
        let grpc: Vec<_> = answers.iter().map(Response::grpc_status).collect();
        assert_eq!(grpc, [None, None, None, Some(0), None, Some(16)], "{which}");

        let mut received = gate.upstream.received();
        received.sort_by_key(|received| received.body.first().copied());
        assert_eq!((gate.upstream.count(), received.len()), (4, 4), "{which}");
        for (received, letter) in received.iter().zip(b'a'..) {
            assert!(received.body == body(letter), "{which}: {} bytes", received.body.len());
            assert_eq!(received.header("x-sa-name").as_deref(), Some("api"), "{which}");
            assert_eq!(received.header("authorization"), None, "{which}");
        }
        let ends = received.iter().map(|received| received.trailers.len());
        // Envoy drops HTTP/1 trailers by default.
        assert_eq!(ends.collect::<Vec<_>>(), [0, 0, 1, 1], "{which}");
        gate.check_alive(&good).await?;
    }
    Ok(())
}

#[tokio::test]
async fn body_larger_than_envoys_buffer_is_paused_with_backpressure() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let setup = setup.plugin_config(long_wait(json!({})));
        // With `true` Envoy answers 413, because it buffers the body of a filter that stops only at the headers.
        let gate = Gate::start(setup.allow_on_headers_stop_iteration(false)).await?;
        let large = post(&api_server.mint(api())).body(vec![b'a'; LARGE]);
        let requests = [large.clone(), large.http2()];
        let sent = send(&gate, &requests).await?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        clear_fault(&api_server);
        let answers = answers(sent).await?;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
        let lengths: Vec<_> =
            gate.upstream.received().iter().map(|received| received.body.len()).collect();
        assert_eq!(lengths, [LARGE, LARGE], "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn paused_request_past_its_deadline_is_503_with_retry_after() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let gate =
            Gate::start(setup.plugin_config(long_wait(json!({ "waitTimeout": "500ms" })))).await?;
        let token = api_server.mint(api());
        let start = Instant::now();
        let answer = post(&token).body(vec![b'a'; BODY]).send(gate.envoy.port()).await?;
        assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
        check_refused(&answer, 503, "keys_unavailable")?;
        assert_eq!(answer.header("retry-after").as_deref(), Some("1"), "Envoy {version}");
        assert_eq!(answer.header("www-authenticate"), None, "Envoy {version}");
        let call = post(&token).body("a").trailer("x-end", "yes").grpc();
        let call = call.send(gate.envoy.port()).await?;
        assert_eq!((call.status, call.grpc_status()), (200, Some(14)), "Envoy {version}");
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        let log = gate.envoy.wait_access_log(2).await?;
        assert_eq!(log[0]["details"], "sa_authn.keys_unavailable");
        clear_fault(&api_server);
        gate.envoy.wait_log("issuer \"local\": loaded 1 key,").await?;
        gate.check_alive(&token).await?;
    }
    Ok(())
}

#[tokio::test]
async fn requests_beyond_max_waiting_are_rejected_at_once_as_overloaded() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        // One address may use a quarter of the places.
        let gate = Gate::start(setup.plugin_config(long_wait(json!({ "maxWaiting": 8 })))).await?;
        let token = api_server.mint(api());
        let mut sent = send_all(gate.envoy.port(), vec![get(&token); 3]);
        let (_, first) = sent.join_next().await.context("an answer")??;
        check_refused(&first?, 503, "overloaded")?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        clear_fault(&api_server);
        let answers = answers(sent).await?;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
        assert_eq!(gate.upstream.count(), 2, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_paused_until_the_api_server_starts() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        clear_fault(&api_server);
        api_server.stop().await;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let gate = Gate::start(setup.plugin_config(long_wait(json!({})))).await?;
        gate.envoy.wait_stat(FAILED, |failed| failed > 0).await?;
        let requests = [post(&api_server.mint(api())).body(vec![b'a'; BODY])];
        let sent = send(&gate, &requests).await?;
        let failed = gate.envoy.stat(FAILED).await?;
        // The next failure resumes the request, which is paused again.
        gate.envoy.wait_stat(FAILED, |now| now > failed).await?;
        let behind = Request::get("/").send(gate.envoy.port()).await?;
        check_refused(&behind, 401, "missing_token")?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        api_server.restart().await?;
        assert_eq!(answers(sent).await?[0].status, 200, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn shadow_mode_and_open_paths_never_pause_a_request() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let token = api_server.mint(api());
        let mut shadow = long_wait(json!({}));
        shadow["mode"] = json!("shadow");
        let mut open = long_wait(json!({}));
        open["rules"] = json!([{ "paths": ["/secrets/*"], "allow": "anyone" }]);
        for (config, token_goes_on) in [(shadow, true), (open, false)] {
            let setup = EnvoySetup::new().version(&version).api_server(&api_server);
            let gate = Gate::start(setup.plugin_config(config)).await?;
            let response = post(&token).body(vec![b'a'; BODY]).send(gate.envoy.port()).await?;
            assert_eq!(response.status, 200, "Envoy {version}");
            assert_eq!(gate.upstream.count(), 1, "Envoy {version}");
            let received = gate.upstream.last().unwrap();
            assert_eq!(received.body.len(), BODY, "Envoy {version}");
            // Without keys no caller is authenticated, so no identity header may pass.
            assert_eq!(received.header("x-sa-name"), None, "Envoy {version}");
            assert_eq!(received.header("authorization").is_some(), token_goes_on);
            assert_eq!(api_server.count(Endpoint::Jwks), 0, "Envoy {version}");
        }
    }
    Ok(())
}

/// The number of failed connections to the API server.
const FAILED: &str = "cluster.kube-apiserver.upstream_cx_connect_fail";

const RECEIVED: &str = "http.inbound.downstream_cx_rx_bytes_total";

const BODY: usize = 100_000;

/// Envoy's buffer for a connection is 1 MiB.
const LARGE: usize = 3_000_000;
