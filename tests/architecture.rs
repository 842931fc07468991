//! Structural rules of the source.

#![allow(clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

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
