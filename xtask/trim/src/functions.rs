//! The functions of a module: their names, and which of them need which.

use std::mem;

use anyhow::{Context, Result};
use wasmparser::{
    ElementItems, ExternalKind, FunctionBody, KnownCustom, Name, Operator, OperatorsReader, Parser,
    Payload, TypeRef,
};

/// The functions of a module, by their numbers: imported ones come first.
#[derive(Default)]
pub struct Functions<'a> {
    /// How many are imported.
    pub imported: usize,
    /// Their names, as the linker wrote them; empty if a function has none.
    pub names: Vec<&'a str>,
    /// The code of those that are not imported.
    pub bodies: Vec<FunctionBody<'a>>,
    /// The names of all exports, with their numbers if they are functions.
    pub exports: Vec<(&'a str, Option<usize>)>,
    /// The functions that are needed without a call: those in tables and globals, and the one that starts the module.
    roots: Vec<usize>,
}

// === impl Functions ===

impl<'a> Functions<'a> {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// If the bytes are no module.
    pub fn read(module: &'a [u8]) -> Result<Self> {
        let mut functions = Self::default();
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        functions.imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                    }
                }
                Payload::GlobalSection(globals) => {
                    for global in globals {
                        functions.roots.extend(needed(global?.init_expr.get_operators_reader())?);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        let is_function = export.kind == ExternalKind::Func;
                        let number = is_function.then_some(export.index as usize);
                        functions.exports.push((export.name, number));
                    }
                }
                Payload::StartSection { func, .. } => functions.roots.push(func as usize),
                Payload::ElementSection(elements) => {
                    for element in elements {
                        match element?.items {
                            ElementItems::Functions(numbers) => {
                                for number in numbers {
                                    functions.roots.push(number? as usize);
                                }
                            }
                            ElementItems::Expressions(_, expressions) => {
                                for expression in expressions {
                                    functions
                                        .roots
                                        .extend(needed(expression?.get_operators_reader())?);
                                }
                            }
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => functions.bodies.push(body),
                Payload::CustomSection(section) => {
                    let KnownCustom::Name(subsections) = section.as_known() else { continue };
                    for subsection in subsections {
                        if let Name::Function(named) = subsection? {
                            names.extend(named.into_iter().collect::<Result<Vec<_>, _>>()?);
                        }
                    }
                }
                _ => {}
            }
        }
        functions.names = vec![""; functions.imported + functions.bodies.len()];
        for named in names {
            let name = functions.names.get_mut(named.index as usize);
            *name.context("a name for a missing function")? = named.name;
        }
        Ok(functions)
    }

    /// For each function, whether these exports or the module's tables need it. Emptied functions need no other.
    ///
    /// # Errors
    ///
    /// If the code cannot be read.
    pub fn reached(&self, exports: &[&str], emptied: &[bool]) -> Result<Vec<bool>> {
        let exported = self.exports.iter().filter(|(name, _)| exports.contains(name));
        let mut waiting: Vec<_> = exported.filter_map(|(_, number)| *number).collect();
        waiting.extend(&self.roots);
        let mut reached = vec![false; self.names.len()];
        while let Some(number) = waiting.pop() {
            let reached = reached.get_mut(number).context("a use of a missing function")?;
            if mem::replace(reached, true) || emptied[number] {
                continue;
            }
            if let Some(at) = number.checked_sub(self.imported) {
                waiting.extend(needed(self.bodies[at].get_operators_reader()?)?);
            }
        }
        Ok(reached)
    }
}

// === private ===

/// The functions that code calls or takes the address of.
fn needed(operators: OperatorsReader<'_>) -> Result<Vec<usize>> {
    let mut needed = Vec::new();
    for operator in operators {
        if let Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } = operator?
        {
            needed.push(function_index as usize);
        }
    }
    Ok(needed)
}
