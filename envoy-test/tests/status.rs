//! `sa-authn status` against real Envoys: what it says about each state, and its exit code.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::authorization::network_rbac;
use crate::support::command::{Ran, sa_authn, sa_authn_with};
use crate::support::{
    Gate, api, check_refused, config, discovery, get, http_options, p256_api_server,
};
use anyhow::{Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{ApiServer, Endpoint, Envoy, EnvoySetup, Fault, poll};
use serde_json::{Value, json};

async fn status(envoy: &Envoy, more: &[&str]) -> Result<Ran> {
    let admin = format!("http://127.0.0.1:{}", envoy.admin_port());
    sa_authn(&[&["status", "--admin", &admin], more].concat()).await
}

/// Fails unless the exit code is this one, and each piece begins one of the lines.
fn check(ran: &Ran, code: i32, lines: &[&str]) -> Result<()> {
    for line in lines {
        let found = ran.stdout.lines().any(|found| found.starts_with(line));
        ensure!(found, "no line {line:?} in\n{}{}", ran.stdout, ran.stderr);
    }
    ensure!(
        ran.code == code,
        "exit code {} in place of {code}\n{}{}",
        ran.code,
        ran.stdout,
        ran.stderr
    );
    Ok(())
}

/// Starts an Envoy with keys by discovery, after a change to its bootstrap, and waits until it has the keys.
async fn started(
    version: &str,
    api_server: &ApiServer,
    config: Value,
    patch: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Gate> {
    let setup = EnvoySetup::new().version(version).api_server(api_server);
    let gate = Gate::start(setup.plugin_config(config).patch(patch)).await?;
    let token = api_server.mint(api());
    let response = get(&token).send(gate.envoy.port()).await?;
    ensure!(response.status == 200, "{}", response.text());
    gate.envoy.wait_stat("wasmcustom.sa_authn.keys.fetched_at.local", |at| at > 0).await?;
    Ok(gate)
}

fn chains(tree: &mut Value) -> &mut Vec<Value> {
    let chains = &mut tree["static_resources"]["listeners"][0]["filter_chains"];
    chains.as_array_mut().expect("filter chains")
}

fn tcp_chain(policy: Option<&Value>) -> Value {
    let mut filters = vec![json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "tcp",
            "cluster": "upstream",
        },
    })];
    if let Some(policy) = policy {
        filters.insert(0, network_rbac(policy));
    }
    json!({ "name": "tcp", "filter_chain_match": { "source_ports": [1] }, "filters": filters })
}

/// A file with this text, deleted with the folder.
fn file(folder: &tempfile::TempDir, text: &str) -> Result<PathBuf> {
    let path = folder.path().join("config.json");
    std::fs::write(&path, text)?;
    Ok(path)
}

#[tokio::test]
async fn healthy_proxy_passes_and_shows_what_was_denied() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = p256_api_server().await?;
        let config = config(discovery(json!({})));
        let gate = started(&version, &api_server, config.clone(), |_| {}).await?;
        let response = envoy_test::Request::get("/secrets/1").send(gate.envoy.port()).await?;
        check_refused(&response, 401, "missing_token")?;
        gate.envoy
            .wait_stat("wasmcustom.sa_authn.requests.denied.missing_token.none.none", |n| n == 1)
            .await?;
        let folder = tempfile::tempdir()?;
        let path = file(&folder, &format!("{config:#}"))?;
        let ran = status(&gate.envoy, &["--config", &path.to_string_lossy()]).await?;
        let expected = [
            &format!("ok  envoy     {version}, LIVE, up "),
            concat!("ok  filter    sa-authn ", env!("CARGO_PKG_VERSION"), " in 1 filter chain"),
            "ok  config    issuers 1, no rules",
            "ok  config    equals the file",
            "ok  update    no newer configuration was rejected",
            "ok  chains    no way to an upstream without the filter",
            "ok  keys      issuer \"local\": 1, fetched ",
            "ok  vms       active VMs ",
            "ok  draining  no connections of a former configuration",
            "--  allowed   1",
            "--  denied    1: missing_token 1",
            "    STATUS    healthy",
        ];
        check(&ran, 0, &expected)?;
        let ran = status(&gate.envoy, &["--format", "json"]).await?;
        let answer: Value = serde_json::from_str(&ran.stdout)?;
        let message = concat!("sa-authn ", env!("CARGO_PKG_VERSION"), " in 1 filter chain");
        let filter = json!({ "severity": "ok", "about": "filter", "message": message });
        let counts = ["healthy", "problems", "warnings"].map(|member| &answer[member]);
        assert_eq!((ran.code, counts), (0, [&json!(true), &json!(0), &json!(0)]), "{}", ran.stdout);
        let findings = answer["findings"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(findings.contains(&filter), "{}", ran.stdout);
        let path =
            file(&folder, &config.to_string().replace("60s", "61s").replace("local", "other"))?;
        let ran = status(&gate.envoy, &["--config", &path.to_string_lossy()]).await?;
        check(&ran, 1, &["NO  config    differs from the file", "    STATUS    NOT HEALTHY"])?;
        let config = path.to_string_lossy();
        let ran = status(&gate.envoy, &["--config", &config, "--format", "json"]).await?;
        let answer: Value = serde_json::from_str(&ran.stdout)?;
        assert_eq!((ran.code, &answer["healthy"]), (1, &json!(false)), "{}", ran.stdout);
    }
    Ok(())
}

