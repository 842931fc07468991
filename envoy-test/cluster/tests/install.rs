//! docs/install.md, step by step: the commands are those of the guide, and each step is tried with a bad configuration too.

use std::fs;

use anyhow::{Context, Result, ensure};
use cluster_test::guide::{run, succeed};
use cluster_test::{Answer, Caller, Example, Gateway, Guide, Image, Kubectl, Load, until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A workload without the filter, in a namespace of its own.
struct Workload {
    kubectl: Kubectl,
    guide: Guide,
    values: tempfile::NamedTempFile,
}

// === impl Workload ===

impl Workload {
    /// Deploys it, without anything that an earlier run has installed.
    fn deploy(image: &Image) -> Result<Self> {
        // Its callers are those of the example.
        let kubectl = Example::ready()?.kubectl;
        drop(run(&format!("helm uninstall sa-authn --namespace {NAMESPACE}"))?);
        drop(kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found"])?);
        kubectl.apply(WORKLOAD)?;
        kubectl.rolled_out(NAMESPACE, "secret-store")?;
        let values = tempfile::NamedTempFile::new()?;
        let path = values.path().to_str().context("a path")?.to_owned();
        let (repository, digest) = image.parts()?;
        let guide = Guide::read(
            "docs/install.md",
            &[
                ("--namespace secrets", &format!("--namespace {NAMESPACE}")),
                ("secret-store.secrets/", &format!("secret-store.{NAMESPACE}/")),
                ("repository: registry.example.com/sa-authn", &format!("repository: {repository}")),
                (
                    "digest: sha256:0000000000000000000000000000000000000000000000000000000000000000",
                    &format!("digest: {digest}"),
                ),
                ("allow: [api/api]", "allow: [sa-authn-api/api]"),
                ("--values my-values.yaml", &format!("--values {path}")),
            ],
        )?;
        let workload = Self { kubectl, guide, values };
        workload.expect(None, "200")?;
        Ok(workload)
    }

    /// Writes the guide's values after a change.
    fn write_values(&self, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut values: Value = serde_saphyr::from_str(&self.guide.block("values")?)?;
        change(&mut values);
        fs::write(self.values.path(), values.to_string())?;
        Ok(())
    }

    /// The guide's command for the installation, and the one for a release that exists.
    fn install_command(&self) -> Result<(String, String)> {
        let again = self.guide.commands("Upgrade")?.pop().context("a command")?;
        Ok((self.guide.command("Install")?, again))
    }

    /// Adds the guide's label and annotation to the template, which restarts the pod.
    fn enroll(&self) -> Result<()> {
        let patch: Value = serde_saphyr::from_str(&self.guide.block("enroll")?)?;
        self.patch(&patch)
    }

    /// Removes both from the template.
    fn withdraw(&self) -> Result<()> {
        self.patch(&json!({ "spec": { "template": { "metadata": {
            "labels": { "sa-authn": null },
            "annotations": { "sidecar.istio.io/bootstrapOverride": null },
        } } } }))
    }

    fn patch(&self, patch: &Value) -> Result<()> {
        let patch = patch.to_string();
        self.kubectl.run(["-n", NAMESPACE, "patch", "deployment", "secret-store", "-p", &patch])?;
        self.kubectl.rolled_out(NAMESPACE, "secret-store")
    }

    /// Waits for the outcome of `GET /headers` with the caller's own token, or without one.
    fn expect(&self, caller: Option<Caller>, outcome: &str) -> Result<()> {
        until(&format!("{outcome} for {caller:?}"), || {
            let seen = self.ask(caller)?;
            Ok((seen != outcome).then_some(seen))
        })
    }

    fn ask(&self, caller: Option<Caller>) -> Result<String> {
        let token =
            "-H \"Authorization: Bearer $(cat /var/run/secrets/service-tokens/secret-store)\"";
        let header = if caller.is_some() { token } else { "" };
        let caller = caller.unwrap_or(Caller::Api);
        let from = (caller.namespace(), caller.name());
        let arguments = format!("{header} {SERVICE}/headers");
        Ok(Answer::to_curl(&self.kubectl, from, &arguments)?.outcome())
    }

    fn protected(&self) -> Result<()> {
        self.expect(None, "401 missing_token")?;
        self.expect(Some(Caller::Web), "403 forbidden")?;
        self.expect(Some(Caller::Api), "200")
    }
}

/// Helm and the admission policy cannot see it: the first rule covers what the others are about.
fn make_a_rule_unreachable(values: &mut Value) {
    let rules = values["rules"].as_array_mut().expect("rules");
    rules.insert(0, json!({ "name": "all", "allow": "anyone" }));
}

#[test]
fn guide_installs_verifies_upgrades_and_removes_the_filter_and_survives_bad_configurations()
-> Result<()> {
    let (first, second) = (Image::push("1")?, Image::push("2")?);
    let workload = Workload::deploy(&first)?;
    let (install, reinstall) = workload.install_command()?;

    // Install. Helm refuses a misspelled field, and installs nothing.
    workload.write_values(|values| values["rules"][1]["allows"] = json!(["sa-authn-api/api"]))?;
    let refused = run(&install)?;
    ensure!(!refused.succeeded && refused.output.contains("allows"), "{refused:?}");
    workload.expect(None, "200")?;
    // Only the filter itself can see this one: the first rule covers what the second is about. The pod that starts with it
    // passes nothing.
    workload.write_values(make_a_rule_unreachable)?;
    succeed(&install)?;
    workload.enroll()?;
    workload.expect(None, "500")?;
    workload.expect(Some(Caller::Api), "500")?;
    // Verify reports it.
    let verify = workload.guide.commands("Verify")?.remove(0);
    let refused = run(&verify)?;
    ensure!(!refused.succeeded && refused.output.contains("FAILED"), "{refused:?}");
    // The right values repair it without a restart.
    workload.write_values(|_| ())?;
    succeed(&reinstall)?;
    workload.protected()?;
    ensure!(succeed(&verify)?.contains("PASSED"));

    // Upgrade, while requests flow.
    let kubectl = &workload.kubectl;
    let load = Load::start_at(kubectl, Caller::Api, SERVICE)?;
    load.continue_for(kubectl, 100)?;
    let (_, digest) = second.parts()?;
    let upgrade = workload.guide.commands("Upgrade")?.remove(0).replace("sha256:...", digest);
    succeed(&upgrade)?;
    let proxy_log =
        || kubectl.run(["-n", NAMESPACE, "logs", "deploy/secret-store", "-c", "istio-proxy"]);
    until("the proxy to pull the second image", || {
        Ok((!proxy_log()?.contains(digest)).then(|| "not in the log".to_owned()))
    })?;
    load.continue_for(kubectl, 200)?;
    let refusals = |log: &str| log.matches("unreachable").count();
    let before = refusals(&proxy_log()?);
    // A running proxy keeps what it has; the guide's rollback restores the release.
    workload.write_values(make_a_rule_unreachable)?;
    succeed(&reinstall)?;
    until("the proxy's refusal", || {
        Ok((refusals(&proxy_log()?) == before).then(|| "not in the log".to_owned()))
    })?;
    load.continue_for(kubectl, 200)?;
    succeed(&format!("helm rollback sa-authn --namespace {NAMESPACE}"))?;
    load.continue_for(kubectl, 200)?;
    ensure!(succeed(&verify)?.contains("PASSED"));
    let counts = load.stop(kubectl)?;
    println!("upgrade, refused configuration, rollback: {counts:?}");
    ensure!(counts.keys().eq(["none 401", "token 200"]), "{counts:?}");

    // Remove.
    succeed(&workload.guide.command("Remove")?)?;
    workload.expect(None, "200")?;
    workload.withdraw()?;
    let config_map = format!("kubectl --namespace {NAMESPACE} delete configmap sa-authn");
    succeed(&config_map)?;
    let left =
        kubectl.run(["-n", NAMESPACE, "get", "wasmplugin,authorizationpolicy", "-o", "name"])?;
    ensure!(left.is_empty(), "{left}");
    workload.expect(None, "200")
}

#[test]
fn chart_with_token_review_rejects_the_token_of_a_deleted_account() -> Result<()> {
    let workload = Workload::deploy(&Image::push("1")?)?;
    let (install, _) = workload.install_command()?;
    let review = json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc", "cacheTtl": "1s" });
    workload.write_values(|values| values["tokenReview"] = review)?;
    succeed(&install)?;
    workload.enroll()?;
    workload.protected()?;
    let kubectl = &workload.kubectl;
    kubectl.run(["-n", NAMESPACE, "create", "serviceaccount", "short"])?;
    let token = kubectl.token(NAMESPACE, "short", "secret-store")?;
    let ask = || -> Result<String> {
        let arguments = format!("-H 'Authorization: Bearer {token}' {SERVICE}/headers");
        Ok(Answer::to_curl(kubectl, ("sa-authn-api", "api"), &arguments)?.outcome())
    };
    ensure!(ask()? == "403 forbidden");
    kubectl.run(["-n", NAMESPACE, "delete", "serviceaccount", "short"])?;
    until("401 revoked", || {
        let seen = ask()?;
        Ok((seen != "401 revoked").then_some(seen))
    })?;
    succeed(&workload.guide.command("Remove")?).map(drop)
}

/// Sets `parametersRef` of the Gateway to a ConfigMap.
fn refer_to(config_map: &str) -> Result<()> {
    let kubectl = Kubectl::admin();
    let reference = json!({ "group": "", "kind": "ConfigMap", "name": config_map });
    let patch = json!({ "spec": { "infrastructure": { "parametersRef": reference } } });
    let patch = patch.to_string();
    kubectl.run(["-n", INGRESS, "patch", "gateway", "shop", "--type=merge", "-p", &patch])?;
    kubectl.rolled_out(INGRESS, "shop-istio")
}

#[test]
fn chart_protects_a_gateway() -> Result<()> {
    let gateway = Gateway::ready()?;
    let image = Image::push("1")?;
    let (repository, digest) = image.parts()?;
    // The manifests of istio/ have installed the same ConfigMaps under other names.
    let values = tempfile::NamedTempFile::new()?;
    let json = json!({
        "image": { "repository": repository, "digest": digest },
        "audiences": ["shop"],
        "rules": [{ "name": "orders", "methods": ["GET"], "paths": ["/orders/*"], "allow": ["sa-authn-api/api"] }],
        "proxy": "gateway",
        "gateway": "shop",
        "bootstrap": { "name": "sa-authn-chart" },
    });
    fs::write(values.path(), json.to_string())?;
    drop(run(&format!("helm uninstall sa-authn --namespace {INGRESS}"))?);
    succeed(&format!(
        "helm install sa-authn install/chart --namespace {INGRESS} --values {}",
        values.path().display()
    ))?;
    refer_to("sa-authn-deployment")?;
    gateway.protected()?;
    // The order of the guide: the Gateway first.
    refer_to("sa-authn-gateway")?;
    succeed(&format!("helm uninstall sa-authn --namespace {INGRESS}"))?;
    gateway.open()
}

/// A copy of install/kustomize, whose `example` has the values of the tests and this overlay.
fn kustomization(image: &Image, overlay: &str, namespace: &str) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    succeed(&format!("cp -r install/kustomize/. {}", folder.path().display()))?;
    for file in ["example/kustomization.yaml", "verify/test.yaml", "verify/kustomization.yaml"] {
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path)?;
        let text = text
            .replace("namespace: secrets", &format!("namespace: {namespace}"))
            .replace("secret-store.secrets/", &format!("secret-store.{namespace}/"))
            .replace("allow: [api/api]", "allow: [sa-authn-api/api]")
            .replace(
                "oci://registry.example.com/sa-authn@sha256:0000000000000000000000000000000000000000000000000000000000000000",
                &image.url,
            );
        fs::write(path, text)?;
    }
    let example = folder.path().join("example/kustomization.yaml");
    let mut text = fs::read_to_string(&example)?.replace("sidecar-keys-wasmplugin", overlay);
    if overlay.starts_with("gateway") {
        text = text.replace("[secret-store]", "[shop]").replace("[/headers]", "[/orders/*]");
    }
    if overlay.ends_with("trafficextension") {
        text = text.replace("WasmPlugin", "TrafficExtension").replace(" /spec/", " /spec/wasm/");
    }
    if overlay.contains("token-review") {
        text += &format!(
            "- target: {{ kind: ClusterRoleBinding }}\n  patch: |-\n    - op: replace\n      path: /subjects/0/name\n      \
             value: system:serviceaccounts:{namespace}\n"
        );
    }
    fs::write(example, text)?;
    Ok(folder)
}

