//! The ValidatingAdmissionPolicy of install/, evaluated by the packages of the API server.
//!
//! Every shipped configuration is admitted. A list of invalid ones is rejected, with the path that the filter reports. The
//! program is built from its Go module; without Go the tests report that they did not run.

mod broken;
mod invalid;

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use invalid::{good, invalid};
use programs::go::GoProgram;
use sa_authn::config::{Config, admission_policy};
use serde_json::{Value, json};

/// What the policy decided about an object.
#[derive(Debug, serde::Deserialize)]
struct Judgement {
    /// Whether the match conditions selected the object.
    matched: bool,
    admitted: bool,
    message: String,
    /// The cost of all expressions.
    cost: i64,
}

/// The program; `None` without Go.
fn program(test: &str) -> Result<Option<Command>> {
    let program = GoProgram::ADMISSION.program()?;
    if program.is_none() {
        // Not with `println!`, which is only shown for failed tests. `cargo xtask test` repeats such lines.
        stdout().write_all(format!("not run: {test}: there is no Go\n").as_bytes())?;
    }
    Ok(program.map(Command::new))
}

fn policy() -> PathBuf {
    root().join("install/chart/files/admission-policy.yaml")
}

/// The judgement on each object; `None` without Go.
fn judge(test: &str, objects: &[Value]) -> Result<Option<Vec<Judgement>>> {
    let Some(mut program) = program(test)? else { return Ok(None) };
    let mut child = program
        .arg(policy())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let input = serde_json::to_vec(objects)?;
    let mut stdin = child.stdin.take().context("stdin")?;
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    writer.join().ok().context("the writer")??;
    let judgements: Vec<Judgement> = serde_json::from_slice(&output.stdout)?;
    assert_eq!(judgements.len(), objects.len());
    Ok(Some(judgements))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A request to create an object.
fn create(object: Value) -> Value {
    json!({ "object": object })
}

fn wasm_plugin(config: &Value) -> Value {
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
        "metadata": { "name": "sa-authn", "namespace": "secrets" },
        "spec": { "url": "oci://registry.example.com/sa-authn:0.1.0", "pluginConfig": config },
    })
}

fn traffic_extension(config: &Value) -> Value {
    json!({
        "apiVersion": "extensions.istio.io/v1alpha1", "kind": "TrafficExtension",
        "metadata": { "name": "auth", "namespace": "secrets" },
        "spec": { "wasm": { "url": "oci://registry.example.com/sa-authn:0.1.0", "pluginConfig": config } },
    })
}

fn extension_policy(config: &Value) -> Value {
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyExtensionPolicy",
        "metadata": { "name": "auth", "namespace": "secrets" },
        "spec": { "wasm": [
            { "name": "headers", "code": { "type": "HTTP", "http": { "url": "https://example.com/headers.wasm" } }, "config": { "x": 1 } },
            { "name": "sa-authn", "code": { "type": "Image", "image": { "url": "registry.example.com/auth:1" } }, "config": config },
        ] },
    })
}

/// The object of each kind with this configuration.
fn of_each_kind(config: &Value) -> [Value; 3] {
    [wasm_plugin(config), traffic_extension(config), extension_policy(config)]
}

#[test]
fn shipped_policy_is_the_generated_one() -> Result<()> {
    let shipped = fs::read_to_string(root().join("install/chart/files/admission-policy.yaml"))?;
    assert!(shipped == admission_policy(), "cargo xtask manifests");
    let copy = root().join("install/kustomize/admission-policy/admission-policy.yaml");
    assert!(shipped == fs::read_to_string(copy)?, "cargo xtask manifests");
    Ok(())
}

#[test]
fn every_shipped_configuration_is_admitted_in_every_kind() -> Result<()> {
    let mut requests = Vec::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("filter-config"))? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        if name.ends_with(".json") && name != "schema.json" {
            let config = serde_json::from_str(&fs::read_to_string(&path)?)?;
            for object in of_each_kind(&config) {
                names.push(format!("{name} in {}", object["kind"]));
                requests.push(create(object));
            }
        }
    }
    for entry in fs::read_dir(root().join("istio"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            for document in serde_saphyr::from_multiple::<Value>(&fs::read_to_string(&path)?)? {
                if document["kind"] == "WasmPlugin" || document["kind"] == "TrafficExtension" {
                    names.push(path.display().to_string());
                    requests.push(create(document));
                }
            }
        }
    }
    assert!(requests.len() >= 14 * 3 + 6, "{}", requests.len());
    let test = "every_shipped_configuration_is_admitted_in_every_kind";
    for (name, judgement) in names.iter().zip(judge(test, &requests)?.into_iter().flatten()) {
        assert!(judgement.matched && judgement.admitted, "{name}: {judgement:?}");
    }
    Ok(())
}

