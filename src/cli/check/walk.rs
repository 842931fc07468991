//! The files of a folder that can contain a configuration.

use crate::cli::Failure;
use std::fs;
use std::path::{Path, PathBuf};

/// The YAML and JSON files in a folder and in the folders below it, sorted. Hidden files and folders are skipped, and
/// symbolic links to folders are not followed.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let failure = |error| Failure(format!("{}: {error}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(failure)? {
            let entry = entry.map_err(failure)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failure)?);
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                folders.push(path);
            } else if has_configuration_name(&path) && path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn has_configuration_name(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];
