//! Every relative link in Markdown files refers to an existing file and heading.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() && name != "target" && name != ".git" {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The text outside of code blocks and backquotes.
fn prose(page: &str) -> String {
    let outside = page.split("```").step_by(2);
    outside.flat_map(|text| text.split('`').step_by(2)).collect()
}

/// The targets of `[text](target)`; where the text is code, `prose` has left `[](target)`.
fn links(page: &str) -> Vec<String> {
    let prose = prose(page);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(str::to_owned).collect()
}

/// The anchors of headings: lower case, without punctuation, with dashes for spaces.
fn anchors(page: &str) -> Vec<String> {
    let outside: String = page.split("```").step_by(2).collect();
    let headings = outside.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

fn problem(page: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => page.to_owned(),
        file => page.parent().expect("a folder").join(file),
    };
    if !target.exists() {
        return Some(format!("{}: no file {link}", page.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let there = anchors(&fs::read_to_string(&target).unwrap());
    (!there.iter().any(|it| it == anchor))
        .then(|| format!("{}: no heading {link} among {there:?}", page.display()))
}

#[test]
fn every_markdown_link_has_a_target() {
    let mut found = Vec::new();
    pages(root(), &mut found);
    assert!(found.len() > 15, "{found:?}");
    let mut count = 0;
    let mut problems = Vec::new();
    for page in &found {
        let links = links(&fs::read_to_string(page).unwrap());
        count += links.len();
        problems.extend(links.iter().filter_map(|link| problem(page, link)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 80, "only {count} links were found");
}

#[test]
fn broken_link_is_reported() {
    let page = root().join("README.md");
    let links = links("[a](docs/nothing.md), `[b](c)`, [`d`](LICENSE) and [e](#f)");
    assert_eq!(links, ["docs/nothing.md", "LICENSE", "#f"]);
    let problems: Vec<_> = links.iter().map(|link| problem(&page, link).is_some()).collect();
    assert_eq!(problems, [true, false, true]);
    assert_eq!(anchors("# What `it` does, and not\n```\n# no\n```\n"), ["what-it-does-and-not"]);
}