#[test]
fn kustomization_is_verified_as_the_chart_is() -> Result<()> {
    let image = Image::push("1")?;
    let workload = Workload::deploy(&image)?;
    let folder = kustomization(&image, "sidecar-keys-wasmplugin", NAMESPACE)?;
    let path = folder.path().display();
    succeed(&format!("kubectl apply -k {path}/example"))?;
    workload.enroll()?;
    workload.protected()?;
    succeed(&format!("kubectl apply -k {path}/verify"))?;
    until("the verification", || {
        let log = workload.kubectl.run(["-n", NAMESPACE, "logs", "sa-authn-test"]);
        Ok(match log {
            Ok(log) if log.contains("PASSED") => None,
            Ok(log) => Some(log),
            Err(error) => Some(error.to_string()),
        })
    })?;
    workload.withdraw()?;
    succeed(&format!("kubectl delete -k {path}/example"))?;
    workload.expect(None, "200")
}

#[test]
fn every_overlay_for_sidecars_protects_the_workload_until_it_is_removed() -> Result<()> {
    overlays_protect_the_workload("wasmplugin")
}

#[test]
fn every_overlay_for_gateways_protects_the_gateway_until_it_is_removed() -> Result<()> {
    overlays_protect_the_gateway("wasmplugin")
}

