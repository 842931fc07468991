//! Changes while requests flow: upgrade, configuration, installation and removal.

use anyhow::{Result, bail, ensure};
use cluster_test::{Caller, Example, Image, Load};
use serde_json::json;

#[test]
fn upgrade_by_digest_and_configuration_changes_lose_no_request() -> Result<()> {
    let example = Example::ready()?;
    let second = Image::push("2")?;
    ensure!(second.url != example.image.url);
    let load = Load::start(&example.kubectl, Caller::Api)?;
    load.continue_for(&example.kubectl, 100)?;
    for round in 0..3 {
        let url = if round % 2 == 0 { &second.url } else { &example.image.url };
        example.change_plugin(|spec| {
            spec["url"] = json!(url);
            // A rule that exists only in this round shows that the change has arrived.
            let rules = spec["pluginConfig"]["rules"].as_array_mut().expect("rules");
            rules.push(json!({ "name": "round", "paths": [format!("/status/20{round}")], "allow": "anyone" }));
        })?;
        if round > 0 {
            example.expect_without_token(&format!("/status/20{round}"), &format!("20{round}"))?;
        }
        load.continue_for(&example.kubectl, 200)?;
    }
    let counts = load.stop(&example.kubectl)?;
    println!("{counts:?}");
    let kinds: Vec<_> = counts.keys().map(String::as_str).collect();
    ensure!(kinds == ["none 401", "token 200"], "{counts:?}");
    Ok(())
}

#[test]
fn nothing_of_the_example_remains_after_its_removal() -> Result<()> {
    let example = Example::ready()?;
    let (kubectl, namespace) = (&example.kubectl, example.namespace());
    // The order of istio/README.md.
    kubectl.run([
        "-n",
        namespace,
        "delete",
        "wasmplugin/sa-authn",
        "authorizationpolicy/sa-authn-deny-tcp",
    ])?;
    example.expect_without_token("/headers", "200")?;
    let patch = r#"{"spec":{"template":{
        "metadata":{"annotations":{"sidecar.istio.io/bootstrapOverride":null,"sidecar.istio.io/userVolumeMount":null}},
        "spec":{"volumes":[{"name":"sa-authn","$patch":"delete"}]}}}}"#;
    kubectl.run(["-n", namespace, "patch", "deployment", "secret-store", "-p", patch])?;
    kubectl.rolled_out(namespace, "secret-store")?;
    kubectl.run(["-n", namespace, "delete", "configmap", "sa-authn"])?;
    example.restart()?;
    ensure!(example.ask_with(Caller::Api, "/headers", None)?.outcome() == "200");
    let script = "curl -s http://127.0.0.1:15000/config_dump; curl -s http://127.0.0.1:15000/stats";
    let dump = kubectl.shell(namespace, "deploy/secret-store", "istio-proxy", script)?;
    // Envoy lists its own extension `envoy.wasm` in every configuration.
    for name in ["kube-apiserver", "wasmplugin", "wasmcustom", "sa_authn", "sa-authn@"] {
        if let Some(at) = dump.find(name) {
            bail!("the proxy still has {name}: {:?}", dump.get(at..at + 100));
        }
    }
    Ok(())
}
