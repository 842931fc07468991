//! `sa-authn convert` prints the configuration and the omissions in tests/testdata/convert for each file.
//!
//! envoy-test/tests/convert.rs runs each original and its conversion side by side.

use super::{root, run, run_in};
use sa_authn::config::Config;
use std::fs;

const FOLDER: &str = "tests/testdata/convert";

fn sources() -> Vec<String> {
    let entries = fs::read_dir(root().join(FOLDER)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> =
        names.filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned)).collect();
    names.sort_unstable();
    names
}

#[test]
fn each_conversion_prints_the_recorded_configuration_and_omissions() {
    let sources = sources();
    assert!(sources.len() >= 10, "{sources:?}");
    for name in sources {
        let ran = run_in(FOLDER, &["convert", &format!("{name}.yaml")]);
        let recorded =
            |kind| fs::read_to_string(root().join(FOLDER).join(format!("{name}.{kind}"))).unwrap();
        let (config, lost) = (recorded("json"), recorded("txt"));
        assert_eq!(
            (ran.stdout.as_str(), ran.stderr.as_str()),
            (config.as_str(), lost.as_str()),
            "{name}"
        );
        assert_eq!(ran.code, i32::from(!lost.is_empty()), "{name}");
    }
}

/// Except for kube-rbac-proxy with a rewrite by a header, which no rule can express.
#[test]
fn conversions_are_valid_configurations() {
    for name in sources() {
        let config = fs::read(root().join(FOLDER).join(format!("{name}.json"))).unwrap();
        let problems: Vec<_> =
            Config::parse(&config).err().into_iter().flatten().map(|it| it.to_string()).collect();
        let expected = match name.as_str() {
            "kube-rbac-proxy-header" => vec![
                "rules[0].allow: must not be empty; list service accounts, for example [\"namespace/name\"]",
            ],
            _ => vec![],
        };
        assert_eq!(problems, expected, "{name}");
    }
}

/// A conversion without this part would allow more than the original.
#[test]
fn nothing_is_converted_if_the_result_would_allow_more() {
    let read = |name: &str| fs::read_to_string(root().join(FOLDER).join(name)).unwrap();
    let rbac = read("jwt-authn-rbac.yaml").replace("action: ALLOW", "action: DENY");
    let deny = read("istio-deny-without-token.yaml")
        .replace("notRequestPrincipals: [\"*\"]", "namespaces: [web]");
    let prefix = read("istio-deny-without-token.yaml").replace("/secrets/*", "/secrets*");
    for (text, said) in [
        (rbac, "the RBAC filter has the action DENY"),
        (deny, "only a rule with `notRequestPrincipals: [\"*\"]` can be converted"),
        (prefix, "a path with `*` and without a slash before it cannot be expressed"),
        ("a: b\n".to_owned(), "found nothing to convert"),
    ] {
        let ran = run("", &["convert", "-"], &text);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        assert!(ran.stderr.contains(said), "{said} in {}", ran.stderr);
    }
}

/// Without the file of `--config-file`, the conversion would ask Kubernetes RBAC another question than the original.
#[test]
fn kube_rbac_proxy_without_its_file_or_its_template_is_not_asked_for_another_access() {
    let convert = |authorization: &str| {
        let file =
            std::fs::read_to_string(root().join(FOLDER).join("kube-rbac-proxy-rewrites.yaml"));
        let file = file.unwrap();
        let (container, _) = file.split_once("---\nauthorization").unwrap();
        let ran = run("", &["convert", "-"], &format!("{container}{authorization}"));
        let config: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(config["issuers"][0].get("subjectAccessReview"), None);
        (config["rules"][0]["allow"].clone(), ran.stderr)
    };
    let rewrites = "rewrites: { byQueryParameter: { name: ns } }";
    let with = |attributes: &str| {
        format!("---\nauthorization:\n  {rewrites}\n  resourceAttributes: {{ {attributes} }}\n")
    };
    for (authorization, said) in [
        (String::new(), "the file is missing"),
        (with("resource: pods, namespace: 'a-{{ .Value }}'"), "only the template"),
        (with("resource: pods, namespace: a"), "no attribute has the value"),
    ] {
        let (allow, stderr) = convert(&authorization);
        assert_eq!(allow, serde_json::json!([]), "{authorization}");
        assert!(stderr.contains(said), "{said} in {stderr}");
    }
}

/// After a prefix that patterns cannot express, a weaker rule would open paths that the original protects.
#[test]
fn weaker_rule_after_a_narrowed_one_is_left_out() {
    let convert = |rules: &str| {
        let text =
            format!("providers: {{ p: {{ issuer: https://i, audiences: [a] }} }}\nrules:\n{rules}");
        let ran = run("", &["convert", "-"], &text);
        let config: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let names = config["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let protected = "- { match: { prefix: /api }, requires: { provider_name: p } }\n";
    let all = "- { match: { prefix: / }, requires: { provider_name: p } }\n";
    assert_eq!(convert(protected), ["rules[0]"]);
    assert_eq!(convert(&format!("{protected}{all}")), ["rules[0]", "rules[1]"]);
    let health = "- match: { path: /health }\n";
    assert_eq!(convert(&format!("{protected}{health}")), ["rules[0]", "rules[1]"]);
    let apix = "- match: { prefix: /apix/ }\n";
    assert_eq!(convert(&format!("{protected}{apix}")), ["rules[0]"]);
    let regex = "- { match: { safe_regex: { regex: /a.* } }, requires: { provider_name: p } }\n";
    assert_eq!(convert(&format!("{health}{regex}{health}")), ["rules[0]"]);
}
