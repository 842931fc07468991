//! The outputs of commands in docs/cli.md are current.

use super::{Ran, root, run};
use std::fs;

/// Each command with its output.
fn commands() -> Vec<(String, String)> {
    let page = fs::read_to_string(root().join("docs/cli.md")).unwrap();
    let blocks = page.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next());
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    let split = |command: &str| {
        let (line, output) = command.split_once('\n').expect("a line");
        (line.to_owned(), output.to_owned())
    };
    commands.map(split).filter(|(_, output)| !output.is_empty()).collect()
}

#[test]
fn documented_outputs_match_the_commands() {
    let commands = commands();
    assert_eq!(commands.len(), 9);
    for (line, expected) in commands {
        let ran = perform(&line);
        assert_eq!(ran.stdout + &ran.stderr, expected, "{line}");
    }
}

/// Runs `sa-authn ...`, or `jq -r .NAME FILE | sa-authn ...` without jq.
fn perform(line: &str) -> Ran {
    let (stdin, command) = match line.split_once(" | ") {
        Some((jq, command)) => (taken(jq), command),
        None => (String::new(), line),
    };
    let mut words = Vec::new();
    for (at, part) in command.split('\'').enumerate() {
        // Text in quotes is one argument.
        match at % 2 {
            0 => words.extend(part.split_whitespace()),
            _ => words.push(part),
        }
    }
    assert_eq!(words.remove(0), "sa-authn");
    run("", &words, &stdin)
}

fn taken(jq: &str) -> String {
    let words: Vec<_> = jq.split_whitespace().collect();
    let ["jq", "-r", name, file] = words[..] else { panic!("{jq}") };
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(root().join(file)).unwrap()).unwrap();
    json[name.trim_start_matches('.')].as_str().unwrap().to_owned() + "\n"
}

#[test]
fn schema_of_the_chart_is_current() {
    let ran = run("", &["schema", "--for", "helm-values"], "");
    let shipped = fs::read_to_string(root().join("install/chart/values.schema.json")).unwrap();
    assert!(ran.stdout == shipped, "cargo xtask manifests");
}
