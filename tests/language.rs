//! Plain English: phrases that readers stumbled over do not come back.

use std::fs;
use std::path::{Path, PathBuf};

/// Phrases that no text contains. Each is looked for as whole words, in any case.
const BANNED: [&str; 12] = [
    "nobody",
    "whoever",
    "stands twice",
    "on trial",
    "is none of",
    "goes on counting",
    "what becomes of",
    "what became of",
    "is told",
    "at a desk",
    "mend",
    "by its own word",
];

/// Files and folders with texts for users and contributors.
const TEXTS: [&str; 17] = [
    ".github",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
    "README.md",
    "SECURITY.md",
    "benches",
    "docs",
    "envoy-gateway",
    "envoy-test",
    "filter-config",
    "fuzz",
    "install",
    "istio",
    "observability",
    "src",
    "xtask",
];

/// The extensions of files with texts.
const EXTENSIONS: [&str; 6] = ["json", "md", "rs", "svg", "toml", "yaml"];

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_text = extension.is_some_and(|extension| EXTENSIONS.contains(&extension));
        return if is_text { vec![path.to_path_buf()] } else { Vec::new() };
    }
    let entries =
        fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| !path.ends_with("target")).flat_map(|path| files(&path)).collect()
}

/// The first banned phrase in a line.
fn banned(line: &str) -> Option<&'static str> {
    let line = line.to_lowercase();
    let is_word = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    BANNED.into_iter().find(|phrase| {
        line.match_indices(phrase).any(|(at, _)| {
            let (before, after) = (line.get(..at), line.get(at + phrase.len()..));
            !is_word(before.and_then(|text| text.chars().next_back()))
                && !is_word(after.and_then(|text| text.chars().next()))
        })
    })
}

/// The lines of a file that are text: those of a Markdown file outside its code blocks.
fn lines(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let is_markdown = file.extension().is_some_and(|extension| extension == "md");
    let mut in_code = false;
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if is_markdown && line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            // Code in a line is between backticks.
            let text = line.split('`').step_by(if is_markdown { 2 } else { 1 });
            lines.push((at + 1, text.collect::<Vec<_>>().join(" ")));
        }
    }
    lines
}

#[test]
fn texts_contain_no_banned_phrase() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = files(&root.join("tests"));
    let tests = tests.into_iter().filter(|file| !file.ends_with("language.rs"));
    let files: Vec<_> =
        TEXTS.iter().flat_map(|path| files(&root.join(path))).chain(tests).collect();
    assert!(files.len() > 400, "{} files", files.len());
    let mut found = Vec::new();
    for file in files {
        for (at, line) in lines(&file) {
            if let Some(phrase) = banned(&line) {
                let file = file.strip_prefix(root).expect("a file below the root");
                found.push(format!("{}:{at}: {phrase:?}: {}", file.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "say it in plain words:\n{}", found.join("\n"));
}

#[test]
fn phrases_are_found_as_whole_words_in_any_case() {
    assert_eq!(banned("Nobody passes"), Some("nobody"));
    assert_eq!(banned("amendments recommend"), None);
    assert_eq!(banned("The filter is told."), Some("is told"));
}
