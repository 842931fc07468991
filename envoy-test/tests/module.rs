//! The shipped module: its exports, its imports, and its size.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use envoy_test::envoy::default_module;
use wasmparser::{Parser, Payload};

/// The names of imports or exports.
type Names = BTreeSet<String>;

#[test]
fn module_exports_only_the_callbacks_it_uses() -> Result<()> {
    let mut exports = Names::new();
    for payload in Parser::new(0).parse_all(&shipped()?) {
        if let Payload::ExportSection(section) = payload? {
            for export in section {
                exports.insert(export?.name.to_owned());
            }
        }
    }
    assert_eq!(exports, names(EXPORTS), "{}", HOW_EXPORTS_GO);
    Ok(())
}

#[test]
fn module_imports_only_functions_of_every_supported_envoy() -> Result<()> {
    let mut imports = Names::new();
    for payload in Parser::new(0).parse_all(&shipped()?) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                imports.insert(format!("{}.{}", import.module, import.name));
            }
        }
    }
    let wanted = IMPORTS.iter().flat_map(|(module, functions)| {
        functions.iter().map(move |function| format!("{module}.{function}"))
    });
    assert_eq!(
        imports,
        wanted.collect(),
        "an Envoy that lacks an import refuses the module: look that 1.36.4 has it, then list it here",
    );
    Ok(())
}

#[test]
fn module_has_at_most_800_000_bytes() -> Result<()> {
    let bytes = shipped()?.len();
    assert!(
        bytes <= MOST_BYTES,
        "{} has {bytes} bytes, {} too many: see which dependency or which copy of a generic function came anew, \
         and which opt-level it has in Cargo.toml",
        default_module().display(),
        bytes - MOST_BYTES,
    );
    Ok(())
}

fn shipped() -> Result<Vec<u8>> {
    let module = default_module();
    fs::read(&module)
        .with_context(|| format!("{} is not there: `cargo xtask wasm` builds it", module.display()))
}

fn names(list: &[&str]) -> Names {
    list.iter().map(|&name| name.to_owned()).collect()
}

const MOST_BYTES: usize = 800_000;

const HOW_EXPORTS_GO: &str = "what the filter does nothing in costs a call a request, \
    and what it needs must be there: USED in xtask/trim/src/main.rs has them all";

const EXPORTS: &[&str] = &[
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

const IMPORTS: &[(&str, &[&str])] = &[("env", HOST), ("wasi_snapshot_preview1", WASI)];

/// Some are only in the vtables of the SDK's traits, and are never called.
const HOST: &[&str] = &[
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

const WASI: &[&str] =
    &["clock_time_get", "environ_get", "environ_sizes_get", "fd_write", "proc_exit", "random_get"];
