//! Wraps the shipped module with a switch that makes it trap, only for tests.
//!
//! The switch is outside of the shipped bytes: a callback that traps
//! if a request has very many headers, and otherwise calls the filter's callback.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use envoy_test::Request;
use envoy_test::envoy::default_module;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, ExportKind, ExportSection, Function, FunctionSection, Module,
};
use wasmparser::{CodeSectionReader, Export, FunctionSectionReader, Parser, Payload, TypeRef};

/// Writes that module into a folder.
pub fn write(folder: &Path) -> Result<PathBuf> {
    let shipped = default_module();
    let module = fs::read(&shipped)
        .with_context(|| format!("{}: `cargo xtask wasm` builds it", shipped.display()))?;
    let mut switched = Module::new();
    Switch::before_the_callback_of(&module)?
        .parse_core_module(&mut switched, Parser::new(0), &module)
        .map_err(|error| anyhow!("{error}"))?;
    let path = folder.join("crash_switch.wasm");
    fs::write(&path, switched.finish())?;
    Ok(path)
}

/// The same request with the headers that make the module trap.
pub fn pull(request: Request) -> Request {
    (0..MANY_HEADERS).fold(request, |request, at| request.header(&format!("x-{at}"), "y"))
}

/// Adds a function, and exports it in place of the callback.
struct Switch {
    /// The number of the filter's callback.
    callback: u32,
    /// The number of its type.
    of_type: u32,
    /// The number of the added function.
    added: u32,
}

// === impl Switch ===

impl Switch {
    fn before_the_callback_of(module: &[u8]) -> Result<Self> {
        let (mut imported, mut types, mut callback) = (0, Vec::new(), None);
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::FunctionSection(section) => {
                    types = section.into_iter().collect::<Result<_, _>>()?;
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        callback = callback.or((export.name == CALLBACK).then_some(export.index));
                    }
                }
                _ => {}
            }
        }
        let callback = callback.with_context(|| format!("no {CALLBACK}"))?;
        let of_type = types.get(callback as usize - imported).context("an imported callback")?;
        Ok(Self { callback, of_type: *of_type, added: (imported + types.len()) as u32 })
    }
}

impl Reencode for Switch {
    type Error = Infallible;

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.of_type);
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: Export<'_>,
    ) -> Result<(), Error<Infallible>> {
        if export.name == CALLBACK {
            exports.export(CALLBACK, ExportKind::Func, self.added);
            return Ok(());
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        utils::parse_code_section(self, code, section)?;
        let [context, headers, end] = [0, 1, 2];
        let mut added = Function::new([]);
        let mut body = added.instructions();
        body.local_get(headers).i32_const(MANY_HEADERS).i32_ge_u();
        body.if_(BlockType::Empty).unreachable().end();
        body.local_get(context).local_get(headers).local_get(end).call(self.callback).end();
        code.function(&added);
        Ok(())
    }
}

/// `(context, number of headers, end of stream) -> action`
const CALLBACK: &str = "proxy_on_request_headers";

/// More headers than ordinary requests have, and fewer than Envoy's limit.
const MANY_HEADERS: i32 = 60;
