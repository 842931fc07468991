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
    assert!(said.len() >= 25, "only {} files", said.len());
    for (name, expected) in said {
        let ran = run_in(BROKEN, &["check", &name]);
        assert_eq!(ran.stdout + &ran.stderr, expected, "{name}");
        assert_eq!(ran.code, if expected.starts_with("error: ") { 2 } else { 1 }, "{name}");
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
                    filter-config/minimal.json:1:1: plugin configuration: good\n";
    assert_eq!((ran.stdout.as_str(), ran.code), (expected, 0), "{}", ran.stderr);
}

#[test]
fn unreadable_file_does_not_stop_the_check_of_other_files() {
    let ran = run_in(BROKEN, &["check", "no-keys.json", "is-not-there.json", "no-audience.json"]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.stdout.lines().count(), 4, "{}", ran.stdout);
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
