//! A key and bytes come in; a plugin that writes them into Envoy's shared data, and does nothing else, goes out.

use std::path::{Path, PathBuf};

use anyhow::Result;
use walrus::ir::Value;
use walrus::{ConstExpr, DataKind, FunctionBuilder, Module, ValType};

/// Writes the module into a folder; it plants its entry as soon as it is configured.
pub fn write(folder: &Path, key: &str, entry: &[u8]) -> Result<PathBuf> {
    let mut module = Module::default();
    let i32s = [ValType::I32; 5];
    let set = module.types.add(&i32s, &[ValType::I32]);
    let (set, _) = module.add_import_func("env", "proxy_set_shared_data", set);
    let memory = module.memories.add_local(false, false, 2, None, None);
    module.exports.add("memory", memory);
    for (offset, bytes) in [(KEY_AT, key.as_bytes()), (ENTRY_AT, entry)] {
        let offset = ConstExpr::Value(Value::I32(offset));
        module.data.add(DataKind::Active { memory, offset }, bytes.to_vec());
    }
    for name in ["proxy_abi_version_0_2_1", "_initialize"] {
        let mut nothing = FunctionBuilder::new(&mut module.types, &[], &[]);
        nothing.func_body();
        let nothing = nothing.finish(vec![], &mut module.funcs);
        module.exports.add(name, nothing);
    }
    allocate(&mut module);
    let mut configure =
        FunctionBuilder::new(&mut module.types, &[ValType::I32; 2], &[ValType::I32]);
    let arguments = [(); 2].map(|()| module.locals.add(ValType::I32)).to_vec();
    let mut body = configure.func_body();
    for argument in [KEY_AT, key.len() as i32, ENTRY_AT, entry.len() as i32, 0] {
        body.i32_const(argument);
    }
    // Anything but 0 is an error, and has Envoy refuse the plugin: then the test would show nothing.
    body.call(set).unop(walrus::ir::UnaryOp::I32Eqz);
    let configure = configure.finish(arguments, &mut module.funcs);
    module.exports.add("proxy_on_configure", configure);
    let path = folder.join("intruder.wasm");
    module.emit_wasm_file(&path)?;
    Ok(path)
}

/// What Envoy hands over goes to one place: it is never read.
fn allocate(module: &mut Module) {
    let mut allocate = FunctionBuilder::new(&mut module.types, &[ValType::I32], &[ValType::I32]);
    let size = module.locals.add(ValType::I32);
    allocate.func_body().i32_const(SCRATCH_AT);
    let allocate = allocate.finish(vec![size], &mut module.funcs);
    module.exports.add("proxy_on_memory_allocate", allocate);
}

const KEY_AT: i32 = 1024;
const ENTRY_AT: i32 = 4096;
const SCRATCH_AT: i32 = 65_536;
