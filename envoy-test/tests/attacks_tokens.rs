//! Tokens that another key signed, or with another signature of the same key.
//!
//! The scenario table has the other forged tokens.

use crate::support::{Gate, config, discovery};
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use envoy_test::envoy::versions;
use envoy_test::keys::twin;
use envoy_test::{EnvoySetup, KeyKind, SigningKey, Token, jwks};
use serde_json::json;

/// ECDSA has two valid signatures for each message: (r, s) and (r, n - s).
#[tokio::test]
async fn second_ecdsa_signature_passes_as_the_same_account() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let web = Token::for_service_account("web", "web").sign(&key);
    let (input, signature) = web.rsplit_once('.').context("a signature")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let other = p256::ecdsa::Signature::from_slice(&signature)?;
    let twin = twin(&web).context("an ES256 token")?;
    ensure!(twin != web, "the same signature");
    let der = format!("{input}.{}", URL_SAFE_NO_PAD.encode(other.to_der().as_bytes()));
    for version in versions() {
        let setup = EnvoySetup::new().version(&version);
        let inline = config(json!({ "inline": jwks(&[&key]) }));
        let gate = Gate::start(setup.plugin_config(inline)).await?;
        for token in [&web, &twin] {
            let response = crate::support::get(token).send(gate.envoy.port()).await?;
            assert_eq!(response.status, 200, "Envoy {version}");
            let received = gate.upstream.last().context("a request")?;
            assert_eq!(received.header("x-sa-name").as_deref(), Some("web"), "Envoy {version}");
        }
        let response = crate::support::get(&der).send(gate.envoy.port()).await?;
        crate::support::check_refused(&response, 401, "bad_signature")?;
    }
    Ok(())
}

/// A key of another cluster with the same account names and the same issuer.
#[tokio::test]
async fn token_of_another_cluster_with_equal_names_is_rejected() -> Result<()> {
    for version in versions() {
        let (ours, theirs) = (crate::support::stalled().await?, crate::support::stalled().await?);
        crate::support::clear_fault(&ours);
        let mut config = config(discovery(json!({})));
        config["rules"] = json!([{ "paths": ["/secrets/*"], "allow": ["api/api"] }]);
        let setup = EnvoySetup::new().version(&version).api_server(&ours).plugin_config(config);
        let gate = Gate::start(setup).await?;
        let known = json!(ours.signing_key().kid());
        let foreign = crate::support::api().sign(&theirs.signing_key());
        let renamed = crate::support::api().header("kid", known).sign(&theirs.signing_key());
        for (token, reason) in [(&foreign, "unknown_key"), (&renamed, "bad_signature")] {
            let response = crate::support::get(token).send(gate.envoy.port()).await?;
            crate::support::check_refused(&response, 401, reason)?;
        }
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        gate.check_alive(&ours.mint(crate::support::api())).await?;
    }
    Ok(())
}
