//! Every test that docs/attacks.md names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every `file.rs::name` of the text.
fn named(text: &str) -> BTreeSet<(String, String)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let tests = quoted.filter_map(|word| word.split_once(".rs::"));
    tests.map(|(file, name)| (format!("{file}.rs"), name.to_owned())).collect()
}

#[test]
fn every_test_named_in_the_attack_catalogue_exists() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = named(&fs::read_to_string(root.join("docs/attacks.md"))?);
    assert!(named.len() >= 30, "only {} tests are named", named.len());
    for (file, name) in named {
        let source = fs::read_to_string(root.join(&file));
        let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
        let (test, is_test_file) =
            (format!("fn {name}("), source.contains("#[test]") || source.contains("#[tokio::test"));
        assert!(is_test_file && source.contains(&test), "{file} has no test {name}");
    }
    Ok(())
}
