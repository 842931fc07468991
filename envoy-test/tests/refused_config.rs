//! Invalid configurations: Envoy does not start or keeps the old one, and the log has every problem.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{config, discovery};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{Envoy, EnvoySetup};
use serde_json::{Value, json};

/// Starts the oldest and the newest Envoy with this configuration, which both must reject with exactly these problems.
async fn refused(config: &str, expected: &[&str]) -> Result<()> {
    for version in oldest_and_newest() {
        let setup = EnvoySetup::new().version(&version).plugin_config_text(config);
        let log = setup.expect_refused().await?;
        check(&log, expected).with_context(|| format!("Envoy {version}"))?;
    }
    Ok(())
}

/// Fails unless the log has exactly these problems, each identified by its prefix.
fn check(log: &str, expected: &[&str]) -> Result<()> {
    // Envoy configures the filter more than once.
    let problems = problems(log);
    let expected: BTreeSet<_> = expected.iter().collect();
    let as_expected = problems.len() == expected.len()
        && problems.iter().zip(&expected).all(|(problem, begin)| problem.starts_with(**begin));
    ensure!(as_expected, "{problems:#?} instead of {expected:#?}");
    ensure!(!log.contains("panicked at"), "{log}");
    Ok(())
}

fn problems(log: &str) -> BTreeSet<&str> {
    let lines = log.lines().filter_map(|line| line.split_once("configuration: "));
    lines.map(|(_, problem)| problem).collect()
}

/// A running Envoy with a valid configuration, for invalid updates.
async fn running(version: &str) -> Result<Envoy> {
    let setup = EnvoySetup::new().version(version).dynamic_listener(Duration::from_secs(1));
    setup.plugin_config(config(discovery(json!({})))).start().await
}

/// What Envoy logs when it rejects this update.
async fn log_of_update(envoy: &Envoy, config: &str) -> Result<String> {
    let (start, rejected) = (envoy.log().len(), envoy.stat(REJECTED).await?);
    envoy.replace_plugin_config_text(config)?;
    envoy.wait_stat(REJECTED, |count| count > rejected).await?;
    Ok(envoy.log().split_off(start))
}

const REJECTED: &str = "listener_manager.lds.update_rejected";

/// A valid configuration after a change.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut config = config(discovery(json!({})));
    change(&mut config);
    config.to_string()
}

#[tokio::test]
async fn empty_configuration_is_rejected_with_the_required_field() -> Result<()> {
    refused("", &["the configuration is empty; `issuers` is required"]).await
}

#[tokio::test]
async fn invalid_updates_are_rejected_with_every_problem() -> Result<()> {
    for version in oldest_and_newest() {
        let envoy = running(&version).await?;
        for (name, config, expected) in invalid_updates() {
            let log = log_of_update(&envoy, &config).await.with_context(|| name.to_owned())?;
            check(&log, &expected).with_context(|| format!("Envoy {version}: {name}"))?;
        }
    }
    Ok(())
}

/// What is invalid, the configuration, and its problems.
fn invalid_updates() -> Vec<(&'static str, String, Vec<&'static str>)> {
    let no_issuer = "issuers: must not be empty; add the issuer";
    let twice = "{\"issuers\": [], \"issuers\": []}".to_owned();
    let no_keys =
        "issuers[0].keys: expected exactly one of discovery, jwks, inline, pem, found none";
    let twins = changed(|config| {
        let mut twin = config["issuers"][0].clone();
        config["issuers"][0]["keys"] = json!({});
        twin["issuer"] = json!("https://twin.test");
        config["issuers"].as_array_mut().unwrap().push(twin);
    });
    let same_name =
        "issuers[1].name: issuer names must be unique: \"local\" is also the name of issuers[0]";
    let rule_of_an_issuer_without_keys = changed(|config| {
        config["issuers"][0]["keys"] = json!({});
        config["rules"] = json!([{ "allow": [{ "issuerName": "local" }] }]);
    });
    let misspelt = changed(|config| config["forwardTokens"] = json!(true));
    let nested = changed(|config| config["issuers"][0]["keys"]["discovery"]["path"] = json!("/"));
    vec![
        (
            "white space",
            " \n".to_owned(),
            vec!["the configuration is empty; `issuers` is required"],
        ),
        ("no field", "{}".to_owned(), vec![no_issuer]),
        ("invalid JSON", "{\"issuers\": [}".to_owned(), vec!["expected value at line 1 column 14"]),
        ("an array", "[]".to_owned(), vec!["must be a JSON object"]),
        ("a field twice", twice, vec!["duplicate member `issuers` at line 1 column 25", no_issuer]),
        ("an issuer without keys before one with the same name", twins, vec![no_keys, same_name]),
        ("a rule of an issuer without keys", rule_of_an_issuer_without_keys, vec![no_keys]),
        (
            "an unknown field",
            misspelt,
            vec!["forwardTokens: unknown field `forwardTokens`, expected one of `issuers`, "],
        ),
        (
            "an unknown field in an object",
            nested,
            vec![
                "issuers[0].keys.discovery.path: unknown field `path`, expected one of `cluster`, `authority`, `pathPrefix`, `jwksServer`",
            ],
        ),
    ]
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

/// tests/testdata/broken/README.md has these lines beside the output of `sa-authn check`.
#[tokio::test]
async fn documented_broken_configurations_are_rejected_with_the_documented_lines() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testdata/broken");
    let readme = fs::read_to_string(folder.join("README.md"))?;
    for version in oldest_and_newest() {
        let envoy = running(&version).await?;
        let mut count = 0;
        for section in readme.split("\n## ").skip(1) {
            let (name, rest) = section.split_once('\n').context("a name")?;
            let Some((_, block)) = rest.split_once("Envoy's log:\n\n```text\n") else { continue };
            let documented = problems(block.split("```").next().context("the end")?);
            let log = log_of_update(&envoy, &fs::read_to_string(folder.join(name))?).await?;
            let found = problems(&log);
            let which = format!("Envoy {version}: {name}");
            ensure!(found == documented, "{which}: {found:#?} instead of {documented:#?}");
            count += 1;
        }
        assert!(count >= 40, "{count} configurations");
    }
    Ok(())
}
