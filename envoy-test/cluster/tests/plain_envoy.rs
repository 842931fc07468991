//! docs/envoy.md, step by step: an Envoy with the filter as a container in the pod of a service.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use cluster_test::guide::{Step, perform, succeed};
use cluster_test::{Guide, Kubectl, until};
use serde_json::{Value, json};

/// The guide, with the names and the status of the test's application, and with the folder in which its commands run.
fn guide(folder: &Path) -> Result<Guide> {
    let port_forward = format!("-n {NAMESPACE} port-forward deploy/secret-store {PORT}:8080");
    Guide::read(
        "docs/envoy.md",
        &[
            ("namespace: secrets", &format!("namespace: {NAMESPACE}")),
            ("-n secrets port-forward deploy/secret-store 8080", &port_forward),
            ("-n secrets ", &format!("-n {NAMESPACE} ")),
            ("-n api ", "-n sa-authn-api "),
            ("127.0.0.1:8080/", &format!("127.0.0.1:{PORT}/")),
            // The application has none of these paths.
            ("\n200\n", "\n404\n"),
            ("date: Sun, 22 Nov 2026 08:42:46 GMT", "date: ..."),
            (
                "../target/release/sa-authn check ",
                &format!("cd {} && sa-authn check ", folder.display()),
            ),
        ],
    )
}

/// A ConfigMap in place of the guide's image, which has the same files at the same place. Envoy is that of the cluster's proxies.
fn deployment(guide: &Guide) -> Result<Value> {
    let proxies = env::var("CLUSTER_PROXIES").context("CLUSTER_PROXIES")?;
    let mut deployment: Value = serde_saphyr::from_str(&guide.block("deployment")?)?;
    let template = &mut deployment["spec"]["template"]["spec"];
    let [application, envoy] =
        template["containers"].as_array_mut().context("containers")?.as_mut_slice()
    else {
        anyhow::bail!("two containers");
    };
    application["image"] = json!("docker.io/mccutchen/go-httpbin:v2.15.0");
    application["env"] =
        json!([{ "name": "HOST", "value": "127.0.0.1" }, { "name": "PORT", "value": "8081" }]);
    ensure!(envoy["args"][0] == "envoy", "{envoy}");
    envoy["args"].as_array_mut().context("arguments")?.remove(0);
    envoy["command"] = json!(["/usr/local/bin/envoy"]);
    envoy["image"] = json!(proxies.split(',').next());
    let mount = json!({ "name": "envoy", "mountPath": "/etc/envoy" });
    envoy["volumeMounts"].as_array_mut().context("mounts")?.push(mount);
    let volume = json!({ "name": "envoy", "configMap": { "name": "secret-store-envoy" } });
    template["volumes"].as_array_mut().context("volumes")?.push(volume);
    Ok(deployment)
}

#[test]
fn guide_deploys_an_envoy_that_responds_as_the_guide_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kubectl = Kubectl::admin();
    kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found"])?;
    let guide = guide(folder.path())?;

    // 1. Build the module and an image.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let module = PathBuf::from(env::var("SA_AUTHN_MODULE").context("SA_AUTHN_MODULE")?);
    for file in [
        module,
        root.join("envoy-test/envoy.yaml"),
        root.join("envoy-test/kube-apiserver-token.yaml"),
    ] {
        let name = file.file_name().context("a name")?;
        fs::copy(&file, folder.path().join(name)).with_context(|| file.display().to_string())?;
    }
    let config = folder.path().join("envoy.yaml");

    // 2. Edit three fields in envoy.yaml: only the caller's namespace differs in the test.
    let text = fs::read_to_string(&config)?;
    ensure!(text.contains(r#""allow": ["api/api"]"#), "{text}");
    fs::write(
        &config,
        text.replace(r#""allow": ["api/api"]"#, r#""allow": ["sa-authn-api/api"]"#),
    )?;
    let mut check = guide.steps("2. Edit three fields in envoy.yaml")?;
    ensure!(check.remove(0).command == "cargo build --release --bin sa-authn");
    perform(&check)?;

    // 3. Deploy the pod.
    for (namespace, account) in [(NAMESPACE, "secret-store"), ("sa-authn-api", "api")] {
        drop(kubectl.run(["create", "namespace", namespace]));
        drop(kubectl.run(["-n", namespace, "create", "serviceaccount", account]));
    }
    let files = format!("--from-file={}", folder.path().display());
    kubectl.run(["-n", NAMESPACE, "create", "configmap", "secret-store-envoy", &files])?;
    kubectl.apply(&deployment(&guide)?.to_string())?;
    kubectl.rolled_out(NAMESPACE, "secret-store")?;
    until("the keys", || {
        let log = kubectl.run(["-n", NAMESPACE, "logs", "deploy/secret-store", "-c", "envoy"])?;
        Ok((!log.contains("loaded 1 key, skipped 0 unsupported")).then_some(log))
    })?;

    // 4. Verify that it works.
    let mut steps = guide.steps("4. Verify that it works")?;
    // "In one terminal (leave it running)"
    steps[0].command += " > /dev/null 2>&1 &";
    steps.insert(1, Step {
        command: format!("for i in $(seq 100); do curl -s -o /dev/null http://127.0.0.1:{PORT}/ && break; sleep 0.1; done"),
        output: String::new(),
    });
    steps.push(Step { command: "kill $!".to_owned(), output: String::new() });
    perform(&steps)?;
    succeed(&format!(
        "sa-authn status -n {NAMESPACE} deploy/secret-store --admin-port 9901 --config {} --wait 1m",
        config.display()
    ))
    .map(drop)
}

const NAMESPACE: &str = "sa-authn-envoy";
/// The port of this machine that `kubectl port-forward` opens.
const PORT: u16 = 18080;