#[test]
fn expressions_of_the_policy_are_valid_in_the_oldest_and_the_newest_kubernetes() -> Result<()> {
    let test = "expressions_of_the_policy_are_valid_in_the_oldest_and_the_newest_kubernetes";
    let Some(mut program) = program(test)? else { return Ok(()) };
    let output = program.arg("--check").arg(policy()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn invalid_configurations_are_rejected_with_their_path() -> Result<()> {
    let table = invalid();
    let mut requests = Vec::new();
    for (config, _) in &table {
        requests.extend(of_each_kind(config).map(create));
    }
    let test = "invalid_configurations_are_rejected_with_their_path";
    let Some(judgements) = judge(test, &requests)? else { return Ok(()) };
    let mut failures = Vec::new();
    for ((config, expected), judged) in table.iter().zip(judgements.chunks(3)) {
        for judgement in judged {
            if judgement.admitted || !judgement.message.starts_with(expected) {
                failures.push(format!("{expected:?}\n  {judgement:?}\n  {config}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// The policy must not reject what the filter accepts, and must report the place that the filter reports.
#[test]
fn paths_of_the_policy_are_those_of_the_filter() -> Result<()> {
    for (config, message) in invalid() {
        let mut problems = problems_of_the_filter(&config);
        let (path, _) = message.split_once(": ").unwrap_or(("", message));
        let agrees = |of_filter: &String| {
            // The filter reports an empty audience and a wrong port for the list, and a JWKS without keys as a whole.
            path == of_filter
                || path.starts_with(&format!("{of_filter}["))
                || path.starts_with(&format!("{of_filter}."))
        };
        problems.retain(agrees);
        assert!(!problems.is_empty(), "{message}: {config}: {:?}", problems_of_the_filter(&config));
    }
    Ok(())
}

/// The paths of the filter's problems.
fn problems_of_the_filter(config: &Value) -> Vec<String> {
    let problems = Config::parse(config.to_string().as_bytes()).err();
    problems.unwrap_or_default().into_iter().map(|problem| problem.path).collect()
}

#[test]
fn all_problems_are_in_one_message() -> Result<()> {
    let config = json!({
        "issuers": [{ "issuer": "", "audiences": ["a"], "keys": {} }, { "issuer": "b" }],
        "rules": [{ "allow": ["a/b"] }, { "allow": ["x"], "deny": "anyon", "path": [] }],
    });
    let Some(judged) = judge("all_problems_are_in_one_message", &[create(wasm_plugin(&config))])?
    else {
        return Ok(());
    };
    let message = &judged[0].message;
    for path in [
        "issuers[0].issuer: ",
        "issuers[0].keys: ",
        "issuers[1].audiences: ",
        "issuers[1].keys: ",
        "rules[1].path: ",
        "rules[1].allow[0]: ",
        "rules[1].deny: ",
    ] {
        assert!(message.contains(path), "{path}: {message}");
    }
    Ok(())
}

#[test]
fn other_plugins_are_never_touched() -> Result<()> {
    let wasm = |name: &str, url: &str, config: Value| {
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
            "metadata": { "name": name, "namespace": "shop" },
            "spec": { "url": url, "pluginConfig": config, "failStrategy": "FAIL_OPEN" },
        })
    };
    let mut generated = wasm("", "oci://ghcr.io/vendor/waf:1", json!({}));
    generated["metadata"] = json!({ "generateName": "waf-", "namespace": "shop" });
    let objects = [
        wasm(
            "coraza",
            "oci://ghcr.io/corazawaf/coraza-proxy-wasm",
            json!({ "default_directives": "x" }),
        ),
        wasm("oidc", "oci://ghcr.io/vendor/oidc:1", json!({ "issuers": "https://example.com" })),
        wasm("plain", "file:///opt/filters/plain.wasm", Value::Null),
        generated,
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1", "kind": "TrafficExtension",
            "metadata": { "name": "lua", "namespace": "shop" }, "spec": { "lua": { "inlineCode": "" } },
        }),
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyExtensionPolicy",
            "metadata": { "name": "processor", "namespace": "shop" }, "spec": { "extProc": [] },
        }),
        json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyExtensionPolicy",
            "metadata": { "name": "waf", "namespace": "shop" },
            "spec": { "wasm": [{ "code": { "type": "Image", "image": { "url": "ghcr.io/vendor/waf" } }, "failOpen": true }] },
        }),
    ];
    let requests: Vec<_> = objects.iter().cloned().map(create).collect();
    for (object, judgement) in objects
        .iter()
        .zip(judge("other_plugins_are_never_touched", &requests)?.into_iter().flatten())
    {
        assert!(!judgement.matched && judgement.admitted, "{judgement:?}: {object}");
    }
    Ok(())
}

