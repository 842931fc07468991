//! Writes a module with fewer functions, in another order.

use anyhow::{Error as Failed, Result, anyhow};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, ExportSection, Function, FunctionSection, ImportSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, Export, FunctionSectionReader, ImportSectionReader,
    Parser, TypeRef,
};

use crate::functions::Functions;

/// The module with these exports alone and without names. The functions that are kept have the order of `order`, which has
/// the numbers of those that are not imported.
///
/// # Errors
///
/// If something that is left needs a function that is not kept.
pub fn rewrite(
    module: &[u8],
    functions: &Functions<'_>,
    exports: &[&str],
    emptied: &[bool],
    kept: &[bool],
    order: &[usize],
) -> Result<Vec<u8>> {
    let imports = 0..functions.imported;
    let order: Vec<_> = order.iter().copied().filter(|number| kept[*number]).collect();
    let mut numbers = vec![None; functions.names.len()];
    for (new, old) in (0..).zip(imports.filter(|number| kept[*number]).chain(order.clone())) {
        numbers[old] = Some(new);
    }
    let mut written = Module::new();
    Rewrite { functions, exports, emptied, order, numbers }
        .parse_core_module(&mut written, Parser::new(0), module)
        .map_err(|error| anyhow!("it cannot be written: {error}"))?;
    Ok(written.finish())
}

struct Rewrite<'a> {
    functions: &'a Functions<'a>,
    exports: &'a [&'a str],
    emptied: &'a [bool],
    /// The old numbers of the functions that are kept and not imported, in their new order.
    order: Vec<usize>,
    /// The new numbers of all that are kept.
    numbers: Vec<Option<u32>>,
}

impl Reencode for Rewrite<'_> {
    type Error = Failed;

    fn function_index(&mut self, old: u32) -> Result<u32, Error<Failed>> {
        let new = self.numbers.get(old as usize).copied().flatten();
        new.ok_or_else(|| Error::UserError(anyhow!("function {old} is needed and was removed")))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error<Failed>> {
        let mut functions = self.numbers.clone().into_iter();
        for import in section.into_imports() {
            let import = import?;
            let is_function = matches!(import.ty, TypeRef::Func(_));
            if !is_function || functions.next().flatten().is_some() {
                self.parse_import(imports, import)?;
            }
        }
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: Export<'_>,
    ) -> Result<(), Error<Failed>> {
        if self.exports.contains(&export.name) {
            utils::parse_export(self, exports, export)?;
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        written: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Failed>> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for number in &self.order {
            written.function(types[number - self.functions.imported]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        written: &mut CodeSection,
        _: CodeSectionReader<'_>,
    ) -> Result<(), Error<Failed>> {
        for number in self.order.clone() {
            if self.emptied[number] {
                let mut empty = Function::new([]);
                empty.instructions().unreachable().end();
                written.function(&empty);
                continue;
            }
            let body = self.functions.bodies[number - self.functions.imported].clone();
            self.parse_function_body(written, body)?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Failed>> {
        Ok(())
    }
}
