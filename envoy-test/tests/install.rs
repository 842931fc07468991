//! The chart and the kustomizations of install/ render the same objects, and Helm rejects invalid values.
//!
//! Helm and kustomize are built from their Go modules. Without Go the tests report that they did not run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::istio::{list, text};
use anyhow::{Context, Result, ensure};
use programs::go::GoProgram;
use serde_json::{Value, json};

fn install() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../install")
}

/// The program, or a line in the test's output which says that the test did not run.
fn program(program: GoProgram, test: &str) -> Result<Option<PathBuf>> {
    let found = program.program()?;
    if found.is_none() {
        crate::support::docker::not_run(test, "there is no Go")?;
    }
    Ok(found)
}

/// The chart, rendered with these values files and `--set` arguments.
fn helm(helm: &Path, values: &[&Path], set: &[&str]) -> Result<Output> {
    let mut template = Command::new(helm);
    template.args(["template", "sa-authn", "--namespace", "secrets"]).arg(install().join("chart"));
    for file in values {
        template.arg("--values").arg(file);
    }
    for value in set {
        template.args(["--set-json", value]);
    }
    template.output().with_context(|| format!("{template:?}"))
}

/// The objects in YAML, in the order of kind and name.
fn objects(output: Output) -> Result<Vec<Value>> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let documents: Vec<Value> = serde_saphyr::from_multiple(&String::from_utf8(output.stdout)?)?;
    let mut objects: Vec<_> = documents.into_iter().filter(Value::is_object).collect();
    objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
    Ok(objects)
}

/// The folders of install/kustomize/overlays.
fn overlays() -> Result<Vec<PathBuf>> {
    let mut overlays = Vec::new();
    for entry in fs::read_dir(install().join("kustomize/overlays"))? {
        overlays.push(entry?.path());
    }
    overlays.sort();
    Ok(overlays)
}

/// The parts of a configuration that the JSON Schema rejects.
fn faults(config: &Value) -> Result<Vec<String>> {
    let schema = fs::read_to_string(install().join("../filter-config/schema.json"))?;
    let schema: Value = serde_json::from_str(&schema)?;
    let validator = jsonschema::draft7::new(&schema)?;
    let describe =
        |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    Ok(validator.iter_errors(config).map(describe).collect())
}

#[test]
fn chart_and_kustomize_render_the_same_objects() -> Result<()> {
    let test = "chart_and_kustomize_render_the_same_objects";
    let (Some(helm_program), Some(kustomize)) =
        (program(GoProgram::HELM, test)?, program(GoProgram::KUSTOMIZE, test)?)
    else {
        return Ok(());
    };
    let shared = install().join("kustomize/values.yaml");
    let overlays = overlays()?;
    assert_eq!(overlays.len(), 8);
    for overlay in overlays {
        let own = overlay.join("values.yaml");
        let mut expected = objects(helm(&helm_program, &[&shared, &own], &[])?)?;
        // The pod of `helm test` is in install/kustomize/verify.
        let test = |object: &Value| object["kind"] == "Pod";
        let pods: Vec<_> = expected.iter().filter(|object| test(object)).cloned().collect();
        let verify = Command::new(&kustomize)
            .arg("build")
            .arg(install().join("kustomize/verify"))
            .output()?;
        assert_eq!(objects(verify)?, pods, "verify");
        expected.retain(|object| !test(object));
        let built = Command::new(&kustomize).arg("build").arg(&overlay).output()?;
        let built = objects(built).with_context(|| overlay.display().to_string())?;
        assert_eq!(built, expected, "cargo xtask manifests; {}", overlay.display());
    }
    Ok(())
}