/// The overlays for sidecars with this kind of object.
pub(crate) fn overlays_protect_the_workload(api: &str) -> Result<()> {
    let image = Image::push("1")?;
    let workload = Workload::deploy(&image)?;
    for method in ["keys", "token-review"] {
        let overlay = format!("sidecar-{method}-{api}");
        let folder = kustomization(&image, &overlay, NAMESPACE)?;
        let path = folder.path().display();
        succeed(&format!("kubectl apply -k {path}/example"))?;
        workload.enroll()?;
        workload.protected().context(overlay)?;
        workload.withdraw()?;
        succeed(&format!("kubectl delete -k {path}/example"))?;
        workload.expect(None, "200")?;
    }
    Ok(())
}

/// The overlays for gateways with this kind of object.
pub(crate) fn overlays_protect_the_gateway(api: &str) -> Result<()> {
    let image = Image::push("1")?;
    let gateway = Gateway::ready()?;
    for method in ["keys", "token-review"] {
        let overlay = format!("gateway-{method}-{api}");
        let folder = kustomization(&image, &overlay, INGRESS)?;
        let path = folder.path().display();
        succeed(&format!("kubectl apply -k {path}/example"))?;
        refer_to("sa-authn-deployment")?;
        gateway.protected().context(overlay)?;
        refer_to("sa-authn-gateway")?;
        succeed(&format!("kubectl delete -k {path}/example"))?;
        // The overlay's ConfigMap has the name of the one that the manifests have installed.
        Kubectl::admin().apply(&Example::manifest("api-server-gateway.yaml")?)?;
        gateway.open()?;
    }
    Ok(())
}

