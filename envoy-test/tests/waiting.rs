//! Requests whose verdict is pending because the keys are not there yet: none of them gets ahead of it.

mod support;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{Endpoint, EnvoySetup, KeyKind, Request, Response, SigningKey};
use serde_json::json;
use support::{
    ACTIVE, Gate, Sent, answers, api, check_refused, get, mend, patient, post, send_all, stalled,
};

/// Sends each, and returns when Envoy has them all, to the last byte of their bodies.
async fn send(gate: &Gate, requests: &[Request]) -> Result<Sent> {
    let sent = send_all(gate.envoy.port(), requests.iter().cloned());
    gate.envoy.wait_stat(ACTIVE, |active| active >= requests.len() as u64).await?;
    let bytes = requests.len() as u64 * BODY as u64;
    gate.envoy.wait_stat(RECEIVED, |received| received >= bytes).await?;
    // One more turn of the worker: an answer to a request behind them.
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
        let setup = setup.plugin_config(patient(json!({})));
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

        mend(&api_server);
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
        // Envoy leaves HTTP/1's trailers out unless it is told otherwise.
        assert_eq!(ends.collect::<Vec<_>>(), [0, 0, 1, 1], "{which}");
        gate.check_alive(&good).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_body_beyond_envoys_buffer_waits_with_backpressure() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let setup = setup.plugin_config(patient(json!({})));
        // With `true` Envoy answers 413: it buffers what a filter that holds only headers leaves behind.
        let gate = Gate::start(setup.allow_on_headers_stop_iteration(false)).await?;
        let large = post(&api_server.mint(api())).body(vec![b'a'; LARGE]);
        let requests = [large.clone(), large.http2()];
        let sent = send(&gate, &requests).await?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        mend(&api_server);
        let answers = answers(sent).await?;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
        let lengths: Vec<_> =
            gate.upstream.received().iter().map(|received| received.body.len()).collect();
        assert_eq!(lengths, [LARGE, LARGE], "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn who_has_waited_long_enough_is_told_when_to_come_back() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let gate =
            Gate::start(setup.plugin_config(patient(json!({ "waitTimeout": "500ms" })))).await?;
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
        mend(&api_server);
        gate.envoy.wait_log("keys of \"local\": 1 usable").await?;
        gate.check_alive(&token).await?;
    }
    Ok(())
}

#[tokio::test]
async fn requests_beyond_the_places_are_denied_as_overloaded_at_once() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        // One address has a quarter of the places.
        let gate = Gate::start(setup.plugin_config(patient(json!({ "maxWaiting": 8 })))).await?;
        let token = api_server.mint(api());
        let mut sent = send_all(gate.envoy.port(), vec![get(&token); 3]);
        let (_, first) = sent.join_next().await.context("an answer")??;
        check_refused(&first?, 503, "overloaded")?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        mend(&api_server);
        let answers = answers(sent).await?;
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
        assert_eq!(gate.upstream.count(), 2, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn callers_wait_for_an_api_server_that_is_not_up_yet() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        mend(&api_server);
        api_server.stop().await;
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let gate = Gate::start(setup.plugin_config(patient(json!({})))).await?;
        gate.envoy.wait_stat(FAILED, |failed| failed > 0).await?;
        let requests = [post(&api_server.mint(api())).body(vec![b'a'; BODY])];
        let sent = send(&gate, &requests).await?;
        let failed = gate.envoy.stat(FAILED).await?;
        // The next failure wakes the request, and it goes on waiting.
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
async fn shadow_mode_and_open_paths_never_hold_a_request() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = stalled().await?;
        let token = api_server.mint(api());
        let mut shadow = patient(json!({}));
        shadow["mode"] = json!("shadow");
        let mut open = patient(json!({}));
        open["rules"] = json!([{ "paths": ["/secrets/*"], "allow": "anyone" }]);
        for (config, token_goes_on) in [(shadow, true), (open, false)] {
            let setup = EnvoySetup::new().version(&version).api_server(&api_server);
            let gate = Gate::start(setup.plugin_config(config)).await?;
            let response = post(&token).body(vec![b'a'; BODY]).send(gate.envoy.port()).await?;
            assert_eq!(response.status, 200, "Envoy {version}");
            assert_eq!(gate.upstream.count(), 1, "Envoy {version}");
            let received = gate.upstream.last().unwrap();
            assert_eq!(received.body.len(), BODY, "Envoy {version}");
            // The keys have not come, so nobody is proven, and nobody may say so.
            assert_eq!(received.header("x-sa-name"), None, "Envoy {version}");
            assert_eq!(received.header("authorization").is_some(), token_goes_on);
            assert_eq!(api_server.count(Endpoint::Jwks), 0, "Envoy {version}");
        }
    }
    Ok(())
}

/// How often the API server could not be reached.
const FAILED: &str = "cluster.kube-apiserver.upstream_cx_connect_fail";

const RECEIVED: &str = "http.inbound.downstream_cx_rx_bytes_total";

const BODY: usize = 100_000;

/// Envoy's buffer for a connection is 1 MiB.
const LARGE: usize = 3_000_000;