#[test]
fn kustomization_of_the_example_sets_image_issuer_and_rules() -> Result<()> {
    let test = "kustomization_of_the_example_sets_image_issuer_and_rules";
    let Some(kustomize) = program(GoProgram::KUSTOMIZE, test)? else { return Ok(()) };
    let built =
        Command::new(&kustomize).arg("build").arg(install().join("kustomize/example")).output()?;
    let built = objects(built)?;
    let plugin =
        built.iter().find(|object| object["kind"] == "WasmPlugin").context("a WasmPlugin")?;
    assert!(text(&plugin["spec"]["url"]).contains("@sha256:"), "{plugin}");
    assert_eq!(faults(&plugin["spec"]["pluginConfig"])?, [""; 0]);
    for object in &built {
        assert_eq!(object["metadata"]["namespace"], "secrets", "{object}");
    }
    Ok(())
}

#[test]
fn values_of_each_platform_render_a_valid_configuration() -> Result<()> {
    let test = "values_of_each_platform_render_a_valid_configuration";
    let Some(helm_program) = program(GoProgram::HELM, test)? else { return Ok(()) };
    let shared = install().join("kustomize/values.yaml");
    let mut platforms = Vec::new();
    for entry in fs::read_dir(install().join("values"))? {
        let file = entry?.path();
        let rendered = objects(helm(&helm_program, &[&shared, &file], &[])?)?;
        let plugin = rendered
            .iter()
            .find(|object| object["kind"] == "WasmPlugin")
            .context("a WasmPlugin")?;
        let config = &plugin["spec"]["pluginConfig"];
        assert_eq!(faults(config)?, [""; 0], "{}", file.display());
        let issuer = &config["issuers"][0];
        let sources = issuer["keys"].as_object().context("keys")?;
        assert_eq!(sources.len(), 1, "{}: {sources:?}", file.display());
        platforms.push(file.file_stem().context("a name")?.to_string_lossy().into_owned());
    }
    platforms.sort();
    assert_eq!(platforms, ["aks", "eks", "gke", "k3s", "kind", "openshift", "rke2"]);
    Ok(())
}

#[test]
fn values_in_the_guide_render_a_valid_configuration() -> Result<()> {
    let test = "values_in_the_guide_render_a_valid_configuration";
    let Some(helm_program) = program(GoProgram::HELM, test)? else { return Ok(()) };
    let guide = fs::read_to_string(install().join("../docs/install.md"))?;
    let (_, block) = guide.split_once("<!-- values -->").context("the values")?;
    let block = block.split("```").nth(1).and_then(|block| block.strip_prefix("yaml\n"));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("my-values.yaml");
    // The block belongs to an item of a list.
    let lines =
        block.context("a block")?.lines().map(|line| line.strip_prefix("   ").unwrap_or(line));
    fs::write(&file, lines.collect::<Vec<_>>().join("\n"))?;
    let kind = install().join("values/kind.yaml");
    let rendered = objects(helm(&helm_program, &[&kind, &file], &[])?)?;
    let kinds: Vec<_> = rendered.iter().map(|object| text(&object["kind"])).collect();
    assert_eq!(kinds, ["AuthorizationPolicy", "ConfigMap", "Pod", "WasmPlugin"]);
    assert_eq!(faults(&rendered[3]["spec"]["pluginConfig"])?, [""; 0]);
    Ok(())
}

