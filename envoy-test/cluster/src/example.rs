//! The example of `istio/`, installed with the shipped manifests in namespaces of the tests.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{Image, Kubectl, until};

/// The URL of the service.
pub const SERVICE: &str = "http://secret-store.sa-authn-secrets";

/// The installed example.
#[derive(Debug)]
pub struct Example {
    /// As administrator.
    pub kubectl: Kubectl,
    /// The image of the plugin.
    pub image: Image,
}

/// A workload that sends requests.
#[derive(Clone, Copy, Debug)]
pub enum Caller {
    /// api/api, which a rule allows.
    Api,
    /// web/web, which no rule allows.
    Web,
}

/// A response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status; 0 without a response.
    pub status: u16,
    /// The body.
    pub body: String,
}

// === impl Caller ===

impl Caller {
    /// The namespace.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Api => "sa-authn-api",
            Self::Web => "sa-authn-web",
        }
    }

    /// The Deployment, its container and its account.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Web => "web",
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The status, and the filter's reason if there is one: `403 forbidden`.
    pub fn outcome(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        match body["reason"].as_str() {
            Some(reason) => format!("{} {reason}", self.status),
            None => self.status.to_string(),
        }
    }

    /// The response to a request with these arguments of curl, from the pod of a Deployment whose container has the same
    /// name.
    pub fn to_curl(
        kubectl: &Kubectl,
        (namespace, application): (&str, &str),
        arguments: &str,
    ) -> Result<Self> {
        let script = format!("curl -s -m 20 -w '\\n%{{http_code}}' {arguments}");
        let target = format!("deploy/{application}");
        Self::read(&kubectl.shell(namespace, &target, application, &script)?)
    }

    fn read(output: &str) -> Result<Self> {
        let (body, status) = output.rsplit_once('\n').unwrap_or(("", output));
        Ok(Self {
            status: status.trim().parse().context(output.to_owned())?,
            body: body.to_owned(),
        })
    }
}

// === impl Example ===

impl Example {
    /// Installs the example, or restores what an earlier test has changed, and waits until the filter decides requests.
    pub fn ready() -> Result<Self> {
        let example = Self { kubectl: Kubectl::admin(), image: Image::push("1")? };
        let has_additions = example.remove_additions()?;
        for file in ["example/callers.yaml", "example/secret-store.yaml", "api-server-sidecar.yaml"]
        {
            example.kubectl.apply(&Self::manifest(file)?)?;
        }
        let applied = example.kubectl.with_input(["apply", "-f", "-"], &example.plugin()?)?;
        if has_additions || applied.contains(" created") {
            // Until the filter chains without the plugin or with additions are drained, open connections still pass them.
            example.restart()?;
        }
        example.kubectl.rolled_out(SECRETS, "secret-store")?;
        for caller in [Caller::Api, Caller::Web] {
            example.kubectl.rolled_out(caller.namespace(), caller.name())?;
        }
        example.expect(Caller::Api, "/headers", "200")?;
        example.expect(Caller::Web, "/headers", "403 forbidden")?;
        Ok(example)
    }

