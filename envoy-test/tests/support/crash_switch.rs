//! Wraps the shipped module with a switch that makes it trap, only for tests.
//!
//! The switch is outside of the shipped bytes: a callback that traps
//! if a request has very many headers, and otherwise calls the filter's callback.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use envoy_test::Request;
use envoy_test::envoy::default_module;
use walrus::ir::BinaryOp;
use walrus::{ExportItem, FunctionBuilder, InstrSeqBuilder, Module, ValType};

/// Writes that module into a folder.
pub fn write(folder: &Path) -> Result<PathBuf> {
    let shipped = default_module();
    let mut module = Module::from_file(&shipped)
        .with_context(|| format!("{}: `cargo xtask wasm` builds it", shipped.display()))?;
    switch(&mut module)?;
    let path = folder.join("crash_switch.wasm");
    module.emit_wasm_file(&path)?;
    Ok(path)
}

/// The same request with the headers that make the module trap.
pub fn pull(request: Request) -> Request {
    (0..MANY_HEADERS).fold(request, |request, at| request.header(&format!("x-{at}"), "y"))
}

fn switch(module: &mut Module) -> Result<()> {
    let export = module.exports.iter_mut().find(|export| export.name == CALLBACK);
    let export = export.with_context(|| format!("no {CALLBACK}"))?;
    let ExportItem::Function(filters) = export.item else { anyhow::bail!("no function") };
    let id = export.id();
    let mut builder = FunctionBuilder::new(&mut module.types, &[ValType::I32; 3], &[ValType::I32]);
    let [context, headers, end] = [(); 3].map(|()| module.locals.add(ValType::I32));
    let mut body = builder.func_body();
    body.local_get(headers).i32_const(MANY_HEADERS).binop(BinaryOp::I32GeU);
    let trap = |pulled: &mut InstrSeqBuilder<'_>| {
        pulled.unreachable();
    };
    body.if_else(None, trap, |_| {});
    body.local_get(context).local_get(headers).local_get(end).call(filters);
    let switched = builder.finish(vec![context, headers, end], &mut module.funcs);
    module.exports.get_mut(id).item = ExportItem::Function(switched);
    Ok(())
}

/// `(context, number of headers, end of stream) -> action`
const CALLBACK: &str = "proxy_on_request_headers";

/// More headers than ordinary requests have, and fewer than Envoy's limit.
const MANY_HEADERS: i32 = 60;
