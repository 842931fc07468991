//! `sa-authn status` while something changes: crashed VMs, and connections of a former configuration.

use std::time::Duration;

use crate::support::command::{Ran, sa_authn};
use crate::support::crash_switch::pull;
use crate::support::{Gate, api, config, get, http_options};
use anyhow::{Result, ensure};
use envoy_test::client::Connection;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{Envoy, EnvoySetup, KeyKind, Request, SigningKey, jwks, poll};
use serde_json::{Value, json};

fn static_keys(key: &SigningKey) -> Value {
    config(json!({ "inline": jwks(&[key]) }))
}

async fn status(envoy: &Envoy) -> Result<Ran> {
    let admin = format!("http://127.0.0.1:{}", envoy.admin_port());
    sa_authn(&["status", "--admin", &admin]).await
}

fn check(ran: &Ran, code: i32, line: &str) -> Result<()> {
    let found = ran.stdout.lines().any(|found| found.starts_with(line));
    ensure!(
        found && ran.code == code,
        "exit code {}, no line {line:?} in\n{}{}",
        ran.code,
        ran.stdout,
        ran.stderr
    );
    Ok(())
}

#[tokio::test]
async fn reloaded_vm_and_a_policy_without_reload_are_warnings() -> Result<()> {
    for version in oldest_and_newest() {
        for (policy, line) in [
            (
                "FAIL_CLOSED",
                "!!  filter    inbound[0]: a crashed VM stays down, and no stat shows it; use FAIL_RELOAD",
            ),
            ("FAIL_RELOAD", "!!  vms       VMs crashed and were reloaded: 1 times"),
        ] {
            let key = SigningKey::generate(KeyKind::P256);
            let folder = tempfile::tempdir()?;
            let module = crate::support::crash_switch::write(folder.path())?;
            let setup =
                EnvoySetup::new().version(&version).module(module).plugin_config(static_keys(&key));
            let setup = setup.patch(move |tree| {
                let plugin = &mut http_options(tree)["http_filters"][0]["typed_config"]["config"];
                plugin["failure_policy"] = json!(policy);
            });
            let gate = Gate::start(setup).await?;
            let (port, good) = (gate.envoy.port(), get(&api().sign(&key)));
            ensure!(good.send(port).await?.status == 200);
            ensure!(pull(good.clone()).send(port).await?.status == 503);
            if policy == "FAIL_RELOAD" {
                poll::until("a reloaded VM", async || {
                    Ok((good.send(port).await?.status == 200).then_some(()))
                })
                .await?;
            }
            check(&status(&gate.envoy).await?, 0, line)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn connections_of_a_former_configuration_are_a_warning() -> Result<()> {
    for version in oldest_and_newest() {
        let key = SigningKey::generate(KeyKind::P256);
        let config = static_keys(&key);
        let setup = EnvoySetup::new().version(&version).dynamic_listener(Duration::from_secs(600));
        let gate = Gate::start(setup.plugin_config(config.clone())).await?;
        let mut connection = Connection::http1(gate.envoy.port()).await?;
        ensure!(connection.send(&Request::get("/secrets/1")).await?.status == 401);
        check(&status(&gate.envoy).await?, 0, "ok  draining  no connections")?;
        let mut new = config;
        new["answers"] = json!({ "realm": "new" });
        gate.envoy.replace_plugin_config(&new)?;
        gate.envoy
            .wait_stat("listener_manager.total_filter_chains_draining", |count| count == 1)
            .await?;
        let line = "!!  draining  connections of a former configuration remain: filter chains 1, listeners 0";
        check(&status(&gate.envoy).await?, 0, line)?;
    }
    Ok(())
}
