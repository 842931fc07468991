//! The filter in a waypoint, with the manifests for waypoints. It needs ambient mode, which needs Istio's own proxy.

use anyhow::Result;
use cluster_test::{Answer, Example, until};

#[test]
fn waypoint_passes_one_caller_and_denies_the_other_and_its_metrics_have_labels() -> Result<()> {
    let example = Example::ready()?;
    let kubectl = &example.kubectl;
    kubectl.apply(&Example::manifest("api-server-waypoint.yaml")?)?;
    kubectl.apply(APPLICATIONS)?;
    drop(kubectl.run(["-n", STORE, "delete", "wasmplugins.extensions.istio.io", "--all"]));
    // istiod creates it.
    until("the waypoint's Deployment", || {
        let waited = kubectl.rolled_out(STORE, "waypoint");
        Ok(waited.err().map(|error| error.to_string()))
    })?;
    for application in ["books", "reader"] {
        kubectl.rolled_out(STORE, application)?;
    }
    let expect = |token: Option<&str>, outcome: &str| expect(&example, token, outcome);
    expect(None, NOT_FOUND)?;
    let plugin = Example::manifest("wasmplugin-waypoint.yaml")?;
    kubectl.apply(&example.with_image(&plugin)?)?;
    let api = kubectl.token("sa-authn-api", "api", "store")?;
    let web = kubectl.token("sa-authn-web", "web", "store")?;
    expect(None, "401 missing_token")?;
    expect(Some(&web), "403 forbidden")?;
    expect(Some(&api), NOT_FOUND)?;
    // A VM adds its counts to the metrics once a second.
    until("the metrics", || {
        let script = "curl -s http://127.0.0.1:15020/stats/prometheus";
        let metrics = kubectl.shell(STORE, "deploy/waypoint", "istio-proxy", script)?;
        let expected = r#"sa_authn_requests{verdict="denied",reason="forbidden",rule="books","#;
        Ok((!metrics.contains(expected)).then_some(metrics))
    })
}

/// Waits for this outcome of `GET /books/1` from a pod of the ambient mesh, with this token or without one.
fn expect(example: &Example, token: Option<&str>, outcome: &str) -> Result<()> {
    let header = token.map(|token| format!("-H 'Authorization: Bearer {token}'"));
    let arguments = format!("{} http://books.{STORE}/books/1", header.unwrap_or_default());
    until(&format!("{outcome} at the waypoint"), || {
        let seen = Answer::to_curl(&example.kubectl, (STORE, "reader"), &arguments)?.outcome();
        Ok((seen != outcome).then_some(seen))
    })
}

/// The application has no `/books/1`: this is its own response.
const NOT_FOUND: &str = "404";
const STORE: &str = "sa-authn-store";
const APPLICATIONS: &str = r#"
apiVersion: v1
kind: Service
metadata: { name: books, namespace: sa-authn-store }
spec: { selector: { app: books }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: books, namespace: sa-authn-store }
spec:
  selector: { matchLabels: { app: books } }
  template:
    metadata: { labels: { app: books } }
    spec: { containers: [{ name: books, image: "docker.io/mccutchen/go-httpbin:v2.15.0", ports: [{ containerPort: 8080 }] }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: reader, namespace: sa-authn-store }
spec:
  selector: { matchLabels: { app: reader } }
  template:
    metadata: { labels: { app: reader } }
    spec: { containers: [{ name: reader, image: "docker.io/curlimages/curl:8.11.1", command: [sleep, infinity] }] }
"#;
