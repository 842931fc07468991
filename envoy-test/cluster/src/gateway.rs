//! The gateway of `istio/`, installed with the shipped manifests.

use anyhow::Result;

use crate::{Answer, Example, until};

/// The gateway, and a route to an application.
#[derive(Debug)]
pub struct Gateway {
    example: Example,
}

// === impl Gateway ===

impl Gateway {
    /// Installs the example and the gateway, without the filter.
    pub fn ready() -> Result<Self> {
        let example = Example::ready()?;
        let kubectl = &example.kubectl;
        kubectl.apply(&Example::manifest("api-server-gateway.yaml")?)?;
        // The manifests leave the routes to the user.
        kubectl.apply(ROUTE)?;
        let kinds = ["wasmplugins.extensions.istio.io", "trafficextensions.extensions.istio.io"];
        for kind in kinds {
            // Older versions of Istio do not have the second kind.
            drop(kubectl.run(["-n", INGRESS, "delete", kind, "--all"]));
        }
        // istiod creates it.
        until("the gateway's Deployment", || {
            let waited = kubectl.rolled_out(INGRESS, "shop-istio");
            Ok(waited.err().map(|error| error.to_string()))
        })?;
        kubectl.rolled_out(INGRESS, "orders")?;
        let gateway = Self { example };
        gateway.open()?;
        Ok(gateway)
    }

    /// Applies a plugin of `istio/`, and waits until it passes one caller and denies the other.
    pub fn protect(&self, plugin: &str) -> Result<()> {
        let (example, kubectl) = (&self.example, &self.example.kubectl);
        kubectl.apply(&example.with_image(&Example::manifest(plugin)?)?)?;
        self.protected()
    }

    /// Waits until the filter passes one caller and denies the other.
    pub fn protected(&self) -> Result<()> {
        let kubectl = &self.example.kubectl;
        let api = kubectl.token("sa-authn-api", "api", "shop")?;
        let web = kubectl.token("sa-authn-web", "web", "shop")?;
        self.expect(None, "401 missing_token")?;
        self.expect(Some(&web), "403 forbidden")?;
        self.expect(Some(&api), NOT_FOUND)
    }

    /// Waits until requests pass without a token.
    pub fn open(&self) -> Result<()> {
        self.expect(None, NOT_FOUND)
    }

    /// The metrics at the path that Prometheus scrapes.
    pub fn metrics(&self) -> Result<String> {
        let script = "curl -s http://127.0.0.1:15020/stats/prometheus";
        self.example.kubectl.shell(INGRESS, "deploy/shop-istio", "istio-proxy", script)
    }

    /// Waits for this outcome of `GET /orders/1` with this token, or without one.
    fn expect(&self, token: Option<&str>, outcome: &str) -> Result<()> {
        let header = token.map(|token| format!("-H 'Authorization: Bearer {token}'"));
        let arguments = format!(
            "-H 'host: orders.example.com' {} http://shop-istio.{INGRESS}/orders/1",
            header.unwrap_or_default()
        );
        until(&format!("{outcome} at the gateway"), || {
            let from = ("sa-authn-web", "web");
            let seen = Answer::to_curl(&self.example.kubectl, from, &arguments)?.outcome();
            Ok((seen != outcome).then_some(seen))
        })
    }
}

/// The application has no `/orders/1`: this is its own response.
const NOT_FOUND: &str = "404";
const INGRESS: &str = "sa-authn-ingress";
const ROUTE: &str = r#"
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: orders, namespace: sa-authn-ingress }
spec:
  parentRefs: [{ name: shop }]
  hostnames: [orders.example.com]
  rules: [{ backendRefs: [{ name: orders, port: 80 }] }]
---
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: sa-authn-ingress }
spec: { selector: { app: orders }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: orders, namespace: sa-authn-ingress }
spec:
  selector: { matchLabels: { app: orders } }
  template:
    metadata: { labels: { app: orders } }
    spec: { containers: [{ name: orders, image: "docker.io/mccutchen/go-httpbin:v2.15.0", ports: [{ containerPort: 8080 }] }] }
"#;