    /// A file of istio/, in the namespaces of the tests.
    pub fn manifest(file: &str) -> Result<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../istio").join(file);
        let mut text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for name in ["secrets", "api", "web", "ingress", "shop", "store"] {
            let kind = "kind: Namespace\nmetadata:\n  name: ";
            text = text.replace(&format!("{kind}{name}\n"), &format!("{kind}sa-authn-{name}\n"));
            text = text
                .replace(&format!("namespace: {name}\n"), &format!("namespace: sa-authn-{name}\n"));
            text = text.replace(
                &format!("namespace: {name} }}"),
                &format!("namespace: sa-authn-{name} }}"),
            );
            text = text.replace(&format!(".{name}.svc"), &format!(".sa-authn-{name}.svc"));
        }
        Ok(text.replace("allow: [api/api]", "allow: [sa-authn-api/api]"))
    }

    /// `caller.yaml` with an application that sends requests.
    pub fn caller() -> Result<String> {
        let manifest = Self::manifest("caller.yaml")?;
        let shipped = "image: registry.example.com/shop/api:1.0.0";
        ensure!(manifest.contains(shipped), "the manifest has no {shipped}");
        let runs = "image: docker.io/curlimages/curl:8.11.1\n        command: [sleep, infinity]";
        Ok(manifest.replace(shipped, runs))
    }

    /// The shipped plugin and policy, with the image of this run.
    pub fn plugin(&self) -> Result<String> {
        self.with_image(&Self::manifest("wasmplugin-sidecar.yaml")?)
    }

    /// A manifest with the image of this run.
    pub fn with_image(&self, manifest: &str) -> Result<String> {
        let shipped = concat!("oci://registry.example.com/sa-authn:", env!("CARGO_PKG_VERSION"));
        ensure!(manifest.contains(shipped), "the manifest has no {shipped}");
        Ok(manifest.replace(shipped, &self.image.url))
    }

    /// Applies the plugin, without the policy, after a change to its `spec`.
    pub fn change_plugin(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&self.plugin()?)?;
        let mut plugin = documents.into_iter().next().context("the plugin")?;
        change(&mut plugin["spec"]);
        self.kubectl.apply(&plugin.to_string())
    }

    /// Removes objects that the example does not have, of the kinds that decide over requests; `true` if there were any.
    fn remove_additions(&self) -> Result<bool> {
        let kinds = [
            "wasmplugins.extensions.istio.io",
            "trafficextensions.extensions.istio.io",
            "authorizationpolicies.security.istio.io",
            "requestauthentications.security.istio.io",
        ];
        let mut has_additions = false;
        for kind in kinds {
            let found = ["-n", SECRETS, "get", kind, "-o", "name"];
            for name in self.kubectl.run(found).unwrap_or_default().lines() {
                let is_shipped = name.ends_with("/sa-authn-deny-tcp")
                    || name.contains("wasmplugin") && name.ends_with("/sa-authn");
                if !is_shipped {
                    self.kubectl.run(["-n", SECRETS, "delete", name])?;
                    has_additions = true;
                }
            }
        }
        Ok(has_additions)
    }

    /// The response to `GET path` with the caller's own token.
    pub fn ask(&self, caller: Caller, path: &str) -> Result<Answer> {
        self.send(
            caller,
            path,
            "-H \"Authorization: Bearer $(cat /var/run/secrets/service-tokens/secret-store)\"",
        )
    }

    /// The response to `GET path` with this token, or without one.
    pub fn ask_with(&self, caller: Caller, path: &str, token: Option<&str>) -> Result<Answer> {
        let header = token.map(|token| format!("-H 'Authorization: Bearer {token}'"));
        self.send(caller, path, &header.unwrap_or_default())
    }

    /// The response to a request with these arguments of curl.
    pub fn send(&self, caller: Caller, path: &str, arguments: &str) -> Result<Answer> {
        let from = (caller.namespace(), caller.name());
        Answer::to_curl(&self.kubectl, from, &format!("{arguments} {SERVICE}{path}"))
    }

    /// Waits for an outcome of the caller's own token.
    pub fn expect(&self, caller: Caller, path: &str, outcome: &str) -> Result<()> {
        until(&format!("{outcome} for {caller:?} {path}"), || {
            let seen = self.ask(caller, path)?.outcome();
            Ok((seen != outcome).then_some(seen))
        })
    }

    /// Waits for an outcome without a token.
    pub fn expect_without_token(&self, path: &str, outcome: &str) -> Result<()> {
        until(&format!("{outcome} without a token for {path}"), || {
            let seen = self.ask_with(Caller::Api, path, None)?.outcome();
            Ok((seen != outcome).then_some(seen))
        })
    }

    /// The one pod of the service.
    pub fn pod(&self) -> Result<Value> {
        let pods = self.kubectl.pods(SECRETS, "app=secret-store")?;
        let [pod] = pods.as_slice() else { anyhow::bail!("{} pods", pods.len()) };
        Ok(pod.clone())
    }

    /// The log of the service's proxy.
    pub fn log(&self) -> Result<String> {
        let pod = self.pod()?;
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        self.kubectl.run(["-n", SECRETS, "logs", name, "-c", "istio-proxy", "--tail=2000"])
    }

    /// Restarts the service's pod, and waits until the new one is ready and the old one is gone.
    pub fn restart(&self) -> Result<()> {
        self.kubectl.run(["-n", SECRETS, "rollout", "restart", "deployment/secret-store"])?;
        self.kubectl.rolled_out(SECRETS, "secret-store")?;
        until("one pod", || {
            let pods = self.kubectl.json([
                "-n",
                SECRETS,
                "get",
                "pods",
                "-l",
                "app=secret-store",
                "-o",
                "json",
            ])?;
            let count = pods["items"].as_array().map_or(0, Vec::len);
            Ok((count != 1).then(|| format!("{count} pods")))
        })
    }

    /// The metrics at the path that Prometheus scrapes.
    pub fn metrics(&self) -> Result<String> {
        let script = "curl -s http://127.0.0.1:15020/stats/prometheus";
        self.kubectl.shell(SECRETS, "deploy/secret-store", "istio-proxy", script)
    }

    /// The namespace of the service.
    pub fn namespace(&self) -> &'static str {
        SECRETS
    }
}

/// `tokenReview` for an issuer of the plugin.
pub fn token_review() -> Value {
    json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" })
}

const SECRETS: &str = "sa-authn-secrets";
