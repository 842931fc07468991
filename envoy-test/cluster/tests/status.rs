//! `sa-authn status` against a sidecar and a gateway of the mesh: what it says about each state, and its exit code.

use std::path::Path;

use anyhow::{Context, Result};
use cluster_test::{Example, Gateway, Image, until};
use serde_json::json;

/// Asks a proxy by `kubectl port-forward`. Returns the exit code and the page.
fn status(namespace: &str, resource: &str) -> Result<(i32, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = envoy_test::command::sa_authn();
    command.args(["status", "-n", namespace, resource]).current_dir(root);
    let output = command.output().context("running sa-authn")?;
    let code = output.status.code().context("an exit code")?;
    let page = [output.stdout, output.stderr].concat();
    Ok((code, String::from_utf8(page)?))
}

/// Waits for this exit code and for a line that begins so.
fn expect(namespace: &str, resource: &str, code: i32, line: &str) -> Result<()> {
    until(&format!("exit code {code} and {line:?}"), || {
        let (found, page) = status(namespace, resource)?;
        let is_expected = found == code && page.lines().any(|found| found.starts_with(line));
        Ok((!is_expected).then(|| format!("exit code {found}\n{page}")))
    })
}

#[test]
fn sidecar_is_healthy_and_each_fault_is_a_problem_until_it_is_repaired() -> Result<()> {
    let example = Example::ready()?;
    let namespace = example.namespace();
    let sidecar = |code, line: &str| expect(namespace, "deploy/secret-store", code, line);
    let healthy = "ok  chains    no way to an upstream without the filter; TCP filter chains that deny every connection: ";
    sidecar(0, healthy)?;
    example.change_plugin(|spec| {
        spec["pluginConfig"]["issuers"][0]["audience"] = json!("a misspelled field");
    })?;
    sidecar(1, "NO  config    issuers[0].audience: unknown field `audience`")?;
    let missing = Image::missing()?.url;
    example.change_plugin(|spec| spec["url"] = json!(missing))?;
    let why = "the proxy runs RBAC in its place; the module could not be loaded";
    sidecar(1, &format!("NO  filter    virtualInbound/0.0.0.0_8080: {why}"))?;
    // A proxy that had keys would go on with them.
    example.change_plugin(|spec| {
        spec["pluginConfig"]["issuers"][0]["keys"]["discovery"]["pathPrefix"] = json!("/nowhere");
    })?;
    sidecar(1, "NO  keys      issuer \"local\"")?;
    example.kubectl.apply(&example.plugin()?)?;
    sidecar(0, healthy)?;
    example.kubectl.run(["-n", namespace, "delete", "authorizationpolicy", "sa-authn-deny-tcp"])?;
    sidecar(1, "NO  chains    virtualInbound/virtualInbound: TCP connections reach the upstream")?;
    example.kubectl.run(["-n", namespace, "delete", "wasmplugin", "sa-authn"])?;
    sidecar(1, "NO  filter    not in any filter chain")?;
    example.kubectl.apply(&example.plugin()?)?;
    sidecar(0, healthy)
}

#[test]
fn gateway_is_healthy_with_the_plugin_and_open_without_it() -> Result<()> {
    let gateway = Gateway::ready()?;
    let status = |code, line: &str| expect(INGRESS, "deploy/shop-istio", code, line);
    status(1, "NO  chains    0.0.0.0_80[0]: requests reach the upstream without the filter")?;
    gateway.protect("wasmplugin-gateway.yaml")?;
    status(0, "ok  chains    no way to an upstream without the filter")
}

const INGRESS: &str = "sa-authn-ingress";
