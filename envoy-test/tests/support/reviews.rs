//! API servers that review tokens, and configurations with `tokenReview`.

use anyhow::{Result, ensure};
use envoy_test::token::assemble;
use envoy_test::{ApiServer, EnvoySetup, Response};
use serde_json::{Value, json};

use super::{Gate, api, config, discovery, get, listeners, p256_api_server};

/// The values of `use`.
pub const USES: [&str; 2] = ["afterVerification", "instead"];

/// An API server on which Envoy may create TokenReviews.
pub async fn reviewer() -> Result<ApiServer> {
    let api_server = p256_api_server().await?;
    api_server.grant_auth_delegator("envoy-system", "sa-authn");
    Ok(api_server)
}

/// One issuer with this `use` and these members of `tokenReview`.
pub fn reviewed(purpose: &str, more: Value) -> Value {
    let mut config = config(discovery(json!({})));
    let issuer = &mut config["issuers"][0];
    if let (Some(issuer), "instead") = (issuer.as_object_mut(), purpose) {
        issuer.remove("keys");
    }
    let mut review = json!({
        "cluster": "kube-apiserver",
        "authority": "kubernetes.default.svc",
        "use": purpose,
    });
    if let (Some(review), Value::Object(more)) = (review.as_object_mut(), more) {
        review.extend(more);
    }
    issuer["tokenReview"] = review;
    config
}

/// An Envoy that uses this API server.
pub async fn gate(version: &str, api_server: &ApiServer, config: Value) -> Result<Gate> {
    let setup = EnvoySetup::new().version(version).api_server(api_server);
    Gate::start(setup.plugin_config(config)).await
}

/// A listener, and the API server that reviews the tokens of its requests.
pub struct Place {
    pub port: u16,
    pub api_server: ApiServer,
}

/// One Envoy with a listener and an API server for each of these configurations.
pub async fn places(version: &str, configs: Vec<Value>) -> Result<(Gate, Vec<Place>)> {
    let mut api_servers = Vec::new();
    for _ in &configs {
        api_servers.push(reviewer().await?);
    }
    let setup = EnvoySetup::new().version(version);
    let setup = listeners::each_with_an_api_server(setup, configs, &api_servers);
    let gate = Gate::start(setup).await?;
    let ports = listeners::ports(&gate.envoy, api_servers.len()).await?;
    let places = ports.into_iter().zip(api_servers);
    let places = places.map(|(port, api_server)| Place { port, api_server }).collect();
    Ok((gate, places))
}

/// Fails unless a request with this token passes at this port.
pub async fn check_passes(port: u16, token: &str) -> Result<()> {
    let response = get(token).send(port).await?;
    ensure!(response.status == 200, "{} {}", response.status, response.text());
    Ok(())
}

/// `200`, or the status and the filter's reason.
pub fn outcome(response: &Response) -> String {
    match response.reason() {
        Some(reason) => format!("{} {reason}", response.status),
        None => response.status.to_string(),
    }
}

/// Different tokens with valid claims and invalid signatures.
pub fn invalid(kid: &str, count: usize) -> Vec<String> {
    let header = json!({ "alg": "ES256", "kid": kid }).to_string();
    let token = |number: usize| {
        let claims = api().claim("jti", json!(format!("invalid-{number}"))).claims().to_string();
        assemble(&header, &claims, |_| vec![7; 64])
    };
    (0..count).map(token).collect()
}
