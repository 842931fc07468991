//! Another plugin in the same Envoy plants keys in the shared data, where the filter's VMs share theirs.

#[path = "support/intruder.rs"]
mod intruder;
mod support;

use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_test::envoy::{oldest_and_newest, versions};
use envoy_test::token::DEFAULT_ISSUER;
use envoy_test::{ApiServer, EnvoySetup, KeyKind, SigningKey, jwks, unix_now};
use serde_json::{Value, json};
use support::{Gate, api, check_refused, config, discovery, get, http_options, mend, stalled};

/// The name of the entry for discovery from `kube-apiserver`, as src/authn/keys/fetch.rs makes it.
fn entry_name() -> String {
    let mut text = Vec::new();
    for part in ["kube-apiserver", "kubernetes.default.svc", "", DEFAULT_ISSUER] {
        text.extend((part.len() as u64).to_le_bytes());
        text.extend(part.as_bytes());
    }
    format!("sa-authn/keys/{}", URL_SAFE_NO_PAD.encode(digest(&SHA256, &text)))
}

/// An entry with keys, as src/authn/keys/shared.rs writes it.
fn entry(keys: &str, fetched: u64) -> Vec<u8> {
    let path = "/openid/v1/jwks";
    let now = fetched * 1000;
    let numbers = [7, 0, 3, now, now, now + 3_600_000, path.len() as u64];
    let mut bytes = b"sa-authn keys 1\0".to_vec();
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend(path.as_bytes());
    bytes.extend(keys.as_bytes());
    bytes
}

/// Both plugins in one Envoy, the intruder first.
async fn start(
    version: &str,
    api_server: &ApiServer,
    planted: &[u8],
    [ours, theirs]: [&'static str; 2],
) -> Result<Gate> {
    let folder = tempfile::tempdir()?;
    let module = intruder::write(folder.path(), &entry_name(), planted)?;
    let setup = EnvoySetup::new().version(version).api_server(api_server);
    let setup = setup.plugin_config(config(discovery(json!({})))).patch(move |tree| {
        let filters = http_options(tree)["http_filters"].as_array_mut().expect("filters");
        let mut intruder = filters[0].clone();
        let vm_config = |filter: &mut Value, vm_id: &str| {
            filter["typed_config"]["config"]["vm_config"]["vm_id"] = json!(vm_id);
        };
        vm_config(&mut filters[0], ours);
        vm_config(&mut intruder, theirs);
        intruder["name"] = json!("intruder");
        let plugin = &mut intruder["typed_config"]["config"];
        plugin["name"] = json!("intruder");
        plugin["root_id"] = json!("");
        plugin["vm_config"]["code"]["local"]["filename"] = json!(module);
        plugin["configuration"]["value"] = json!("");
        filters.insert(0, intruder);
    });
    Gate::start(setup).await.context("two plugins")
}

async fn api_server() -> Result<ApiServer> {
    let api_server = stalled().await?;
    mend(&api_server);
    Ok(api_server)
}

async fn check_nothing_gained(gate: &Gate, api_server: &ApiServer, own: &SigningKey) -> Result<()> {
    let forged = get(&api().sign(own)).send(gate.envoy.port()).await?;
    check_refused(&forged, 401, "unknown_key")?;
    gate.check_alive(&api_server.mint(api())).await?;
    assert_eq!(gate.upstream.count(), 1);
    Ok(())
}

/// Also where both have the empty one, as in Istio: then the filter shares nothing.
#[tokio::test]
async fn keys_that_a_plugin_of_another_vm_id_plants_are_never_seen() -> Result<()> {
    for version in versions() {
        for vm_ids in [["sa-authn", "another"], ["sa-authn", ""], ["", ""]] {
            let (api_server, own) = (api_server().await?, SigningKey::generate(KeyKind::P256));
            let planted = entry(&jwks(&[&own]).to_string(), unix_now());
            let gate = start(&version, &api_server, &planted, vm_ids).await?;
            check_nothing_gained(&gate, &api_server, &own)
                .await
                .with_context(|| format!("Envoy {version}, {vm_ids:?}"))?;
        }
    }
    Ok(())
}

/// The same `vm_id` is the same trust: who configures Envoy so may as well exchange the filter's module. But what is
/// planted by mistake, or by another version, must harm nobody.
#[tokio::test]
async fn what_is_no_entry_of_ours_is_left_alone() -> Result<()> {
    for version in oldest_and_newest() {
        let own = SigningKey::generate(KeyKind::P256);
        let keys = jwks(&[&own]).to_string();
        let mut of_another_version = entry(&keys, unix_now());
        of_another_version[14] = b'9';
        let planted = [
            ("all bits", vec![0xff; 4096]),
            ("an entry that is cut off", entry(&keys, unix_now())[..60].to_vec()),
            ("another version's entry", of_another_version),
            ("keys of yesterday", entry(&keys, unix_now() - 100_000)),
            ("keys of tomorrow", entry(&keys, unix_now() + 100_000)),
        ];
        for (name, planted) in planted {
            let api_server = api_server().await?;
            let gate = start(&version, &api_server, &planted, ["sa-authn"; 2]).await?;
            check_nothing_gained(&gate, &api_server, &own)
                .await
                .with_context(|| format!("Envoy {version}: {name}"))?;
        }
    }
    Ok(())
}
