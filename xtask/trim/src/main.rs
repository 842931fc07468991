//! Removes what the filter does not use from the linked module (callbacks, the printing of backtraces, names), and orders what
//! is left.
//!
//! The SDK exports every callback of the ABI, and Envoy calls each that it finds: into the VM and back for nothing. If an
//! export is missing, Envoy goes on as it does after the SDK's default answer (proxy-wasm-cpp-host, `src/context.cc`).

mod order;

use std::path::Path;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use walrus::{FunctionBuilder, FunctionKind, Module, ModuleConfig, passes};

/// `trim [--by-size] MODULE TRIMMED`
fn main() -> Result<()> {
    let (options, files): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let ([module, trimmed], by_size) = (files.as_slice(), options == ["--by-size"]) else {
        bail!("usage: trim [--by-size] MODULE TRIMMED");
    };
    ensure!(by_size || options.is_empty(), "unknown option: {}", options.join(" "));
    let bytes = trim(Path::new(module), by_size)?;
    fs::write(trimmed, bytes).with_context(|| trimmed.clone())
}

/// The bytes of the trimmed module; the same for the same file.
fn trim(built: &Path, by_size: bool) -> Result<Vec<u8>> {
    let mut module = ModuleConfig::new()
        .generate_producers_section(false)
        .generate_name_section(!by_size)
        .parse_file(built)
        .with_context(|| format!("{} cannot be read as a module", built.display()))?;
    empty_backtraces(&mut module);
    keep_only(&mut module, USED)?;
    let bytes = module.emit_wasm();
    if by_size { Ok(bytes) } else { order::by_use(&bytes) }
}

/// Empties the functions that print a backtrace or the details of an `anyhow` error. The panic handler and `anyhow` reach them
/// if a backtrace was captured, and std captures none on this target; nothing prints the details. A call would end the VM.
fn empty_backtraces(module: &mut Module) {
    let prints = |name: &str| BACKTRACES.iter().any(|part| name.contains(part));
    let found = module.funcs.iter_local().filter_map(|(id, _)| {
        let function = module.funcs.get(id);
        function.name.as_deref().is_some_and(prints).then(|| (id, function.ty()))
    });
    let found: Vec<_> = found.collect();
    for (id, of_type) in found {
        let of_type = module.types.get(of_type);
        let (parameters, results) = (of_type.params().to_vec(), of_type.results().to_vec());
        let mut empty = FunctionBuilder::new(&mut module.types, &parameters, &results);
        empty.func_body().unreachable();
        let arguments = parameters.iter().map(|parameter| module.locals.add(*parameter)).collect();
        module.funcs.get_mut(id).kind = FunctionKind::Local(empty.local_func(arguments));
    }
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

/// Parts of the names of functions that print backtraces: the large ones, whose code is theirs alone. The compiler may use a
/// small function, or one that it made for these from a generic one, in other places as well.
const BACKTRACES: &[&str] = &[
    "17BacktraceFrameFmt21print_raw_with_column",
    "3std3sys9backtrace15output_filename",
    "14rustc_demangle13DemangleStyleNtB6_7Display3fmt",
    "14rustc_demangle2v0NtB5_5IdentNt",
    "7Printer10print_path",
    "7Printer10print_type",
    "7Printer11print_const",
    "7Printer23print_const_str_literal",
    "ErrorImpl$GT$5debug",
];