/// Deletes the policy, because other tests apply invalid configurations.
struct Policy;

impl Drop for Policy {
    fn drop(&mut self) {
        drop(run(&format!("kubectl delete -f {POLICY}")));
    }
}

#[test]
fn admission_policy_rejects_a_bad_configuration_and_admits_a_good_one() -> Result<()> {
    let example = Example::ready()?;
    let policy = Policy;
    succeed(&format!("kubectl apply -f {POLICY}"))?;
    let mut attempt = 0;
    until("the policy", || {
        // Another value each time: the policy does not judge an object whose spec stays.
        attempt += 1;
        let changed = example.change_plugin(|spec| {
            spec["pluginConfig"]["issuers"][0]["audience"] = json!(format!("attempt {attempt}"));
        });
        Ok(match changed {
            Ok(()) => Some("admitted".to_owned()),
            Err(error) => {
                let message = "issuers[0].audience: unknown field";
                ensure!(format!("{error:#}").contains(message), "{error:#}");
                None
            }
        })
    })?;
    example.kubectl.apply(&example.plugin()?)?;
    example.expect(Caller::Api, "/headers", "200")?;
    drop(policy);
    Ok(())
}

const POLICY: &str = "install/chart/files/admission-policy.yaml";
const NAMESPACE: &str = "sa-authn-install";
const INGRESS: &str = "sa-authn-ingress";
const SERVICE: &str = "http://secret-store.sa-authn-install";
const WORKLOAD: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: sa-authn-install, labels: { istio-injection: enabled } }
---
apiVersion: v1
kind: Service
metadata: { name: secret-store, namespace: sa-authn-install }
spec: { selector: { app: secret-store }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: secret-store, namespace: sa-authn-install }
spec:
  selector: { matchLabels: { app: secret-store } }
  template:
    metadata: { labels: { app: secret-store } }
    spec: { containers: [{ name: secret-store, image: "docker.io/mccutchen/go-httpbin:v2.15.0", ports: [{ containerPort: 8080 }] }] }
"#;
