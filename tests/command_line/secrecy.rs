//! Output for tokens in wrong arguments, and for text with control characters.

use super::{Ran, root, run, run_in};
use envoy_test::token::{DEFAULT_ISSUER, assemble};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

fn token() -> String {
    let recorded = fs::read_to_string(root().join("tests/testdata/tokens_raw.json")).unwrap();
    let recorded: Value = serde_json::from_str(&recorded).unwrap();
    recorded["other"].as_str().unwrap().to_owned()
}

fn printed(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

/// Checks that no 12 consecutive characters of the token are printed.
fn check_hidden(token: &str, ran: &Ran, what: &str) {
    let printed = printed(ran);
    let pieces = token.as_bytes().windows(12).map(|piece| std::str::from_utf8(piece).unwrap());
    for piece in pieces {
        assert!(!printed.contains(piece), "{what}: {piece} of the token is printed:\n{printed}");
    }
}

#[test]
fn token_in_place_of_an_argument_is_not_printed() {
    let token = token();
    let config = "filter-config/minimal.json";
    let (named, header) = (format!("local={token}"), format!("authorization: Bearer {token}"));
    let path = format!("GET /x?access_token={token}");
    for arguments in [
        vec!["inspect", &token],
        vec!["inspect", "a", &token],
        vec!["inspect", "--at", &token],
        vec!["inspect", "--token", &token],
        vec!["check", &token],
        vec!["check", config, &token],
        vec!["check", "--format", &token],
        vec!["explain", "--config", &token],
        vec!["explain", "--config", config, "--token", &token],
        vec!["explain", "--config", config, "--jwks", &token],
        vec!["explain", "--config", config, "--jwks", &named],
        vec!["explain", "--config", config, "--review", &token],
        vec!["explain", "--config", config, "--at", &token],
        vec!["explain", "--config", config, "--request", &token],
        vec!["explain", "--config", config, "--request", &path],
        vec!["explain", "--config", config, "--host", &token],
        vec!["explain", "--config", config, "--header", &token],
        vec!["explain", "--config", config, "--header", &header],
        vec!["explain", "--config", config, "--peer", &token],
        vec!["explain", "--config", config, "--port", &token],
        vec!["explain", "--config", config, &token],
        vec!["reasons", &token],
        vec!["completions", &token],
        vec![&token],
    ] {
        let shown = arguments.iter().map(|word| word.replace(&token, "TOKEN"));
        let shown = shown.collect::<Vec<_>>().join(" ");
        check_hidden(&token, &run_in("", &arguments), &shown);
    }
}

#[test]
fn token_in_place_of_a_file_name_is_reported() {
    let token = token();
    let ran = run_in("", &["inspect", &token]);
    let said = "error: FILE looks like a token, expected a file name; write the token to a file, or pass it on stdin with `-`\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (2, "", said));
    let ran = run_in("", &["explain", "--config", "filter-config/minimal.json", "--token", &token]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (2, "", said));
    let stdin = run("", &["inspect", "-"], &token);
    assert_eq!((stdin.code, stdin.stderr.as_str()), (0, ""));
    // With a line break, as copied from a terminal or mail.
    let folded = format!("{}\n{}", &token[..64], &token[64..]);
    check_hidden(&token, &run_in("", &["inspect", &folded]), "a folded token");
}

#[test]
fn missing_file_is_named_with_long_parts_of_its_path_cut() {
    let missing = "error: not/there.txt: No such file or directory (os error 2)\n";
    assert_eq!(run_in("", &["inspect", "not/there.txt"]).stderr, missing);
    let secret = "s".repeat(300);
    let ran = run_in("", &["inspect", &format!("src/{secret}")]);
    let said = format!("error: src/{}...: File name too long (os error 36)\n", "s".repeat(40));
    assert_eq!((ran.code, ran.stderr), (2, said));
}

#[test]
fn token_file_in_place_of_another_file_is_not_printed() {
    let token = token();
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("a-token");
    fs::write(&path, &token).unwrap();
    let file = path.to_str().unwrap();
    let config = "filter-config/minimal.json";
    for arguments in [
        vec!["check", file],
        vec!["explain", "--config", file],
        vec!["explain", "--config", config, "--jwks", file],
        vec!["explain", "--config", config, "--review", file],
    ] {
        check_hidden(&token, &run_in("", &arguments), &arguments.join(" "));
    }
    let inside = json!({ "issuers": [], "mode": token }).to_string();
    check_hidden(&token, &run("", &["check", "-"], &inside), "a token in a configuration");
    check_hidden(&token, &run("", &["check", "--format", "json", "-"], &inside), "the same");
}

/// C1 controls, DEL, bidirectional overrides, a line separator, a byte order mark, a letter.
const HOSTILE: &str = "\u{85}\u{9b}2J\u{7f}\u{202e}\u{2066}\u{2028}\u{feff}\u{fc}";
const ESCAPED: &str = r"\u{85}\u{9b}2J\u{7f}\u{202e}\u{2066}\u{2028}\u{feff}\u{fc}";

fn check_ascii(ran: &Ran, what: &str) {
    let printed = printed(ran);
    let printable = |byte: u8| byte == b'\n' || (0x20..=0x7e).contains(&byte);
    assert!(printed.bytes().all(printable), "{what}: {printed:?}");
}

#[test]
fn output_is_printable_ascii_for_any_token_or_file() {
    let claims = json!({ "iss": HOSTILE, "sub": HOSTILE, "aud": [HOSTILE], HOSTILE: 1 });
    let header = json!({ "alg": "RS256", "kid": HOSTILE }).to_string();
    let token = assemble(&header, &claims.to_string(), |_| vec![1]);
    let ran = run("", &["inspect"], &token);
    check_ascii(&ran, "inspect");
    assert!(ran.stdout.contains(&format!("\"kid\": \"{ESCAPED}\"")), "{}", ran.stdout);
    assert!(ran.stdout.contains(&format!("\"sub\": \"{ESCAPED}\"")), "{}", ran.stdout);
    let config = "filter-config/minimal.json";
    let ran = run("", &["explain", "--config", config, "--token", "-"], &token);
    check_ascii(&ran, "explain");
    assert!(ran.stdout.contains(r"\u{85}"), "{}", ran.stdout);
    let request = format!("GET /{HOSTILE}");
    let ran = run_in("", &["explain", "--config", config, "--request", &request]);
    check_ascii(&ran, "a path");
    assert!(ran.stdout.contains(&format!("request   GET /{ESCAPED}, host")), "{}", ran.stdout);
    check_ascii(&run_in("", &["check", HOSTILE]), "a file's name");
    // A line end in a name must not begin a new line.
    let names = json!({ "namespace": "a\nForm", "serviceaccount": { "name": "b\nForm" }, "pod": { "name": "c\nForm" } });
    let claims = json!({ "iss": DEFAULT_ISSUER, "sub": "system:serviceaccount:a:b", "kubernetes.io": names });
    let token = assemble(r#"{"alg":"RS256"}"#, &claims.to_string(), |_| vec![1]);
    for arguments in [vec!["inspect"], vec!["explain", "--config", config, "--token", "-"]] {
        let ran = run("", &arguments, &token);
        assert!(ran.stdout.contains(r"names a\u{a}Form/b\u{a}Form"), "{}", ran.stdout);
    }
    check_ascii(&run_in("", &[HOSTILE]), "a command");
    check_ascii(&run_in("", &["inspect", "--at", HOSTILE]), "a time");
    let file = json!({ "issuers": [], HOSTILE: 1, "mode": HOSTILE }).to_string();
    check_ascii(&run("", &["check", "-"], &file), "check");
}

#[test]
fn json_output_of_check_preserves_the_original_text() {
    let file = json!({ "issuers": [], HOSTILE: 1 }).to_string();
    let ran = run("", &["check", "--format", "json", "-"], &file);
    check_ascii(&ran, "check");
    let problems: Value = serde_json::from_str(&ran.stdout).unwrap();
    let paths: Vec<_> = problems.as_array().unwrap().iter().map(|one| &one["path"]).collect();
    assert!(paths.contains(&&Value::from(HOSTILE)), "{problems:#}");
}

#[test]
fn output_without_user_input_has_no_escapes() {
    for arguments in [vec!["schema"], vec!["reasons"], vec!["--help"], vec!["explain", "--help"]] {
        let ran = run_in("", &arguments);
        check_ascii(&ran, &arguments.join(" "));
        assert!(!ran.stdout.contains("\\u{"), "{arguments:?}");
    }
}
