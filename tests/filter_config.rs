//! The shipped configurations are valid and documented.

use std::path::Path;
use std::{fs, io};

use sa_authn::config::Config;

/// A name without its `.json`, and the text.
type File = (String, String);

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/filter-config"))
}

fn files() -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(stem) = name.strip_suffix(".json").filter(|stem| *stem != "schema") {
            files.push((stem.to_owned(), fs::read_to_string(folder().join(&name))?));
        }
    }
    files.sort_unstable();
    assert!(files.len() >= 8, "only {} files", files.len());
    Ok(files)
}

fn problems(text: &str) -> Vec<String> {
    let problems = Config::parse(text.as_bytes()).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_shipped_configuration_is_valid() -> io::Result<()> {
    for file in &files()? {
        assert_eq!(problems(&file.1), Vec::<String>::new(), "{}", file.0);
    }
    Ok(())
}

#[test]
fn readme_lists_exactly_the_shipped_configurations() -> io::Result<()> {
    let readme = fs::read_to_string(folder().join("README.md"))?;
    let mut listed: Vec<_> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| [")?.split_once(".json]("))
        .map(|(name, rest)| {
            assert!(rest.starts_with(&format!("{name}.json) |")), "{rest}");
            name.to_owned()
        })
        .collect();
    listed.sort_unstable();
    let names: Vec<_> = files()?.into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, names);
    Ok(())
}