#[test]
fn invalid_values_are_rejected_with_their_place() -> Result<()> {
    let test = "invalid_values_are_rejected_with_their_place";
    let Some(helm_program) = program(GoProgram::HELM, test)? else { return Ok(()) };
    let shared = install().join("kustomize/values.yaml");
    for (set, expected) in [
        (r#"rules=[{"alow": ["api/api"]}]"#, "/rules/0"),
        (r#"rules=[{"allow": ["api"]}]"#, "/rules/0/allow"),
        ("rules=[]", "rules: list who may send which request"),
        ("audiences=[]", "audiences: list the audience that the callers request"),
        (r#"keys={"discovery": null}"#, "/keys"),
        (r#"tokenReview={"cluster": "kube-apiserver"}"#, "/tokenReview"),
        (r#"config={"mod": "shadow"}"#, "/config"),
        (r#"failStrategy="FAIL_OPEN""#, "/failStrategy"),
        (r#"image={"digest": "latest"}"#, "/image/digest"),
        (r#"proxy="gateway""#, "gateway: the name of the Gateway is required"),
        ("selector=null", "selector: the labels of the pods are required"),
        ("typo=1", "typo"),
    ] {
        let output = helm(&helm_program, &[&shared], &[set])?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{set}");
        assert!(stderr.contains(expected), "{set}: {stderr}");
    }
    Ok(())
}

#[test]
fn values_reach_the_objects_that_they_are_for() -> Result<()> {
    let test = "values_reach_the_objects_that_they_are_for";
    let Some(helm_program) = program(GoProgram::HELM, test)? else { return Ok(()) };
    let shared = install().join("kustomize/values.yaml");
    let rendered = objects(helm(
        &helm_program,
        &[&shared],
        &[
            r#"image={"repository": "registry.example.com:5000/sa-authn", "tag": "2", "pullSecret": "pull"}"#,
            r#"tcpPolicy={"exceptPorts": [5432]}"#,
            r#"tokenReview={"cluster": "kube-apiserver", "authority": "kubernetes.default.svc", "use": "instead"}"#,
            r#"rbac={"serviceAccounts": ["secret-store"], "readKeys": true}"#,
            r#"config={"mode": "shadow"}"#,
            r#"admissionPolicy={"create": true}"#,
            r#"bootstrap={"apiServer": {"address": "api.example", "port": 6443, "name": "api.internal"}}"#,
        ],
    )?)?;
    let one = |kind: &str| {
        rendered.iter().find(|object| object["kind"] == kind).with_context(|| kind.to_owned())
    };
    let plugin = &one("WasmPlugin")?["spec"];
    assert_eq!(plugin["url"], "oci://registry.example.com:5000/sa-authn:2");
    assert_eq!(plugin["imagePullSecret"], "pull");
    assert_eq!(plugin["pluginConfig"]["mode"], "shadow");
    assert_eq!(plugin["pluginConfig"]["issuers"][0]["keys"], Value::Null);
    assert_eq!(faults(&plugin["pluginConfig"])?, [""; 0]);
    let policy = &one("AuthorizationPolicy")?["spec"]["rules"][0]["to"][0]["operation"];
    assert_eq!(*policy, json!({ "notMethods": ["*"], "notPorts": ["5432"] }));
    let bindings: Vec<_> =
        rendered.iter().filter(|object| object["kind"] == "ClusterRoleBinding").collect();
    assert_eq!(bindings.len(), 2);
    for binding in bindings {
        let account =
            json!([{ "kind": "ServiceAccount", "name": "secret-store", "namespace": "secrets" }]);
        assert_eq!(binding["subjects"], account);
    }
    let bootstrap = &one("ConfigMap")?["data"]["custom_bootstrap.json"];
    let bootstrap: Value = serde_saphyr::from_str(text(bootstrap))?;
    let cluster = &bootstrap["static_resources"]["clusters"][0];
    assert_eq!(
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"],
        json!({ "socket_address": { "address": "api.example", "port_value": 6443 } })
    );
    let tls = &cluster["transport_socket"]["typed_config"];
    assert_eq!(tls["sni"], "api.internal");
    let names =
        &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"][0];
    assert_eq!(names["matcher"]["exact"], "api.internal");
    one("ValidatingAdmissionPolicy")?;
    Ok(())
}

/// The plugin and the policy against raw TCP must select the same pods.
#[test]
fn policy_for_tcp_has_the_selector_of_the_plugin() -> Result<()> {
    let documents = crate::support::istio::rendered()?;
    let mut compared = 0;
    for policy in documents.iter().filter(|document| document.kind() == "AuthorizationPolicy") {
        let folder = Path::new(&policy.file).parent().context("a folder")?;
        let plugin = documents
            .iter()
            .find(|document| {
                Path::new(&document.file).parent() == Some(folder)
                    && ["WasmPlugin", "TrafficExtension"].contains(&document.kind())
            })
            .context("a plugin")?;
        assert_eq!(policy.value["spec"]["selector"], plugin.value["spec"]["selector"]);
        assert!(!list(&policy.value["spec"]["rules"]).is_empty());
        compared += 1;
    }
    assert_eq!(compared, 4);
    Ok(())
}
