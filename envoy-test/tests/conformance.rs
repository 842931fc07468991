//! The table of signatures and keys in real Envoys, where the host verifies.

use std::thread;

use crate::support::listeners;
use anyhow::{Context, Result, ensure};
use envoy_test::conformance::{Case, PASSES, Table, Verifier, differences, tables};
use envoy_test::envoy::versions;
use envoy_test::scenarios::status_of;
use envoy_test::{ApiServer, ApiServerOptions, Endpoint, EnvoySetup, Fault, Request, Upstream};

#[test]
fn every_signature_and_key_has_the_expected_verdict_in_every_envoy() -> Result<()> {
    let (tables, versions) = (tables(), versions());
    // In parallel, because most of the time is waiting.
    let failures: Result<Vec<_>> = thread::scope(|threads| {
        let envoys = versions.iter().map(|version| threads.spawn(|| in_envoy(version, &tables)));
        let envoys: Vec<_> = envoys.collect();
        envoys.into_iter().map(|envoy| envoy.join().expect("no panic")).collect()
    });
    let failures = failures?.concat();
    ensure!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn in_envoy(version: &str, tables: &[Table]) -> Result<Vec<String>> {
    let upstream = Upstream::start().await?;
    let mut api_servers = Vec::new();
    for table in tables {
        let api_server = ApiServer::start(ApiServerOptions::default()).await?;
        api_server.set_fault(Endpoint::Jwks, Some(Fault::Body(table.jwks.clone().into_bytes())));
        api_servers.push(api_server);
    }
    let setup = EnvoySetup::new().version(version).upstream(&upstream);
    let configs = tables.iter().map(|table| table.config.clone()).collect();
    let envoy = listeners::each_with_an_api_server(setup, configs, &api_servers).start().await?;
    let mut failures = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let port = listeners::port(&envoy, number).await?;
        let mut said = Vec::new();
        for case in &table.cases {
            said.push(judge(case, port, &upstream).await.with_context(|| case.name.clone())?);
        }
        let prefix = format!("Envoy {version}, {}", table.name);
        let differences = differences(Verifier::Envoy, &table.cases, &said);
        failures.extend(differences.into_iter().map(|what| format!("{prefix}: {what}")));
    }
    ensure!(envoy.vm_failures().await?.is_empty(), "Envoy {version}: a VM died");
    println!(
        "Envoy {version}: {} cases",
        tables.iter().map(|table| table.cases.len()).sum::<usize>()
    );
    Ok(failures)
}

async fn judge(case: &Case, port: u16, upstream: &Upstream) -> Result<String> {
    let before = upstream.count();
    let response = Request::get("/").bearer(&case.token).send(port).await?;
    let reached = upstream.count() - before;
    match response.reason() {
        None => {
            ensure!(response.status == 200, "{} {}", response.status, response.text());
            ensure!(reached == 1, "the upstream got {reached} requests");
            Ok(PASSES.to_owned())
        }
        Some(reason) => {
            ensure!(response.status == status_of(&reason), "{} {reason}", response.status);
            ensure!(reached == 0, "{reason}, and it reached the upstream");
            Ok(reason)
        }
    }
}
