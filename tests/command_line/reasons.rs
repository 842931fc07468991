//! `sa-authn reasons`, and what else is printed without a file: the schema, completions, help.

use super::{root, run_in};
use sa_authn::verdict::Reason;
use std::fs;
use std::process::{Command, Stdio};

/// The table of docs/troubleshooting.md, row by row: code, HTTP, gRPC, meaning.
fn table() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let (_, table) = page.split_once("| reason | HTTP | gRPC |").expect("the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [code, http, grpc, meaning] = cells[..] else { panic!("{row}") };
        // It leads to the section of that name.
        let code = code.trim_start_matches("[`").split('`').next().expect("a code");
        assert!(row.contains(&format!("](#{code})")), "{row}");
        format!("{code} (HTTP {http}, gRPC {grpc})\n  means:  {meaning}")
    })
    .collect()
}

#[test]
fn every_reason_is_said_as_the_guide_has_it_and_has_a_remedy() {
    let ran = run_in("", &["reasons"]);
    let said: Vec<_> = ran.stdout.split("\n\n").map(|block| block.trim_end()).collect();
    let table = table();
    assert_eq!((said.len(), table.len()), (Reason::ALL.len(), Reason::ALL.len()));
    for (block, row) in said.iter().zip(table) {
        let (means, remedy) = block.split_once("\n  remedy: ").expect("a remedy");
        assert_eq!(means, row);
        assert!(remedy.len() > 20, "{block}");
    }
}

#[test]
fn one_reason_is_found_by_its_code_as_the_access_log_has_it() {
    let ran = run_in("", &["reasons", "sa_authn.wrong_audience"]);
    assert!(ran.stdout.starts_with("wrong_audience (HTTP 401, gRPC 16)\n"), "{}", ran.stdout);
    let ran = run_in("", &["reasons", "wrong_audienze"]);
    let said = "error: \"wrong_audienze\" is no reason; did you mean \"wrong_audience\"? `sa-authn reasons` prints all\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (2, said));
}

#[test]
fn the_schema_is_the_file_that_ships() {
    let ran = run_in("", &["schema"]);
    let file = fs::read_to_string(root().join("filter-config/schema.json")).unwrap();
    assert!(ran.stdout == file, "sa-authn schema > filter-config/schema.json");
}

#[test]
fn every_shell_gets_its_completions() {
    for (shell, piece) in [
        ("bash", "complete -F _sa__authn"),
        ("zsh", "#compdef sa-authn"),
        ("fish", "complete -c sa-authn"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[sa-authn]"),
    ] {
        let ran = run_in("", &["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains(piece), "{shell}: {}", ran.stdout);
    }
}

#[test]
fn wrong_usage_is_2() {
    for arguments in [&[][..], &["chek"], &["check"], &["inspect", "--at", "noon"]] {
        let ran = run_in("", arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {}", ran.stderr);
    }
}

/// `sa-authn schema | head -1`
#[test]
fn who_stops_reading_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sa-authn"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}