#[tokio::test]
async fn refused_configuration_is_a_problem_until_a_good_one_replaces_it() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = p256_api_server().await?;
        let config = config(discovery(json!({})));
        let setup = EnvoySetup::new().version(&version).api_server(&api_server);
        let setup = setup.dynamic_listener(std::time::Duration::from_secs(1));
        let gate = Gate::start(setup.plugin_config(config.clone())).await?;
        check(&status(&gate.envoy, &["--wait", "30s"]).await?, 0, &["    STATUS    healthy"])?;
        let mut bad = config.clone();
        bad["issuers"][0]["audience"] = json!("x");
        gate.envoy.replace_plugin_config(&bad)?;
        gate.envoy.wait_stat("listener_manager.lds.update_rejected", |count| count == 1).await?;
        let ran = status(&gate.envoy, &[]).await?;
        check(
            &ran,
            1,
            &["NO  update    Envoy rejected a newer configuration: listener \"inbound\": "],
        )?;
        let mut good = config;
        good["answers"] = json!({ "realm": "x" });
        gate.envoy.replace_plugin_config(&good)?;
        let ran = status(&gate.envoy, &["--wait", "30s"]).await?;
        check(&ran, 0, &["ok  update    current; Envoy rejected earlier updates: 1"])?;
    }
    Ok(())
}

#[tokio::test]
async fn proxy_without_the_filter_is_not_healthy() -> Result<()> {
    for version in oldest_and_newest() {
        let envoy = EnvoySetup::new().version(&version).without_filter().start().await?;
        let ran = status(&envoy, &[]).await?;
        let expected = [
            "NO  filter    not in any filter chain",
            "NO  chains    inbound[0]: requests reach the upstream without the filter",
        ];
        check(&ran, 1, &expected)?;
    }
    Ok(())
}

/// Istio's agent delivers RBAC in place of a plugin that it cannot load.
#[tokio::test]
async fn module_that_was_not_delivered_is_named() -> Result<()> {
    for version in oldest_and_newest() {
        let folder = tempfile::tempdir()?;
        let delivered = json!({ "resources": [{
            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
            "name": "sa-authn",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": {},
            },
        }] });
        let path = file(&folder, &delivered.to_string())?;
        let setup = EnvoySetup::new().version(&version).patch(move |tree| {
            http_options(tree)["http_filters"][0] = json!({
                "name": "sa-authn",
                "config_discovery": {
                    "config_source": { "path_config_source": { "path": path } },
                    "type_urls": [
                        "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                        "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                    ],
                },
            });
        });
        let envoy = setup.start().await?;
        let ran = status(&envoy, &[]).await?;
        let expected = "NO  filter    inbound[0]: the proxy runs RBAC in its place; the module could not be loaded";
        check(&ran, 1, &[expected])?;
    }
    Ok(())
}

#[tokio::test]
async fn keys_are_stale_while_their_server_is_down() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = p256_api_server().await?;
        let keys = json!({ "refreshInterval": "1s", "minRefetchInterval": "1s" });
        let gate = started(&version, &api_server, config(discovery(keys)), |_| {}).await?;
        check(
            &status(&gate.envoy, &[]).await?,
            0,
            &["ok  keys      issuer \"local\": 1, fetched "],
        )?;
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            api_server.set_fault(endpoint, Some(Fault::UntilCleared));
        }
        let stale = poll::until("stale keys", async || {
            let ran = status(&gate.envoy, &[]).await?;
            Ok((ran.code == 1).then_some(ran))
        });
        let line = stale.await?.stdout;
        let line = line.lines().find(|line| line.starts_with("NO  keys")).unwrap_or_default();
        ensure!(line.contains("; stale, refreshInterval is 1s"), "{line}");
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            api_server.set_fault(endpoint, None);
        }
        check(&status(&gate.envoy, &["--wait", "60s"]).await?, 0, &["ok  keys"])?;
    }
    Ok(())
}

