//! The caller's side: the sidecar adds the tokens of `caller.yaml`.

use anyhow::{Context, Result, ensure};
use cluster_test::{Caller, Example, claims, until};
use serde_json::Value;

/// What the application of the called service received.
fn received(example: &Example, service: &str, arguments: &str) -> Result<Value> {
    let script = format!("curl -s -m 20 {arguments} http://{service}/headers");
    let output = example.kubectl.shell(SHOP, "deploy/api", "api", &script)?;
    let received: Value = serde_json::from_str(&output).context(output.clone())?;
    Ok(received["headers"].clone())
}

#[test]
fn sidecar_sends_each_service_the_token_for_it() -> Result<()> {
    let example = Example::ready()?;
    let kubectl = &example.kubectl;
    kubectl.apply(&Example::caller()?)?;
    kubectl.apply(SERVICES)?;
    kubectl.rolled_out(SHOP, "api")?;
    kubectl.rolled_out(SHOP, "echo")?;
    let orders = format!("orders.{SHOP}");
    until("a response with a token", || {
        let seen = received(&example, &orders, "");
        let has_token = seen.as_ref().is_ok_and(|headers| !headers["Authorization"].is_null());
        Ok((!has_token).then(|| format!("{seen:?}")))
    })?;

    // It replaces what the application sends.
    let headers = received(&example, &orders, "-H 'Authorization: Bearer mine'")?;
    let value = headers["Authorization"][0].as_str().context(headers.to_string())?;
    let token = value.strip_prefix("Bearer ").context(value.to_owned())?;
    let of_orders = claims(token)?;
    assert_eq!(of_orders["aud"][0], "orders");
    assert_eq!(of_orders["sub"], "system:serviceaccount:sa-authn-shop:api");
    ensure!(headers["X-Client-Id"].is_null(), "{headers}");

    let headers = received(&example, &format!("secret-store.{SHOP}"), "")?;
    let token = headers["X-Client-Id"][0].as_str().context(headers.to_string())?;
    assert_eq!(claims(token)?["aud"][0], "secret-store");
    ensure!(headers["Authorization"].is_null(), "{headers}");
    // The filter of the other secret-store verifies it; no rule allows this account.
    assert_eq!(example.ask_with(Caller::Web, "/headers", Some(token))?.outcome(), "403 forbidden");

    // A service without an injector gets no token.
    let headers = received(&example, &format!("echo.{SHOP}"), "")?;
    for name in ["Authorization", "X-Client-Id"] {
        ensure!(headers[name].is_null(), "{headers}");
    }
    // The application has none to lose.
    let script = "cat /var/run/secrets/service-tokens/orders 2>&1";
    let seen = kubectl.shell(SHOP, "deploy/api", "api", script)?;
    ensure!(seen.contains("No such file"), "{seen}");
    Ok(())
}

const SHOP: &str = "sa-authn-shop";
/// Three Services of one application, which returns the headers that it received.
const SERVICES: &str = r#"
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: sa-authn-shop }
spec: { selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: secret-store, namespace: sa-authn-shop }
spec: { selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: sa-authn-shop }
spec: { selector: { app: echo }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: echo, namespace: sa-authn-shop }
spec:
  selector: { matchLabels: { app: echo } }
  template:
    metadata: { labels: { app: echo } }
    spec: { containers: [{ name: echo, image: "docker.io/mccutchen/go-httpbin:v2.15.0", ports: [{ containerPort: 8080 }] }] }
"#;
