//! The module as the linker made it comes in; the same without what no Envoy needs from it comes out.
//!
//! The SDK exports every callback of the ABI, and Envoy calls each that it finds: into the VM and back for nothing.
//! For one that is missing it goes on, as it does after the SDK's answer (proxy-wasm-cpp-host, `src/context.cc`).

use std::path::Path;

use anyhow::{Context, Result};
use walrus::{Module, ModuleConfig, passes};

/// The bytes of the trimmed module; the same for the same file.
pub fn trimmed(built: &Path) -> Result<Vec<u8>> {
    let mut module = ModuleConfig::new()
        .generate_producers_section(false)
        .parse_file(built)
        .with_context(|| format!("{} cannot be read as a module", built.display()))?;
    without(&mut module, IDLE)?;
    Ok(module.emit_wasm())
}

/// Takes the exports away, and all that only they needed.
fn without(module: &mut Module, exports: &[&str]) -> Result<()> {
    for name in exports {
        module.exports.remove(name).with_context(|| {
            format!("the SDK exports no {name} any more: take it out of IDLE in {}", file!())
        })?;
    }
    passes::gc::run(module);
    Ok(())
}

/// What the filter has from its SDK, and does nothing in. Whoever begins to use one takes it out of here.
///
/// The request's body and trailers are not among them: while a request waits, they must be told to wait too.
const IDLE: &[&str] = &[
    "proxy_on_done",
    "proxy_on_log",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_new_connection",
    "proxy_on_downstream_data",
    "proxy_on_downstream_connection_close",
    "proxy_on_upstream_data",
    "proxy_on_upstream_connection_close",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
    "proxy_on_queue_ready",
];
