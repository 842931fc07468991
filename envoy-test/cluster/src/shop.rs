//! A Gateway of Envoy Gateway with the manifests of `envoy-gateway/`, in namespaces of the tests.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guide::{Ran, run};
use crate::{Answer, Image, Kubectl, Load, until, variable};

/// The namespace of the Gateway, of its routes and of the application. `sa-authn-shop` is that of `istio/caller.yaml`.
pub const SHOP: &str = "sa-authn-eg";
/// The namespace of Envoy Gateway and of the proxies.
pub const SYSTEM: &str = "envoy-gateway-system";
/// The application's own response: it has no `/orders/1`. The request has passed.
pub const PASSED: &str = "404";
/// The guard's response.
pub const GUARDED: &str = "403";

/// The application and its callers, and copies of the manifests.
#[derive(Debug)]
pub struct Shop {
    /// As administrator.
    pub kubectl: Kubectl,
    folder: TempDir,
}

/// An account that calls the application.
#[derive(Clone, Copy, Debug)]
pub enum Account {
    /// Sends no token.
    None,
    /// Allowed by its name.
    Web,
    /// In the same namespace, and not allowed.
    Other,
}

// === impl Shop ===

impl Shop {
    /// Deploys the application and the callers, without a Gateway, and writes the manifests with this image.
    pub fn ready(image: &Image) -> Result<Self> {
        let kubectl = Kubectl::admin();
        // An earlier run may have left them: the admission policy would refuse what follows.
        let policy = "validatingadmissionpolicy,validatingadmissionpolicybinding";
        kubectl.run(["delete", policy, TENANTS, "--ignore-not-found"])?;
        kubectl.apply(WORKLOADS)?;
        for kind in KINDS {
            kubectl.run(["-n", SHOP, "delete", kind, "--all", "--timeout=60s"])?;
        }
        until("the end of an earlier proxy", || {
            let left =
                kubectl.run(["-n", SYSTEM, "get", "deployment", "-l", OWNED, "-o", "name"])?;
            Ok((!left.is_empty()).then_some(left))
        })?;
        // It would drain its connections for a minute.
        kubectl.run([
            "-n",
            SYSTEM,
            "delete",
            "pods",
            "-l",
            OWNED,
            "--force",
            "--grace-period=0",
        ])?;
        kubectl.rolled_out(SHOP, "orders")?;
        kubectl.rolled_out(CALLERS, "web")?;
        let shop = Self { kubectl, folder: tempfile::tempdir()? };
        for file in FILES {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy-gateway").join(file);
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let text = text
                .replace("namespace: shop\n", &format!("namespace: {SHOP}\n"))
                .replace("name: shop/shop/http", &format!("name: {SHOP}/shop/http"))
                .replace("[web, batch]", &format!("[{CALLERS}]"))
                .replace("[web/web, batch/*]", &format!("[{CALLERS}/web]"))
                .replace(SHIPPED_IMAGE, &reference(image)?);
            fs::write(shop.file(file), text)?;
        }
        if let Ok(image) = env::var("CLUSTER_ENVOY_GATEWAY_PROXY") {
            let path = shop.file("api-server.yaml");
            let text = fs::read_to_string(&path)?;
            let container = "        container:\n";
            ensure!(text.contains(container), "{text}");
            fs::write(
                &path,
                text.replace(container, &format!("{container}          image: {image}\n")),
            )?;
        }
        Ok(shop)
    }

    /// A copy of a manifest.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Applies manifests.
    pub fn apply(&self, files: &[&str]) -> Result<()> {
        for file in files {
            self.kubectl.apply(&fs::read_to_string(self.file(file))?)?;
        }
        Ok(())
    }

    /// The Gateway with its route, without filter and guard. Waits for the proxy.
    pub fn open(&self) -> Result<()> {
        self.apply(&["api-server.yaml", "gateway.yaml"])?;
        self.expect(ORDERS, Account::None, PASSED)
    }

    /// The Gateway with its route and the guard, without the filter. Waits for the proxy.
    pub fn guarded(&self) -> Result<()> {
        self.apply(&["api-server.yaml", "guard.yaml", "gateway.yaml"])?;
        self.expect(ORDERS, Account::None, GUARDED)
    }

