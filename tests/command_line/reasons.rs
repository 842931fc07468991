//! `sa-authn reasons`, `schema`, `completions` and `--help`.

use super::{root, run_in};
use sa_authn::denial::Reason;
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
        // The code links to its section.
        let code = code.trim_start_matches("[`").split('`').next().expect("a code");
        assert!(row.contains(&format!("](#{code})")), "{row}");
        format!("{code} (HTTP {http}, gRPC {grpc})\n  means:  {meaning}")
    })
    .collect()
}

#[test]
fn reasons_match_the_troubleshooting_guide_and_have_remedies() {
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
fn reason_is_found_by_its_access_log_code() {
    let ran = run_in("", &["reasons", "sa_authn.wrong_audience"]);
    assert!(ran.stdout.starts_with("wrong_audience (HTTP 401, gRPC 16)\n"), "{}", ran.stdout);
    let ran = run_in("", &["reasons", "wrong_audienze"]);
    let said = "error: unknown reason \"wrong_audienze\"; did you mean \"wrong_audience\"? `sa-authn reasons` lists all reasons\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (2, said));
    let ran = run_in("", &["reasons", "rate_limit"]);
    let said = "error: unknown reason \"rate_limit\"; `sa-authn reasons` lists all reasons\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (2, said));
}

#[test]
fn reasons_are_listed_by_status() {
    let ran = run_in("", &["reasons", "503"]);
    let codes: Vec<_> =
        ran.stdout.split("\n\n").filter_map(|block| block.split(' ').next()).collect();
    assert_eq!(
        codes,
        [
            "keys_unavailable",
            "review_unavailable",
            "authorization_unavailable",
            "overloaded",
            "misconfigured",
            "internal"
        ]
    );
    let ran = run_in("", &["reasons", "404"]);
    let said = "error: no reason has status 404; the filter sends [400, 401, 403, 503]\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (2, said));
}

#[test]
fn schema_command_prints_schema_json() {
    let ran = run_in("", &["schema"]);
    let file = fs::read_to_string(root().join("filter-config/schema.json")).unwrap();
    assert!(ran.stdout == file, "sa-authn schema > filter-config/schema.json");
}

#[test]
fn completions_are_printed_for_every_shell() {
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
fn wrong_usage_exits_with_2() {
    for arguments in [&[][..], &["chek"], &["check"], &["inspect", "--at", "noon"]] {
        let ran = run_in("", arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {}", ran.stderr);
    }
}

/// `sa-authn schema | head -1`
#[test]
fn broken_pipe_is_not_an_error() {
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
