//! An Envoy that hides a function of the host from the module (`capability_restriction_config`).

use std::fs;

use crate::support::{Gate, api, check_refused, get, http_options, rules};
use anyhow::Result;
use envoy_test::envoy::{default_module, oldest_and_newest};
use envoy_test::{EnvoySetup, KeyKind, SigningKey};
use serde_json::{Map, Value, json};
use wasmparser::{Parser, Payload};

/// All functions that the module exports and imports, without these.
fn all_but(hidden: &[&str]) -> Result<Value> {
    let mut allowed = Map::new();
    for payload in Parser::new(0).parse_all(&fs::read(default_module())?) {
        match payload? {
            Payload::ExportSection(section) => {
                for export in section {
                    allowed.insert(export?.name.to_owned(), json!({}));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    allowed.insert(import?.name.to_owned(), json!({}));
                }
            }
            _ => {}
        }
    }
    for name in hidden {
        assert!(allowed.remove(*name).is_some(), "the module has no {name}");
    }
    Ok(json!({ "allowed_capabilities": allowed }))
}

#[tokio::test]
async fn every_token_is_rejected_without_the_clock_and_the_vm_goes_on() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    for (hidden, passes) in [(&[][..], true), (&["proxy_get_current_time_nanoseconds"][..], false)]
    {
        let allowed = all_but(hidden)?;
        for version in oldest_and_newest() {
            let allowed = allowed.clone();
            let setup = EnvoySetup::new().version(&version).patch(move |tree| {
                let plugin = &mut http_options(tree)["http_filters"][0]["typed_config"]["config"];
                plugin["capability_restriction_config"] = allowed;
            });
            let gate = Gate::start(setup.plugin_config(rules(&key))).await?;
            for _ in 0..3 {
                let response = get(&api().sign(&key)).send(gate.envoy.port()).await?;
                if passes {
                    assert_eq!(response.status, 200, "Envoy {version}");
                } else {
                    check_refused(&response, 503, "internal")?;
                }
            }
            assert_eq!(gate.envoy.vm_failures().await?, [""; 0], "Envoy {version}");
        }
    }
    Ok(())
}
