use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use super::*;

#[test]
fn supply_chain_page_lists_exactly_the_packages_of_the_module() {
    let page = fs::read_to_string(repository::root().join("docs/supply-chain.md")).unwrap();
    let (listed, built) = (listed(&page), built());
    let unlisted: Vec<_> = built.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&built).collect();
    assert!(unlisted.is_empty(), "docs/supply-chain.md has no reason for {unlisted:?}");
    assert!(gone.is_empty(), "docs/supply-chain.md lists removed packages {gone:?}");
}

#[test]
fn compatible_versions_are_equal() {
    for (version, kept) in [("1.0.229", "1"), ("0.14.7", "0.14"), ("0.11.1+wasi", "0.11")] {
        assert_eq!(compatible(version), kept);
    }
}

/// `| der 0.8 | ecdsa, pkcs8 | why |`
fn listed(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    cells
        .filter(|cells| cells[0] != "package")
        .map(|cells| {
            assert!(cells.len() == 3 && !cells[2].is_empty(), "no reason in {cells:?}");
            cells[0].to_owned()
        })
        .collect()
}

/// `der v0.8.3 (*)`
fn built() -> BTreeSet<String> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "-p", "sa-authn", "--target", "wasm32-wasip1"]);
    tree.args(["-e", "normal", "--prefix", "none"]).current_dir(repository::root());
    let tree = process::output(&mut tree).unwrap();
    let packages = tree.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    packages
        .filter(|words| words.len() > 1 && words[0] != "sa-authn")
        .map(|words| format!("{} {}", words[0], compatible(words[1].trim_start_matches('v'))))
        .collect()
}

fn compatible(version: &str) -> String {
    let numbers: Vec<_> = version.split(['.', '+']).collect();
    match numbers[..] {
        ["0", minor, ..] => format!("0.{minor}"),
        [major, ..] => major.to_owned(),
        [] => String::new(),
    }
}
