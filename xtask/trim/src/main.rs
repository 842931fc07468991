//! Removes the callbacks from the linked module that the filter does not use.
//!
//! The SDK exports every callback of the ABI, and Envoy calls each that it finds: into the VM and back for nothing. If an
//! export is missing, Envoy goes on as it does after the SDK's default answer (proxy-wasm-cpp-host, `src/context.cc`).

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use walrus::{Module, ModuleConfig, passes};

/// `trim MODULE TRIMMED`
fn main() -> Result<()> {
    let mut files = env::args_os().skip(1).map(PathBuf::from);
    let (Some(module), Some(trimmed)) = (files.next(), files.next()) else {
        bail!("usage: trim MODULE TRIMMED");
    };
    fs::write(&trimmed, trim(&module)?).with_context(|| trimmed.display().to_string())
}

/// The bytes of the trimmed module; the same for the same file.
fn trim(built: &Path) -> Result<Vec<u8>> {
    let mut module = ModuleConfig::new()
        .generate_producers_section(false)
        .parse_file(built)
        .with_context(|| format!("{} cannot be read as a module", built.display()))?;
    keep_only(&mut module, USED)?;
    Ok(module.emit_wasm())
}

/// Removes all other exports, and all that only they needed.
fn keep_only(module: &mut Module, used: &[&str]) -> Result<()> {
    for name in used {
        let exported = module.exports.iter().any(|export| export.name == *name);
        ensure!(exported, "the module does not export {name}: see USED in {}", file!());
    }
    let unused: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !used.contains(&export.name.as_str()))
        .map(walrus::Export::id)
        .collect();
    unused.into_iter().for_each(|export| module.exports.delete(export));
    passes::gc::run(module);
    Ok(())
}

/// What Envoy calls in the filter, and the memory.
///
/// The request's body and trailers are among it: while a request is paused, they must be held too.
const USED: &[&str] = &[
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_http_call_response",
    "proxy_on_memory_allocate",
    "proxy_on_request_body",
    "proxy_on_request_headers",
    "proxy_on_request_trailers",
    "proxy_on_tick",
];
