//! The access log format of observability/access-log.yaml in Envoy.

use crate::support::{Gate, get, http_options, rules};
use anyhow::{Context, Result};
use envoy_test::envoy::versions;
use envoy_test::{EnvoySetup, KeyKind, Request, SigningKey, Token};
use serde_json::{Value, json};

const FORMAT: &str = include_str!("../../observability/access-log.yaml");

fn with_format(tree: &mut Value) {
    let format: Value = serde_saphyr::from_str(FORMAT).expect("YAML");
    http_options(tree)["access_log"][0]["typed_config"]["log_format"] = format;
}

#[tokio::test]
async fn access_log_has_caller_token_id_and_denial_reason() -> Result<()> {
    for version in versions() {
        let key = SigningKey::generate(KeyKind::P256);
        let mut config = rules(&key);
        config["filterState"] = json!(["subject", "pod.name", "jti", "issuer.name"]);
        let setup = EnvoySetup::new().version(&version).plugin_config(config).patch(with_format);
        let gate = Gate::start(setup).await?;
        let token = Token::for_service_account("api", "api").pod("api-1");
        let jti = token.claims()["jti"].clone();
        let token = token.sign(&key);
        let payload = token.split('.').nth(1).context("a payload")?;
        get(&token).header("x-request-id", "77a1").send(gate.envoy.port()).await?;
        Request::get("/secrets/1").send(gate.envoy.port()).await?;
        let log = gate.envoy.wait_access_log(2).await?;
        for (line, name, expected) in [
            (0, "status", json!(200)),
            (0, "details", json!("via_upstream")),
            (0, "subject", json!("system:serviceaccount:api:api")),
            (0, "pod", json!("api-1")),
            (0, "jti", jti),
            (0, "issuer", json!("local")),
            (0, "path", json!("/secrets/1")),
            (1, "status", json!(401)),
            (1, "details", json!("sa_authn.missing_token")),
            (0, "upstream", json!(format!("127.0.0.1:{}", gate.upstream.port()))),
            (1, "upstream", Value::Null),
            (1, "subject", Value::Null),
            (1, "jti", Value::Null),
        ] {
            assert_eq!(log[line][name], expected, "Envoy {version}: {name} of {}", log[line]);
        }
        assert!(log[0]["jti"].is_string() && log[0]["time"].is_string(), "{}", log[0]);
        assert!(!log[0].to_string().contains(payload), "the token is in the log");
    }
    Ok(())
}
