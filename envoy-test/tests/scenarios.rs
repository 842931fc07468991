//! The scenario table in real Envoys with the release module: the outcome of each request, and no token in
//! responses, logs or metrics.

use crate::support::listeners;
use anyhow::{Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::scenarios::{Expect, Group, Scenario, World, grpc_status_of, status_of};
use envoy_test::upstream::Received;
use envoy_test::{ApiServer, ApiServerOptions, EnvoySetup, Response, Upstream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_has_the_expected_verdict_in_every_envoy() -> Result<()> {
    let api_server = ApiServer::start(ApiServerOptions::default()).await?;
    let world = World::around(api_server.signing_key());
    api_server.publish(&world.published());
    let groups = world.groups();
    let mut failures = Vec::new();
    for version in versions() {
        failures.extend(run(&version, &groups, &api_server).await?);
        let count: usize = groups.iter().map(|group| group.scenarios.len()).sum();
        println!("Envoy {version}: {count} scenarios");
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

async fn run(version: &str, groups: &[Group], api_server: &ApiServer) -> Result<Vec<String>> {
    let upstream = Upstream::start().await?;
    let configs: Vec<_> = groups.iter().map(|group| group.config.to_string()).collect();
    let envoy = EnvoySetup::new()
        .version(version)
        .api_server(api_server)
        .upstream(&upstream)
        // Envoy's path normalization is off, because the filter's is tested here.
        .normalize_path(false)
        // All log lines of the filter.
        .wasm_log_level("trace")
        .patch(move |tree| listeners::one_for_each(tree, &configs))
        .start()
        .await?;
    let (mut failures, mut secrets) = (Vec::new(), Vec::new());
    for (number, group) in groups.iter().enumerate() {
        let port = listeners::port(&envoy, number).await?;
        for scenario in &group.scenarios {
            secrets.extend(crate::support::secrecy::secrets(&scenario.request));
            if let Err(error) = check(scenario, port, &upstream).await {
                let place = format!("Envoy {version}, {}: {}", group.name, scenario.name);
                failures.push(format!("{place}: {error:#}"));
            }
        }
        ensure!(envoy.is_running(), "Envoy {version} died in {}", group.name);
    }
    ensure!(envoy.vm_failures().await?.is_empty(), "Envoy {version}: a VM died");
    let told = crate::support::secrecy::check_envoy(&envoy, &secrets).await;
    failures.extend(told.err().map(|told| format!("Envoy {version}: {told}")));
    Ok(failures)
}

async fn check(scenario: &Scenario, port: u16, upstream: &Upstream) -> Result<()> {
    let before = upstream.count();
    let response = scenario.request.send(port).await?;
    let reached = upstream.count() - before;
    match &scenario.expect {
        Expect::Passes(seen) => {
            ensure!(response.status == 200, "{} {}", response.status, response.text());
            ensure!(reached == 1, "the upstream got {reached} requests");
            let received = upstream.last().ok_or_else(|| anyhow::anyhow!("nothing received"))?;
            seen.iter().try_for_each(|(name, value)| check_seen(&received, name, value.as_deref()))
        }
        Expect::Refused(reason) => {
            ensure!(reached == 0, "the request reached the upstream");
            crate::support::secrecy::check_answer(
                &response,
                &crate::support::secrecy::secrets(&scenario.request),
            )?;
            check_refusal(&response, reason, scenario)
        }
        Expect::EnvoyRefuses(status) => {
            ensure!(reached == 0, "the request reached the upstream");
            ensure!(response.status == *status, "{} {}", response.status, response.text());
            ensure!(response.reason().is_none(), "the filter refused it: {}", response.text());
            Ok(())
        }
    }
}

fn check_seen(received: &Received, name: &str, expected: Option<&str>) -> Result<()> {
    let values: Vec<_> = received.headers.iter().filter(|(known, _)| known == name).collect();
    let expected: Vec<_> = expected.into_iter().map(str::as_bytes).collect();
    let found: Vec<_> = values.iter().map(|(_, value)| value.as_slice()).collect();
    ensure!(found == expected, "{name} reached the upstream {} times or differs", values.len());
    Ok(())
}

fn check_refusal(response: &Response, reason: &str, scenario: &Scenario) -> Result<()> {
    if is_grpc(scenario) {
        ensure!(response.status == 200, "{} {}", response.status, response.text());
        let status = response.grpc_status();
        ensure!(status == Some(grpc_status_of(reason)), "grpc-status {status:?}");
        let message = response.header("grpc-message").unwrap_or_default();
        ensure!(message.starts_with(&format!("{reason}: ")), "grpc-message {message:?}");
        return Ok(());
    }
    ensure!(response.status == status_of(reason), "{} {}", response.status, response.text());
    // The response to HEAD has no body with a reason.
    let is_head = scenario.request.header_map().contains(&(":method".into(), b"HEAD".into()));
    if is_head {
        ensure!(response.body.is_empty(), "{}", response.text());
    } else {
        ensure!(response.reason().as_deref() == Some(reason), "{}", response.text());
    }
    let challenge = response.header("www-authenticate");
    let expected = match (response.status, reason) {
        (401, "missing_token") => challenge.as_deref() == Some(r#"Bearer realm="sa-authn""#),
        (401, _) => challenge.is_some_and(|text| text.contains(r#"error="invalid_token""#)),
        _ => challenge.is_none(),
    };
    ensure!(expected, "www-authenticate is not as it must be");
    let retry = response.header("retry-after");
    ensure!(retry.is_some() == (response.status == 503), "retry-after {retry:?}");
    Ok(())
}

fn is_grpc(scenario: &Scenario) -> bool {
    scenario.request.headers().iter().any(|(_, value)| value.starts_with(b"application/grpc"))
}