#[tokio::test]
async fn filter_chains_without_the_filter_are_named() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = p256_api_server().await?;
        let config = config(discovery(json!({})));
        let gate = started(&version, &api_server, config.clone(), |tree| {
            let mut http = chains(tree)[0].clone();
            http["name"] = json!("old");
            http["filter_chain_match"] = json!({ "source_ports": [2] });
            let options = &mut http["filters"][0]["typed_config"];
            options["http_filters"].as_array_mut().expect("filters").remove(0);
            chains(tree).extend([http, tcp_chain(None)]);
        })
        .await?;
        let expected = [
            concat!("ok  filter    sa-authn ", env!("CARGO_PKG_VERSION"), " in 1 filter chain"),
            "NO  chains    inbound/old: requests reach the upstream without the filter",
            "NO  chains    inbound/tcp: TCP connections reach the upstream without the filter",
        ];
        check(&status(&gate.envoy, &[]).await?, 1, &expected)?;

        let policy = json!({ "metadata": { "namespace": "a", "name": "deny-tcp" }, "spec": {
            "action": "DENY", "rules": [{ "to": [{ "operation": { "notMethods": ["*"] } }] }],
        } });
        let gate = started(&version, &api_server, config, move |tree| {
            chains(tree).push(tcp_chain(Some(&policy)));
        })
        .await?;
        let expected = "ok  chains    no way to an upstream without the filter; TCP filter chains that deny every connection: 1";
        check(&status(&gate.envoy, &[]).await?, 0, &[expected])?;
    }
    Ok(())
}

#[tokio::test]
async fn failing_open_is_a_problem_and_shadow_mode_a_warning() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = p256_api_server().await?;
        let config = config(discovery(json!({})));
        let gate = started(&version, &api_server, config.clone(), |tree| {
            let plugin = &mut http_options(tree)["http_filters"][0]["typed_config"]["config"];
            plugin["failure_policy"] = json!("FAIL_OPEN");
        })
        .await?;
        check(&status(&gate.envoy, &[]).await?, 1, &["NO  filter    inbound[0]: fails open"])?;

        let mut shadow = config;
        shadow["mode"] = json!("shadow");
        let gate = started(&version, &api_server, shadow, |_| {}).await?;
        let response = envoy_test::Request::get("/secrets/1").send(gate.envoy.port()).await?;
        ensure!(response.status == 200, "{}", response.text());
        gate.envoy
            .wait_stat("wasmcustom.sa_authn.requests.shadow_denied.missing_token.none.none", |n| {
                n == 1
            })
            .await?;
        let expected = [
            "!!  config    issuers 1, no rules; shadow mode: denied requests pass",
            "!!  shadow    requests that would be denied: ",
            "    STATUS    healthy, with warnings: 2",
        ];
        check(&status(&gate.envoy, &[]).await?, 0, &expected)?;
    }
    Ok(())
}

#[tokio::test]
async fn unreachable_admin_address_is_indeterminate() -> Result<()> {
    let ran = sa_authn(&["status", "--admin", "http://127.0.0.1:1"]).await?;
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    ensure!(ran.stderr.starts_with("error: http://127.0.0.1:1/server_info: "), "{}", ran.stderr);
    let upstream = envoy_test::Upstream::start().await?;
    let other = format!("127.0.0.1:{}", upstream.port());
    let ran = sa_authn(&["status", "--admin", &other]).await?;
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    Ok(())
}

/// No cluster is here: a script in place of `kubectl` prints what `kubectl port-forward` prints, and Envoy's admin port
/// is the local end.
#[tokio::test]
async fn pod_is_reached_by_port_forward() -> Result<()> {
    let envoy = EnvoySetup::new().without_filter().start().await?;
    let folder = tempfile::tempdir()?;
    let script = |body: &str| -> Result<()> {
        let path = folder.path().join("kubectl");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n"))?;
        Ok(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?)
    };
    let arguments = ["status", "-n", "secrets", "deploy/secret-store"];
    script(&format!(
        "test \"$*\" = 'port-forward --namespace=secrets --address=127.0.0.1 -- deploy/secret-store :15000' || exit 3\n\
         echo 'Forwarding from 127.0.0.1:{} -> 15000'\nexec sleep 600",
        envoy.admin_port()
    ))?;
    let ran = sa_authn_with(&arguments, Some(folder.path())).await?;
    check(&ran, 1, &["NO  filter    not in any filter chain"])?;
    script(
        "echo 'Error from server (NotFound): deployments.apps \"secret-store\" not found' >&2; exit 1",
    )?;
    let ran = sa_authn_with(&arguments, Some(folder.path())).await?;
    let said = "error: kubectl port-forward: Error from server (NotFound): deployments.apps \"secret-store\" not found\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (2, said));
    Ok(())
}
