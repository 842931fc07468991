//! The table of signatures and keys in real Envoys, where the host verifies.

use std::thread;

use anyhow::{Context, Result, ensure};
use envoy_test::conformance::{Case, PASSES, Table, Verifier, differences, tables};
use envoy_test::envoy::versions;
use envoy_test::scenarios::status_of;
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, Envoy, EnvoySetup, Fault, Request, Upstream,
};

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
    let mut failures = Vec::new();
    let mut count = 0;
    for table in tables {
        let differences = run(version, table).await?;
        let prefix = format!("Envoy {version}, {}", table.name);
        failures.extend(differences.into_iter().map(|what| format!("{prefix}: {what}")));
        count += table.cases.len();
    }
    println!("Envoy {version}: {count} cases");
    Ok(failures)
}

async fn run(version: &str, table: &Table) -> Result<Vec<String>> {
    let api_server = ApiServer::start(ApiServerOptions::default()).await?;
    api_server.set_fault(Endpoint::Jwks, Some(Fault::Body(table.jwks.clone().into_bytes())));
    let upstream = Upstream::start().await?;
    let envoy = EnvoySetup::new()
        .version(version)
        .api_server(&api_server)
        .upstream(&upstream)
        .plugin_config(table.config.clone())
        .start()
        .await?;
    let mut said = Vec::new();
    for case in &table.cases {
        said.push(judge(case, &envoy, &upstream).await.with_context(|| case.name.clone())?);
    }
    ensure!(envoy.vm_failures().await?.is_empty(), "Envoy {version}: a VM died");
    Ok(differences(Verifier::Envoy, &table.cases, &said))
}

async fn judge(case: &Case, envoy: &Envoy, upstream: &Upstream) -> Result<String> {
    let before = upstream.count();
    let response = Request::get("/").bearer(&case.token).send(envoy.port()).await?;
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