#[test]
fn plugins_that_fail_open_or_have_no_configuration_are_rejected() -> Result<()> {
    let mut open = wasm_plugin(&good());
    open["spec"]["failStrategy"] = json!("FAIL_OPEN");
    let mut gateway = extension_policy(&good());
    gateway["spec"]["wasm"][1]["failOpen"] = json!(true);
    let mut missing = wasm_plugin(&good());
    missing["spec"].as_object_mut().context("a spec")?.remove("pluginConfig");
    let requests = [open, gateway, missing].map(create);
    let test = "plugins_that_fail_open_or_have_no_configuration_are_rejected";
    let Some(judged) = judge(test, &requests)? else { return Ok(()) };
    let expected = [
        "failStrategy: FAIL_OPEN allows every request",
        "failOpen: true allows every request",
        "issuers: required",
    ];
    for (judgement, expected) in judged.iter().zip(expected) {
        assert!(!judgement.admitted && judgement.message.starts_with(expected), "{judgement:?}");
    }
    Ok(())
}

#[test]
fn existing_objects_are_judged_only_if_their_spec_changes() -> Result<()> {
    let invalid = wasm_plugin(&json!({}));
    let mut labelled = invalid.clone();
    labelled["metadata"]["labels"] = json!({ "team": "shop" });
    let mut changed = invalid.clone();
    changed["spec"]["priority"] = json!(1);
    let requests = [
        json!({ "object": labelled, "oldObject": invalid }),
        json!({ "object": changed, "oldObject": invalid }),
    ];
    let test = "existing_objects_are_judged_only_if_their_spec_changes";
    let Some(judged) = judge(test, &requests)? else { return Ok(()) };
    assert!(judged[0].admitted && !judged[0].matched, "{:?}", judged[0]);
    assert!(!judged[1].admitted && judged[1].matched, "{:?}", judged[1]);
    Ok(())
}

/// The API server allows a cost of 1,000,000 for each expression.
#[test]
fn largest_configuration_with_the_longest_names_is_admitted() -> Result<()> {
    let caller = json!({
        "serviceAccount": format!("{}/{}", "a".repeat(63), "b".repeat(253)), "podBound": true,
        "audience": "secret-store", "node": "n".repeat(253), "uid": "0".repeat(36),
    });
    let of = |callers: usize| {
        // The rule itself counts, too.
        let rule = json!({ "allow": vec![caller.clone(); callers - 1] });
        create(wasm_plugin(&invalid::with("/rules", json!([rule]))))
    };
    let issuers = |count| {
        let issuer = good()["issuers"][0].clone();
        create(wasm_plugin(&json!({ "issuers": vec![issuer; count] })))
    };
    let requests = [of(1250), of(1251), issuers(64), issuers(65)];
    let test = "largest_configuration_with_the_longest_names_is_admitted";
    let Some(judged) = judge(test, &requests)? else { return Ok(()) };
    for (at, judgement) in judged.iter().enumerate() {
        println!("{at}: cost {}", judgement.cost);
    }
    assert!(judged[0].admitted && judged[0].cost < 900_000, "{:?}", judged[0]);
    let bound = "rules: the admission policy judges at most 1250 rules, hosts, methods, paths, ports and callers together";
    assert!(!judged[1].admitted && judged[1].message.starts_with(bound), "{:?}", judged[1]);
    assert!(judged[2].admitted, "{:?}", judged[2]);
    let bound = "issuers: the admission policy judges at most 64 issuers";
    assert!(!judged[3].admitted && judged[3].message.starts_with(bound), "{:?}", judged[3]);
    Ok(())
}