    /// The policy with the filter.
    pub fn policy(&self) -> Result<Value> {
        Ok(serde_saphyr::from_str(&fs::read_to_string(self.file("policy.yaml"))?)?)
    }

    /// Applies the policy after a change.
    pub fn change_policy(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut policy = self.policy()?;
        change(&mut policy);
        self.kubectl.apply(&policy.to_string())
    }

    /// Another route of the Gateway, to the same application.
    pub fn add_route(&self, name: &str) -> Result<()> {
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": { "name": name, "namespace": SHOP },
            "spec": {
                "parentRefs": [{ "name": "shop" }],
                "hostnames": [host(name)],
                "rules": [{ "backendRefs": [{ "name": "orders", "port": 80 }] }],
            },
        });
        self.kubectl.apply(&route.to_string())
    }

    /// Applies the policy for another route after a change.
    pub fn add_policy(&self, route: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
        self.change_policy(|policy| {
            policy["metadata"]["name"] = json!(route);
            policy["spec"]["targetRefs"][0]["name"] = json!(route);
            let filter = &mut policy["spec"]["wasm"][0];
            filter["name"] = json!(route);
            filter["config"]["rules"][0]["hosts"] = json!([host(route)]);
            change(policy);
        })
    }

    /// A new token of the account, for the application.
    fn token(&self, account: Account) -> Result<Option<String>> {
        let name = match account {
            Account::None => return Ok(None),
            Account::Web => "web",
            Account::Other => "other",
        };
        self.kubectl.token(CALLERS, name, "orders").map(Some)
    }

    /// The arguments of curl for `GET /orders/1` of a route.
    pub fn request(&self, route: &str, account: Account) -> Result<String> {
        let header = match self.token(account)? {
            Some(token) => format!("-H 'Authorization: Bearer {token}'"),
            None => String::new(),
        };
        Ok(format!("-H 'Host: {}' {header} http://{}/orders/1", host(route), self.address()?))
    }

    /// The outcome of `GET /orders/1` of a route.
    pub fn ask(&self, route: &str, account: Account) -> Result<String> {
        self.send(&self.request(route, account)?)
    }

    /// The outcome of a request with these arguments of curl.
    pub fn send(&self, arguments: &str) -> Result<String> {
        Ok(Answer::to_curl(&self.kubectl, CALLER, arguments)?.outcome())
    }

    /// Waits for the outcome of `GET /orders/1` of a route.
    pub fn expect(&self, route: &str, account: Account, outcome: &str) -> Result<()> {
        let request = self.request(route, account)?;
        until(&format!("{outcome} for {account:?} at {route}"), || {
            let seen = self.send(&request)?;
            Ok((seen != outcome).then_some(seen))
        })
    }

    /// Waits until the filter of a route decides requests.
    pub fn protected(&self, route: &str) -> Result<()> {
        self.expect(route, Account::None, "401 missing_token")?;
        self.expect(route, Account::Other, "403 forbidden")?;
        self.expect(route, Account::Web, PASSED)
    }

    /// Sends requests to the route `orders` in a loop, with an allowed caller's token and without one.
    pub fn load(&self) -> Result<Load> {
        let none = self.request(ORDERS, Account::None)?;
        let forged = format!("-H 'x-sa-namespace: {CALLERS}' -H 'x-sa-name: web' {none}");
        let requests =
            [("token", self.request(ORDERS, Account::Web)?), ("none", none), ("forged", forged)];
        Load::start_with(&self.kubectl, CALLER, &requests)
    }

    /// The address of the proxy's Service in the cluster. Waits until Envoy Gateway has created it.
    pub fn address(&self) -> Result<String> {
        let mut address = String::new();
        until("the Service of the proxy", || {
            let services =
                self.kubectl.json(["-n", SYSTEM, "get", "service", "-l", OWNED, "-o", "json"])?;
            let found = services["items"][0]["spec"]["clusterIP"].as_str();
            address = found.unwrap_or_default().to_owned();
            Ok(address.is_empty().then(|| "no Service".to_owned()))
        })?;
        Ok(address)
    }

    /// `kubectl`'s name of the proxy's Deployment.
    pub fn proxy(&self) -> Result<String> {
        let name =
            self.kubectl.run(["-n", SYSTEM, "get", "deployment", "-l", OWNED, "-o", "name"])?;
        ensure!(name.lines().count() == 1, "{name:?}");
        Ok(name)
    }

    /// The page of the proxy at this port of 127.0.0.1 in its pod.
    pub fn page(&self, port: u16, path: &str) -> Result<String> {
        let script = format!("curl -s 'http://127.0.0.1:{port}{path}'");
        self.kubectl.shell(SYSTEM, &self.proxy()?, "envoy", &script)
    }

    /// `sa-authn status` of the proxy.
    pub fn status(&self) -> Result<Ran> {
        run(&format!("sa-authn status -n {SYSTEM} {} --admin-port {ADMIN_PORT}", self.proxy()?))
    }

    /// How many listeners the proxy has rejected.
    pub fn rejected_listeners(&self) -> Result<u64> {
        let stats =
            self.page(ADMIN_PORT, "/stats?filter=^listener_manager.lds.update_rejected$")?;
        let (_, value) = stats.trim().rsplit_once(' ').with_context(|| stats.clone())?;
        Ok(value.parse()?)
    }

    /// The log of the proxy.
    pub fn log(&self) -> Result<String> {
        self.kubectl.run(["-n", SYSTEM, "logs", &self.proxy()?, "-c", "envoy"])
    }
}

