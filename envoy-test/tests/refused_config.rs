//! Invalid configurations: Envoy does not start, and the log has every problem.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{config, discovery};
use anyhow::{Context, Result, ensure};
use envoy_test::EnvoySetup;
use envoy_test::envoy::oldest_and_newest;
use serde_json::{Value, json};

/// Starts the oldest and the newest Envoy with this configuration, which both must reject with exactly these
/// problems, each identified by its prefix.
async fn refused(config: &str, expected: &[&str]) -> Result<()> {
    let mut expected = expected.to_vec();
    expected.sort();
    for version in oldest_and_newest() {
        let setup = EnvoySetup::new().version(&version).plugin_config_text(config);
        let log = setup.expect_refused().await?;
        let lines = log.lines().filter_map(|line| line.split_once("configuration: "));
        // Envoy configures the filter more than once.
        let problems: BTreeSet<&str> = lines.map(|(_, problem)| problem).collect();
        let as_expected = problems.len() == expected.len()
            && problems.iter().zip(&expected).all(|(problem, begin)| problem.starts_with(begin));
        ensure!(as_expected, "Envoy {version}: {problems:#?} instead of {expected:#?}");
        ensure!(!log.contains("panicked at"), "Envoy {version}: {log}");
    }
    Ok(())
}

/// A valid configuration after a change.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut config = config(discovery(json!({})));
    change(&mut config);
    config.to_string()
}

#[tokio::test]
async fn empty_configuration_is_rejected_with_the_required_field() -> Result<()> {
    let empty = ["the configuration is empty; `issuers` is required"];
    refused("", &empty).await?;
    refused(" \n", &empty).await?;
    refused("{}", &["issuers: must not be empty; add the issuer"]).await
}

#[tokio::test]
async fn invalid_json_is_rejected_with_its_location() -> Result<()> {
    refused("{\"issuers\": [}", &["expected value at line 1 column 14"]).await?;
    refused("[]", &["must be a JSON object"]).await?;
    let twice = "{\"issuers\": [], \"issuers\": []}";
    let expected = [
        "duplicate member `issuers` at line 1 column 25",
        "issuers: must not be empty; add the issuer",
    ];
    refused(twice, &expected).await
}

#[tokio::test]
async fn all_problems_are_reported_together_with_their_paths() -> Result<()> {
    let config = json!({
        "issuers": [
            { "name": "east", "issuer": "", "audiences": [], "keys": {} },
            {
                "name": "west",
                "issuer": "https://west.test",
                "audience": "secret-store",
                "keys": { "discovery": { "cluster": "" }, "refreshInterval": "1s", "timeout": "10" },
                "leeway": "1h",
            },
        ],
        "tokenFrom": [{ "header": "X Y" }],
        "rules": [{ "paths": ["secrets/*"], "methods": ["get"], "allow": ["api"] }],
        "identityHeaders": { "authorization": "name", "x-sa-name": "nom" },
        "mode": "audit",
        "limits": { "maxWaiting": 0, "waitTimeout": "0s" },
    });
    let expected = [
        "issuers[0].issuer: must not be empty; set the `iss` of ",
        "issuers[0].audiences: must not be empty; list the audience your callers request",
        "issuers[0].keys: expected exactly one of discovery, jwks, inline, pem, found none",
        "issuers[1].audience: unknown field `audience`, expected one of `name`, ",
        "issuers[1].audiences: must not be empty; list the audience your callers request",
        "issuers[1].leeway: must be at most 10m, found 1h",
        "issuers[1].keys.timeout: invalid value: string \"10\", expected a duration such as \"30s\"",
        "issuers[1].keys.refreshInterval: must be at least minRefetchInterval (10s), found 1s",
        "issuers[1].keys.discovery.cluster: must be the name of an Envoy cluster",
        "issuers[1].keys.discovery.authority: must be the server's host name, with or without a port, for example ",
        "tokenFrom[0].header: must contain only letters, digits and `-`",
        "rules[0].paths[0]: matches no request: path does not begin with /",
        "rules[0].methods[0]: \"get\": must be an upper-case method, for example \"GET\"",
        "rules[0].allow[0]: \"api\": expected namespace/name",
        "identityHeaders.authorization: this header is reserved by HTTP or Envoy",
        "identityHeaders.x-sa-name: \"nom\": expected one of subject, namespace, name, ",
        "mode: unknown variant `audit`, expected `enforce` or `shadow`",
        "limits.maxWaiting: must be from 1 to ",
        "limits.waitTimeout: must be from 1ms to ",
    ];
    refused(&config.to_string(), &expected).await
}

#[tokio::test]
async fn issuer_without_keys_hides_no_problem_of_the_next_issuer() -> Result<()> {
    let config = changed(|config| {
        let mut twin = config["issuers"][0].clone();
        config["issuers"][0]["keys"] = json!({});
        twin["issuer"] = json!("https://twin.test");
        config["issuers"].as_array_mut().unwrap().push(twin);
    });
    let keys = "issuers[0].keys: expected exactly one of discovery, jwks, inline, pem, found none";
    let name =
        "issuers[1].name: issuer names must be unique: \"local\" is also the name of issuers[0]";
    refused(&config, &[keys, name]).await
}

#[tokio::test]
async fn rule_may_refer_to_an_issuer_with_invalid_keys() -> Result<()> {
    let config = changed(|config| {
        config["issuers"][0]["keys"] = json!({});
        config["rules"] = json!([{ "allow": [{ "issuerName": "local" }] }]);
    });
    let keys = "issuers[0].keys: expected exactly one of discovery, jwks, inline, pem, found none";
    refused(&config, &[keys]).await
}

#[tokio::test]
async fn unknown_field_is_rejected() -> Result<()> {
    let misspelt = changed(|config| config["forwardTokens"] = json!(true));
    let expected = "forwardTokens: unknown field `forwardTokens`, expected one of `issuers`, ";
    refused(&misspelt, &[expected]).await?;
    let nested = changed(|config| config["issuers"][0]["keys"]["discovery"]["path"] = json!("/"));
    let expected = "issuers[0].keys.discovery.path: unknown field `path`, expected one of `cluster`, `authority`, `pathPrefix`, `jwksServer`";
    refused(&nested, &[expected]).await
}

/// tests/testdata/broken/README.md has these lines beside the output of `sa-authn check`.
#[tokio::test]
async fn documented_broken_configurations_are_rejected_with_the_documented_lines() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testdata/broken");
    let readme = fs::read_to_string(folder.join("README.md"))?;
    let setup = EnvoySetup::new().dynamic_listener(Duration::from_secs(1));
    let envoy = setup.plugin_config(config(discovery(json!({})))).start().await?;
    let mut count = 0;
    for section in readme.split("\n## ").skip(1) {
        let (name, rest) = section.split_once('\n').context("a name")?;
        let Some((_, block)) = rest.split_once("Envoy's log:\n\n```text\n") else { continue };
        let lines = block.split("```").next().context("the end")?.lines();
        let expected: BTreeSet<&str> = lines.collect();
        let start = envoy.log().len();
        envoy.replace_plugin_config_text(&fs::read_to_string(folder.join(name))?)?;
        count += 1;
        envoy.wait_stat("listener_manager.lds.update_rejected", |found| found == count).await?;
        let log = envoy.log();
        let found: BTreeSet<&str> = log[start..]
            .lines()
            .filter_map(|line| line.find("configuration: ").and_then(|at| line.get(at..)))
            .collect();
        ensure!(found == expected, "{name}: {found:#?} instead of {expected:#?}");
    }
    assert!(count >= 40, "{count} configurations");
    Ok(())
}
