//! What goes wrong when the plugin is installed: the configuration, the image, the registry.

use anyhow::{Result, ensure};
use cluster_test::{Caller, Example, Image, until};
use serde_json::json;

#[test]
fn running_proxy_keeps_its_configuration_and_a_new_one_answers_500_but_is_ready() -> Result<()> {
    let example = Example::ready()?;
    example.change_plugin(|spec| {
        spec["pluginConfig"]["issuers"][0]["audience"] = json!("a misspelled field");
    })?;
    until("the error in the log", || {
        let log = example.log()?;
        Ok((!log.contains("issuers[0].audience: unknown field `audience`")).then_some(log))
    })?;
    for _ in 0..10 {
        ensure!(example.ask(Caller::Api, "/headers")?.outcome() == "200");
        ensure!(example.ask(Caller::Web, "/headers")?.outcome() == "403 forbidden");
    }
    // The rollout replaces the good pod: the new one is ready.
    example.restart()?;
    for caller in [Caller::Api, Caller::Web] {
        let answer = example.ask(caller, "/headers")?;
        ensure!((answer.status, answer.body.as_str()) == (500, ""), "{answer:?}");
    }
    let pod = example.pod()?;
    let statuses = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    ensure!(statuses.iter().all(|status| status["ready"] == true), "{statuses:#?}");
    // A correct configuration repairs it without a restart.
    example.kubectl.apply(&example.plugin()?)?;
    example.expect(Caller::Api, "/headers", "200")
}

#[test]
fn proxy_without_the_module_denies_every_request() -> Result<()> {
    let example = Example::ready()?;
    for (what, url, sha256) in [
        ("a digest that the registry does not have", Image::missing()?.url, None),
        ("another sha256", example.image.url.clone(), Some("2".repeat(64))),
        ("no registry", Image::without_registry().url, None),
    ] {
        example.change_plugin(|spec| {
            spec["url"] = json!(url);
            if let Some(sha256) = sha256 {
                spec["sha256"] = json!(sha256);
            }
        })?;
        for caller in [Caller::Api, Caller::Web] {
            until(&format!("{what}: every request is denied"), || {
                let answer = example.ask(caller, "/status/200")?;
                let is_expected =
                    (answer.status, answer.body.as_str()) == (403, "RBAC: access denied");
                Ok((!is_expected).then(|| format!("{answer:?}")))
            })?;
        }
        example.kubectl.apply(&example.plugin()?)?;
        example.expect(Caller::Api, "/headers", "200")?;
    }
    Ok(())
}

#[test]
fn pod_without_the_config_map_does_not_start() -> Result<()> {
    let example = Example::ready()?;
    let namespace = example.namespace();
    example.kubectl.run(["-n", namespace, "delete", "configmap", "sa-authn"])?;
    let old = example.pod()?["metadata"]["name"].clone();
    example.kubectl.run(["-n", namespace, "rollout", "restart", "deployment/secret-store"])?;
    until("an event about the ConfigMap", || {
        let events = example.kubectl.run([
            "-n",
            namespace,
            "get",
            "events",
            "-o",
            "jsonpath={..message}",
        ])?;
        Ok((!events.contains(r#"configmap "sa-authn" not found"#)).then_some(events))
    })?;
    // The old pod still answers.
    ensure!(example.ask(Caller::Api, "/headers")?.outcome() == "200");
    let pods = example.kubectl.pods(namespace, "app=secret-store")?;
    ensure!(pods.iter().any(|pod| pod["metadata"]["name"] == old), "the old pod is gone");
    example.kubectl.apply(&Example::manifest("api-server-sidecar.yaml")?)?;
    example.kubectl.rolled_out(namespace, "secret-store")
}
