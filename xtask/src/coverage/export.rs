//! Reads what llvm-cov exports: its lcov (for lines) and JSON (for regions) come in, what was reached of
//! each file goes out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::reached::Reached;

/// Of each place in the source, whether it was reached.
type Places<P> = BTreeMap<P, bool>;

/// The files that `lines_of` knows, which says how many of a file's lines count.
pub fn files(
    lcov: &str,
    json: &str,
    root: &Path,
    lines_of: impl Fn(&Path) -> Option<Result<usize>>,
) -> Result<Vec<Reached>> {
    let regions = regions(json)?;
    let nothing = BTreeMap::new();
    let mut files = Vec::new();
    for (path, lines) in lines(lcov)? {
        let Some(counting) = lines_of(Path::new(&path)) else { continue };
        let counting = counting?;
        let regions = regions.get(&path).unwrap_or(&nothing);
        let counted = || regions.iter().filter(|((line, ..), _)| *line <= counting);
        let missed = counted().filter(|(_, reached)| !**reached);
        files.push(Reached {
            path: Path::new(&path).strip_prefix(root).map_or(path.clone(), shown),
            lines: lines.range(..=counting).map(|(_, reached)| *reached).collect(),
            regions: counted().map(|(_, reached)| *reached).collect(),
            missed: missed.map(|((line, column, ..), _)| (*line, *column)).collect(),
        });
    }
    Ok(files)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// `SF:` begins a file, `DA:12,3` says that line 12 was run three times.
fn lines(lcov: &str) -> Result<BTreeMap<String, Places<usize>>> {
    let mut files: BTreeMap<String, Places<usize>> = BTreeMap::new();
    let mut path = "";
    for record in lcov.lines() {
        if let Some(file) = record.strip_prefix("SF:") {
            path = file;
        } else if let Some(line) = record.strip_prefix("DA:") {
            let (line, count) = line.split_once(',').context("lcov: DA without a count")?;
            *files.entry(path.to_owned()).or_default().entry(line.parse()?).or_default() |=
                count != "0";
        }
    }
    Ok(files)
}

/// Line and column of a region's begin and end.
type Region = (usize, usize, usize, usize);

/// One function several times, as a generic one is, has its regions several times: reached in one of them is reached.
fn regions(json: &str) -> Result<BTreeMap<String, Places<Region>>> {
    let export: Export = serde_json::from_str(json).context("llvm-cov's JSON")?;
    let mut files: BTreeMap<String, Places<Region>> = BTreeMap::new();
    for function in export.data.iter().flat_map(|data| &data.functions) {
        for &[line, column, end_line, end_column, count, file, _, kind] in &function.regions {
            let Some(path) = function.filenames.get(file).filter(|_| kind == CODE) else {
                continue;
            };
            let places = files.entry(path.clone()).or_default();
            *places.entry((line, column, end_line, end_column)).or_default() |= count > 0;
        }
    }
    Ok(files)
}

#[derive(Deserialize)]
struct Export {
    data: Vec<Data>,
}

#[derive(Deserialize)]
struct Data {
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    filenames: Vec<String>,
    /// Begin, end, count, which of the file names, which it expands to, kind.
    regions: Vec<[usize; 8]>,
}

/// Not a gap, nor the expansion of a macro.
const CODE: usize = 0;

#[cfg(test)]
mod tests {
    use super::super::reached::Share;
    use super::*;

    #[test]
    fn lines_and_regions_of_a_file_are_joined_up_to_its_tests() {
        let lcov =
            "SF:/r/src/a.rs\nDA:1,2\nDA:2,0\nDA:9,1\nend_of_record\nSF:/r/tests/b.rs\nDA:1,1\n";
        let json = r#"{ "data": [{ "functions": [
            { "filenames": ["/r/src/a.rs"], "regions": [
                [1, 1, 1, 9, 0, 0, 0, 0], [2, 1, 2, 9, 0, 0, 0, 0], [1, 1, 2, 9, 0, 0, 0, 3]
            ] },
            { "filenames": ["/r/tests/b.rs", "/r/src/a.rs"], "regions": [
                [1, 1, 1, 9, 4, 1, 0, 0], [9, 1, 9, 9, 0, 1, 0, 0]
            ] }
        ] }] }"#;
        let counting = |path: &Path| path.starts_with("/r/src").then_some(Ok(8));
        let half = Share { reached: 1, of: 2 };
        let expected = Reached {
            path: "src/a.rs".to_owned(),
            lines: half,
            regions: half,
            missed: vec![(2, 1)],
        };
        assert_eq!(files(lcov, json, Path::new("/r"), counting).unwrap(), [expected]);
    }
}