/// The reference of an image in the registry, by an IP address: then Envoy Gateway pulls without TLS.
pub fn reference(image: &Image) -> Result<String> {
    let (repository, digest) = image.parts()?;
    let (_, name) = repository.split_once('/').context("a repository")?;
    Ok(format!("{}/{name}@{digest}", variable("CLUSTER_ENVOY_GATEWAY")?))
}

/// The host of a route.
pub fn host(route: &str) -> String {
    format!("{route}.example.com")
}

/// The route of `envoy-gateway/gateway.yaml`.
pub const ORDERS: &str = "orders";
/// The port of the proxy's admin address.
pub const ADMIN_PORT: u16 = 19000;
/// The port of the proxy's metrics.
pub const METRICS_PORT: u16 = 19001;
/// The namespace of the callers.
pub const CALLERS: &str = "sa-authn-eg-callers";
/// The Deployment that sends requests.
const CALLER: (&str, &str) = (CALLERS, "web");
/// The labels of what Envoy Gateway creates for the Gateway.
pub const OWNED: &str = "gateway.envoyproxy.io/owning-gateway-namespace=sa-authn-eg,gateway.envoyproxy.io/owning-gateway-name=shop";
const TENANTS: &str = "sa-authn-envoy-gateway-tenants";
const SHIPPED_IMAGE: &str = "registry.example.com/sa-authn@sha256:0000000000000000000000000000000000000000000000000000000000000000";
const FILES: [&str; 6] =
    ["api-server.yaml", "gateway.yaml", "guard.yaml", "policy.yaml", "reload.yaml", "tenants.yaml"];
const KINDS: [&str; 7] = [
    "httproutes.gateway.networking.k8s.io",
    "envoyextensionpolicies.gateway.envoyproxy.io",
    "envoypatchpolicies.gateway.envoyproxy.io",
    "securitypolicies.gateway.envoyproxy.io",
    "clienttrafficpolicies.gateway.envoyproxy.io",
    "gateways.gateway.networking.k8s.io",
    "envoyproxies.gateway.envoyproxy.io",
];
const WORKLOADS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: sa-authn-eg }
---
apiVersion: v1
kind: Namespace
metadata: { name: sa-authn-eg-callers }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: web, namespace: sa-authn-eg-callers }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: other, namespace: sa-authn-eg-callers }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: sa-authn-eg-callers }
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{ name: web, image: "docker.io/curlimages/curl:8.11.1", command: [sleep, infinity] }]
---
apiVersion: v1
kind: Service
metadata: { name: orders, namespace: sa-authn-eg }
spec: { selector: { app: orders }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: orders, namespace: sa-authn-eg }
spec:
  selector: { matchLabels: { app: orders } }
  template:
    metadata: { labels: { app: orders } }
    spec:
      containers: [{ name: orders, image: "docker.io/mccutchen/go-httpbin:v2.15.0", ports: [{ containerPort: 8080 }] }]
"#;
