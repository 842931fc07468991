//! `sa-authn check` prints the output in tests/testdata/broken/README.md for each broken file.

use super::{root, run, run_in};
use std::fs;

const BROKEN: &str = "tests/testdata/broken";

/// The documented output of each file.
fn said() -> Vec<(String, String)> {
    let readme = fs::read_to_string(root().join(BROKEN).join("README.md")).unwrap();
    let sections = readme.split("\n## ").skip(1);
    let section = |text: &str| {
        let (name, rest) = text.split_once('\n').expect("a name");
        let (_, block) = rest.split_once("```text\n").expect("a block");
        let (output, _) = block.split_once("```").expect("its end");
        (name.to_owned(), output.to_owned())
    };
    sections.map(section).collect()
}

#[test]
fn check_of_each_broken_file_prints_the_documented_output() {
    let said = said();
    assert!(said.len() >= 40, "only {} files", said.len());
    for (name, expected) in said {
        let ran = run_in(BROKEN, &["check", &name]);
        assert_eq!(ran.stdout + &ran.stderr, expected, "{name}");
        let code = match (expected.starts_with("error: "), expected.contains(": error[")) {
            (true, _) => 2,
            (_, true) => 1,
            _ => 0,
        };
        assert_eq!(ran.code, code, "{name}");
    }
}

#[test]
fn readme_lists_every_broken_file() {
    let mut there: Vec<_> = fs::read_dir(root().join(BROKEN))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    there.sort_unstable();
    let mut said: Vec<_> = said().into_iter().map(|(name, _)| name).collect();
    said.sort_unstable();
    assert_eq!(said, there);
}

#[test]
fn shipped_configurations_are_valid() {
    let ran = run_in("", &["check", "envoy-test/envoy.yaml", "filter-config/minimal.json"]);
    let expected = "envoy-test/envoy.yaml:54:21: HTTP filter \"sa-authn\": good\n\
                    filter-config/minimal.json:1:1: plugin configuration: good\n\
                    2 files: 2 objects, 0 errors, 0 warnings\n";
    assert_eq!((ran.stdout.as_str(), ran.code), (expected, 0), "{}", ran.stderr);
}

#[test]
fn policy_of_envoy_gateway_needs_its_guard_and_a_root_id_that_denies() {
    let policy = "envoy-gateway/policy.yaml";
    let ran = run_in("", &["check", policy, "envoy-gateway/guard.yaml"]);
    assert!(ran.stdout.contains("2 files: 1 object, 0 errors, 0 warnings"), "{}", ran.stdout);
    let text = fs::read_to_string(root().join(policy)).unwrap();
    let id = "rootID: sa-authn:deny-if-misconfigured";
    let digest = format!("@sha256:{}", "0".repeat(64));
    for (text, code, expected) in [
        (text.clone(), 0, "warning[missing-guard]"),
        (text.replace(id, "rootID: sa-authn"), 0, "warning[route-opens]"),
        (text.replace(id, "rootID: sa-authn:deny"), 1, "error[unknown-value]"),
        (text.replace(id, &format!("{id}\n    failOpen: true")), 1, "error[fail-open]"),
        (text.replace(&digest, ":0.1.0"), 0, "warning[module-without-digest]"),
    ] {
        let ran = run("", &["check", "-"], &text);
        assert_eq!((ran.stdout.contains(expected), ran.code), (true, code), "{text}{}", ran.stdout);
    }
}

#[test]
fn workload_needs_the_label_of_the_plugin_and_the_annotation() {
    let plugin = fs::read_to_string(root().join("istio/wasmplugin-sidecar.yaml")).unwrap();
    let workload = |namespace: &str, metadata: &str| {
        format!(
            "{plugin}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: a, namespace: {namespace} }}\n\
             spec: {{ template: {{ metadata: {{ {metadata} }} }} }}\n"
        )
    };
    let (label, note) = (
        "labels: { app: secret-store }",
        "annotations: { sidecar.istio.io/bootstrapOverride: sa-authn }",
    );
    for (input, lacks) in [
        (workload("secrets", &format!("{label}, {note}")), vec![]),
        (workload("secrets", label), vec!["add the annotation"]),
        (workload("secrets", note), vec!["add the label `app: secret-store`"]),
        (workload("web", label), vec![]),
        (
            workload(
                "secrets",
                &format!(
                    "labels: {{ app: secret-store, sidecar.istio.io/inject: 'false' }}, {note}"
                ),
            ),
            vec!["remove `sidecar.istio.io/inject: \"false\"`"],
        ),
    ] {
        let ran = run("", &["check", "-"], &input);
        let count = ran.stdout.matches("warning[workload-not-enrolled]").count();
        assert_eq!(count, lacks.len(), "{input}{}", ran.stdout);
        assert!(lacks.iter().all(|lack| ran.stdout.contains(lack)), "{input}{}", ran.stdout);
    }
}

#[test]
fn unreadable_file_does_not_stop_the_check_of_other_files() {
    let ran = run_in(BROKEN, &["check", "no-keys.json", "is-not-there.json", "no-audience.json"]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.stdout.lines().count(), 5, "{}", ran.stdout);
    assert_eq!(ran.stderr, "error: is-not-there.json: No such file or directory (os error 2)\n");
}

