//! Structural rules of the source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module as the names on its path: `["authn", "keys"]`.
type Module = Vec<String>;

/// The modules that stand side by side in one folder, each with those that it uses.
type Siblings = BTreeMap<String, BTreeSet<String>>;

/// The Rust files in and below a folder, or the file.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = fs::read_dir(path).expect("a folder");
    entries.flat_map(|entry| sources(&entry.expect("an entry").path())).collect()
}

#[test]
fn shell_makes_no_decisions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let shell = [root.join("filter.rs"), root.join("filter")];
    let files: Vec<_> = shell.iter().flat_map(|path| sources(path)).collect();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("a file");
        for word in ["Reason", "Denial", "Permit", "because("] {
            assert!(!text.contains(word), "{} builds or reads a {word}", file.display());
        }
    }
}

#[test]
fn modules_of_one_folder_do_not_use_each_other_in_a_circle() {
    let sources = modules();
    assert!(sources.len() > 80, "{}", sources.len());
    let mut folders: BTreeMap<Module, Siblings> = BTreeMap::new();
    for (module, text) in &sources {
        for used in used_modules(module, text, &sources) {
            let shared = module.iter().zip(&used).take_while(|(one, other)| one == other).count();
            // What a folder's own file defines is below the files of the folder.
            if let (Some(from), Some(to)) = (module.get(shared), used.get(shared)) {
                let siblings = folders.entry(module[..shared].to_vec()).or_default();
                siblings.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    assert!(folders.len() > 5, "{folders:?}");
    for (folder, siblings) in &folders {
        let circle = siblings.keys().find_map(|start| circle_from(start, siblings));
        assert_eq!(circle, None, "in src/{}", folder.join("/"));
    }
}

#[test]
fn lib_rs_declares_each_module_above_those_it_uses() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let lib = code(&fs::read_to_string(root).expect("a file"));
    let declared = lib.lines().filter_map(|line| line.trim().strip_suffix(';'));
    let declared: Vec<_> =
        declared.filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")).collect();
    let sources = modules();
    for (module, text) in &sources {
        for used in used_modules(module, text, &sources) {
            let at = |module: &Module| declared.iter().position(|name| *name == module[0]);
            if !used.is_empty() && used[0] != module[0] {
                assert!(at(module) < at(&used), "{} is above {}", used[0], module[0]);
            }
        }
    }
}

/// The files that a request passes, as lib.rs lists them.
#[test]
fn functions_on_the_way_of_a_request_have_names_of_their_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(root.join("lib.rs")).expect("a file");
    let (_, way) = lib.split_once("A request's way in ten files").expect("the way");
    let (way, _) = way.split_once("\n//!\n").expect("the end of the way");
    let files: Vec<_> =
        way.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs")).collect();
    assert_eq!(files.len(), 10, "{files:?}");
    let mut defined: BTreeMap<String, &str> = BTreeMap::new();
    for file in files {
        let text = code(&fs::read_to_string(root.join(file)).expect("a file"));
        let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
        for name in names.filter(|name| !["new", "of", "from", "fmt", "default"].contains(name)) {
            let other = defined.insert(name.to_owned(), file);
            assert!(other.is_none_or(|other| other == file), "fn {name} of {file} and {other:?}");
        }
    }
    assert!(defined.len() > 60, "{defined:?}");
}

/// The code of each module in `src`, without comments and tests. `lib.rs` and the command line are not part of the core.
fn modules() -> BTreeMap<Module, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = BTreeMap::new();
    for file in sources(&root) {
        let path = file.strip_prefix(&root).expect("below src").with_extension("");
        let module: Module = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if !matches!(module[0].as_str(), "lib" | "main" | "cli") {
            modules.insert(module, code(&fs::read_to_string(&file).expect("a file")));
        }
    }
    modules
}

fn code(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or(""));
    lines.take_while(|line| line.trim() != "#[cfg(test)]").collect::<Vec<_>>().join("\n")
}

/// The modules that paths in the code of `module` name.
fn used_modules(module: &Module, code: &str, all: &BTreeMap<Module, String>) -> Vec<Module> {
    assert!(!code.contains("crate::{"), "{module:?}: write one `use` for each module");
    let mut used = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            // The later parts of `super::super::` and of `pub(in crate::a)`.
            if code[..at]
                .ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
            {
                continue;
            }
            let mut rest = &code[at..];
            let mut base = if root == "crate::" { Vec::new() } else { module.clone() };
            while let Some(above) = rest.strip_prefix("super::") {
                base.pop();
                rest = above;
            }
            rest = rest.strip_prefix("crate::").unwrap_or(rest);
            used.extend(targets(base, rest, all));
        }
    }
    used
}

/// The modules that `base::rest` leads to: several where `rest` is a group in braces.
fn targets(mut base: Module, rest: &str, all: &BTreeMap<Module, String>) -> Vec<Module> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    if let Some(group) = rest.strip_prefix('{') {
        let group = group.split('}').next().unwrap_or("");
        return group
            .split(',')
            .flat_map(|part| targets(base.clone(), part.trim_start(), all))
            .collect();
    }
    let name = word(rest);
    if let Some(child) = all.get(&base).and_then(|parent| re_exported_from(parent, &name)) {
        base.push(child);
        return vec![base];
    }
    let child: Module = base.iter().cloned().chain([name.clone()]).collect();
    if !all.contains_key(&child) {
        return vec![base];
    }
    match rest[name.len()..].strip_prefix("::") {
        Some(deeper) => targets(child, deeper, all),
        None => vec![child],
    }
}

/// The child from which a module passes on `name` (`pub use child::name`).
fn re_exported_from(code: &str, name: &str) -> Option<String> {
    let uses = code.split(';').map(str::trim);
    let uses = uses
        .filter_map(|line| line.strip_prefix("pub use ").or(line.strip_prefix("pub(crate) use ")));
    let mut children = uses.filter_map(|path| path.split_once("::"));
    let (child, _) = children.find(|(_, names)| {
        names.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
    })?;
    (!matches!(child, "crate" | "super" | "self")).then(|| child.to_owned())
}

/// A way from `start` back to itself.
fn circle_from(start: &str, siblings: &Siblings) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = way.last().expect("a module");
        for next in siblings.get(last).into_iter().flatten() {
            let way: Vec<_> = way.iter().cloned().chain([next.clone()]).collect();
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                ways.push(way);
            }
        }
    }
    None
}
