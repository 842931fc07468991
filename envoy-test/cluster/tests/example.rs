//! The example of `istio/` in a mesh.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use cluster_test::guide::perform;
use cluster_test::{Caller, Example, Guide, until};
use serde_json::Value;

#[test]
fn sidecar_passes_one_caller_and_denies_the_other() -> Result<()> {
    let example = Example::ready()?;
    let answer = example.ask(Caller::Api, "/headers")?;
    let headers: Value = serde_json::from_str(&answer.body)?;
    assert_eq!(headers["headers"]["X-Sa-Namespace"][0], "sa-authn-api", "{}", answer.body);
    assert_eq!(headers["headers"]["X-Sa-Name"][0], "api", "{}", answer.body);
    assert!(headers["headers"]["Authorization"].is_null(), "{}", answer.body);
    assert_eq!(example.ask(Caller::Web, "/headers")?.outcome(), "403 forbidden");
    assert_eq!(example.ask_with(Caller::Api, "/headers", None)?.outcome(), "401 missing_token");
    assert_eq!(example.ask_with(Caller::Api, "/status/200", None)?.outcome(), "200");
    let spoofed = "-H 'x-sa-name: admin'";
    let answer = example.send(Caller::Api, "/status/200", spoofed)?;
    assert_eq!(answer.outcome(), "200");
    Ok(())
}

#[test]
fn guide_installs_the_example_which_responds_as_the_guide_says() -> Result<()> {
    let example = Example::ready()?;
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join("example"))?;
    for file in ["example/callers.yaml", "example/secret-store.yaml", "api-server-sidecar.yaml"] {
        fs::write(folder.path().join(file), Example::manifest(file)?)?;
    }
    fs::write(folder.path().join("wasmplugin-sidecar.yaml"), example.plugin()?)?;
    let guide = Guide::read(
        "istio/README.md",
        &[
            (" istio/", &format!(" {}/", folder.path().display())),
            ("kubectl -n \"$1\"", "kubectl -n \"sa-authn-$1\""),
            ("kubectl -n api ", "kubectl -n sa-authn-api "),
            (".secrets/", ".sa-authn-secrets/"),
            (
                "\"X-Sa-Namespace\": [\n      \"api\"",
                "\"X-Sa-Namespace\": [\n      \"sa-authn-api\"",
            ),
        ],
    )?;
    perform(&guide.steps("Install the example")?)
}

#[test]
fn application_has_no_token_and_the_sidecar_has_one() -> Result<()> {
    let example = Example::ready()?;
    let pod = example.pod()?;
    let spec = &pod["spec"];
    let containers = ["containers", "initContainers"].into_iter();
    let containers: Vec<_> =
        containers.flat_map(|kind| spec[kind].as_array().into_iter().flatten()).collect();
    let mut with_token = Vec::new();
    for container in containers {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        if mounts.clone().any(|mount| mount["mountPath"] == DEFAULT_TOKEN) {
            with_token.push(container["name"].as_str().unwrap_or_default());
        }
    }
    assert_eq!(with_token, ["istio-proxy"]);
    Ok(())
}

#[test]
fn metrics_have_labels_at_the_path_that_prometheus_scrapes() -> Result<()> {
    let example = Example::ready()?;
    until("the metrics of the shipped rules and dashboard", || {
        example.ask(Caller::Api, "/headers")?;
        example.ask(Caller::Web, "/headers")?;
        let metrics = example.metrics()?;
        let missing: Vec<_> = [
            r#"sa_authn_requests{verdict="allowed",reason="none",rule="headers","#,
            r#"sa_authn_requests{verdict="denied",reason="forbidden",rule="headers","#,
            r#"sa_authn_key_fetches{outcome="success","#,
            r#"sa_authn_token_cache{outcome="hit""#,
            r#"sa_authn_keys_count{issuer="local""#,
            r#"sa_authn_build{version=""#,
        ]
        .into_iter()
        .filter(|metric| !metrics.contains(metric))
        .collect();
        let seen: Vec<_> = metrics.lines().filter(|line| line.contains("sa_authn")).collect();
        Ok((!missing.is_empty()).then(|| format!("no {missing:?} in {seen:#?}")))
    })
}

/// The token of api/api, sent by web/web over its own mTLS connection.
#[test]
fn stolen_token_is_useless_with_match_peer() -> Result<()> {
    let example = Example::ready()?;
    let stolen = example.kubectl.token("sa-authn-api", "api", "secret-store")?;
    assert_eq!(example.ask_with(Caller::Web, "/headers", Some(&stolen))?.outcome(), "200");
    example.change_plugin(|spec| {
        spec["pluginConfig"]["issuers"][0]["matchPeer"] = true.into();
    })?;
    until("the peer is compared", || {
        let seen = example.ask_with(Caller::Web, "/headers", Some(&stolen))?.outcome();
        Ok((seen != "401 wrong_peer").then_some(seen))
    })?;
    assert_eq!(example.ask(Caller::Api, "/headers")?.outcome(), "200");
    Ok(())
}

/// The two warnings that istio/README.md explains: the policy is meant to deny TCP, and only an EnvoyFilter can add the caller's token.
#[test]
fn istioctl_analyze_reports_only_the_documented_warnings() -> Result<()> {
    let example = Example::ready()?;
    // Everything that can be installed together.
    example.kubectl.apply(&Example::caller()?)?;
    for file in [
        "api-server-gateway.yaml",
        "wasmplugin-gateway.yaml",
        "rbac-keys.yaml",
        "rbac-token-review.yaml",
    ] {
        example.kubectl.apply(&Example::manifest(file)?)?;
    }
    let mut analyze = Command::new("istioctl");
    analyze.args([
        "analyze",
        "--all-namespaces",
        "--output",
        "json",
        "--failure-threshold",
        "Error",
    ]);
    let output = analyze.output().context("istioctl")?;
    let found: Vec<Value> = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    let about_us: Vec<_> = found
        .iter()
        // IST0171: the cluster has no load balancer that gives the gateway an address.
        .filter(|message| message["level"] != "Info" && message["code"] != "IST0171")
        .filter_map(|message| Some((message["code"].as_str()?, message["origin"].as_str()?)))
        .filter(|(_, origin)| origin.contains("sa-authn"))
        .collect();
    assert_eq!(about_us, DOCUMENTED_WARNINGS);
    Ok(())
}

const DOCUMENTED_WARNINGS: [(&str, &str); 2] = [
    ("IST0133", "AuthorizationPolicy sa-authn-secrets/sa-authn-deny-tcp"),
    ("IST0133", "EnvoyFilter sa-authn-shop/api-service-tokens"),
];
const DEFAULT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