#[test]
fn check_reads_stdin_and_prints_json() {
    let text = "{\n  \"isuers\": []\n}\n";
    let ran = run("", &["check", "--format", "json", "-"], text);
    assert_eq!(ran.code, 1);
    let problems: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let first = &problems[1];
    assert_eq!((&first["line"], &first["column"]), (&2.into(), &3.into()), "{problems:#}");
    assert_eq!(first["file"], "<stdin>");
    assert_eq!(first["path"], "isuers");
    assert_eq!(first["help"], "did you mean `issuers`?");
    assert_eq!((&first["severity"], &first["code"]), (&"error".into(), &"unknown-field".into()));
    assert_eq!(first["docs"], "docs/check.md#unknown-field");
}

/// Files without sa-authn are skipped, and the policy in one file is known for the plugin in another.
#[test]
fn folder_is_checked_with_a_summary() {
    let ran = run_in("", &["check", "istio"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let summary = "15 files: 7 objects, 0 errors, 6 warnings; 9 files without sa-authn skipped; docs/check.md explains each code";
    assert_eq!(ran.stdout.lines().last(), Some(summary), "{}", ran.stdout);
    let ran = run_in("", &["check", BROKEN]);
    assert_eq!(ran.code, 1);
    let summary = ran.stdout.lines().last().unwrap();
    assert!(summary.ends_with("skipped; docs/check.md explains each code"), "{summary}");
    assert!(
        ran.stdout.contains("broken/helm.yaml:9:15: warning[helm-template]: "),
        "{}",
        ran.stdout
    );
}

#[test]
fn severity_for_exit_code_1_can_be_chosen() {
    for (file, levels) in [("raw-tcp.yaml", [0, 1, 0]), ("dry-run.json", [1, 1, 0])] {
        let code = |level| run_in(BROKEN, &["check", "--fail-on", level, file]).code;
        assert_eq!(["error", "warning", "never"].map(code), levels, "{file}");
    }
}

#[test]
fn policy_against_tcp_must_select_the_workloads_of_the_plugin() {
    let plugin = fs::read_to_string(root().join(BROKEN).join("raw-tcp.yaml")).unwrap();
    let policy = |namespace: &str, selector: &str, rule: &str| {
        format!(
            "{plugin}---\nkind: AuthorizationPolicy\nmetadata: {{ name: a, namespace: {namespace} }}\n\
             spec: {{ {selector} action: DENY, rules: [{{ {rule} }}] }}\n"
        )
    };
    let (own, other) = (
        "selector: { matchLabels: { app: secret-store } },",
        "selector: { matchLabels: { app: web } },",
    );
    let tcp = "to: [{ operation: { notMethods: ['*'] } }]";
    for (input, warns) in [
        (policy("secrets", own, tcp), false),
        (policy("secrets", "", tcp), false),
        (policy("istio-system", "", tcp), false),
        (
            policy(
                "secrets",
                own,
                "to: [{ operation: { notMethods: ['*'], notPorts: ['5432'] } }]",
            ),
            false,
        ),
        (policy("secrets", other, tcp), true),
        (policy("web", own, tcp), true),
        (policy("secrets", own, "to: [{ operation: { notMethods: ['GET'] } }]"), true),
        (
            policy(
                "secrets",
                own,
                "from: [{ source: { namespaces: [a] } }], to: [{ operation: { notMethods: ['*'] } }]",
            ),
            true,
        ),
    ] {
        let ran = run("", &["check", "-"], &input);
        assert_eq!(ran.stdout.contains("warning[raw-tcp-open]"), warns, "{input}{}", ran.stdout);
    }
}

#[test]
fn github_annotations_have_a_line_for_each_problem() {
    let text = "{\n  \"isuers\": []\n}\n";
    let ran = run("", &["check", "--format", "github", "-"], text);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let begin =
        "::error file=<stdin>,line=2,col=3,title=unknown-field::isuers: unknown field `isuers`";
    assert!(lines[1].starts_with(begin), "{}", lines[1]);
}

#[test]
fn sarif_names_the_rule_and_the_location_of_each_problem() {
    let ran = run_in(BROKEN, &["check", "--format", "sarif", "dry-run.json"]);
    let log: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!((&log["version"], &result["ruleId"]), (&"2.1.0".into(), &"unknown-value".into()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "dry-run.json");
    assert_eq!(place["region"]["startLine"], 7);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{rules:#?}");
}

/// Every style of YAML strings, with a location in each.
#[test]
fn locations_are_correct_in_every_style_of_yaml_string() {
    let before = "filters:\n- name: sa-authn\n  typed_config:\n    \"@type\": type.googleapis.com/\
                  envoy.extensions.filters.http.wasm.v3.Wasm\n    config:\n      configuration:\n        \
                  \"@type\": type.googleapis.com/google.protobuf.StringValue\n        value: ";
    for (value, place) in [
        ("|\n          {\n            \"issuer\": 1\n          }\n", "10:13"),
        ("|2-\n\n            {\n\n             \"issuer\": 1}\n", "12:14"),
        (">\n          {\"issuers\":\n          [],\n          \"issuer\": 1}\n", "11:11"),
        ("'{\"name\": \"it''s\", \"issuer\": 1}'\n", "8:35"),
        ("\"{\\\"n\\u0061me\\\": \\\"\\\\\\\\\\\", \\\"issuer\\\": 1}\"\n", "8:43"),
        ("\"{\\\"a\\\":\n           1, \\\"issuer\\\": 1}\"\n", "9:15"),
    ] {
        let ran = run("", &["check", "-"], &format!("{before}{value}"));
        let line = ran.stdout.lines().find(|line| line.contains("unknown field `issuer`"));
        let line = line.unwrap_or_else(|| panic!("{value}: {}{}", ran.stdout, ran.stderr));
        assert!(line.starts_with(&format!("<stdin>:{place}: ")), "{value}: {line}");
    }
}
