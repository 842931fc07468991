//! Orders the functions of the module: those that a request with a known token passes come first, in the order in which it
//! passes them, and the rest by name.
//!
//! V8 lays out the code as the module orders its functions, in 2.5 MB. With walrus' order, by size, such a request touches
//! 65 pages of code, and it finds few of them in the CPU's caches, because Envoy's own code for the request evicts them. With
//! this order it touches 41. For the comparison, write a module in walrus' order with `--by-size`:
//!
//! ```console
//! $ cargo run --package trim -- --by-size target/wasm32-wasip1/release/sa_authn.wasm target/by-size.wasm
//! $ cargo xtask bench --against target/by-size.wasm --only warm
//! ```

use std::convert::Infallible;

use anyhow::{Context, Result, anyhow};
use rustc_demangle::demangle;
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, KnownCustom, Name,
    Parser, Payload, TypeRef,
};

/// Orders the functions by their names and removes the names. Functions without a name keep their order.
pub fn by_use(module: &[u8]) -> Result<Vec<u8>> {
    let (imported, names) = read_names(module)?;
    let places: Vec<_> = names.iter().map(|name| place(name)).collect();
    let mut order: Vec<_> = (0..names.len()).collect();
    order.sort_by(|a, b| (places.get(*a), names.get(*a)).cmp(&(places.get(*b), names.get(*b))));
    write(module, imported, order)
}

/// Where a function comes: its place in [`PASSED`], or behind all of them.
fn place(name: &str) -> usize {
    PASSED.iter().position(|passed| name.contains(passed)).unwrap_or(PASSED.len())
}

/// How many functions are imported, and the names of the others.
fn read_names(module: &[u8]) -> Result<(usize, Vec<String>)> {
    let (mut imported, mut names) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    imported += usize::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::FunctionSection(functions) => {
                names.resize(usize::try_from(functions.count())?, String::new());
            }
            Payload::CustomSection(section) => {
                let KnownCustom::Name(subsections) = section.as_known() else { continue };
                for subsection in subsections {
                    let Name::Function(functions) = subsection? else { continue };
                    for function in functions {
                        let function = function?;
                        let at = usize::try_from(function.index)?.checked_sub(imported);
                        if let Some(name) = at.and_then(|at| names.get_mut(at)) {
                            *name = format!("{:#}", demangle(function.name));
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Ok((imported, names))
}

/// Writes the module with its functions in this order, given as their numbers, and without names.
fn write(module: &[u8], imported: usize, order: Vec<usize>) -> Result<Vec<u8>> {
    let mut number = vec![0; order.len()];
    for (at, function) in order.iter().enumerate() {
        *number.get_mut(*function).context("a number twice")? = at;
    }
    let mut ordered = Module::new();
    Reorder { imported, order, number }
        .parse_core_module(&mut ordered, Parser::new(0), module)
        .map_err(|error| anyhow!("the module cannot be written: {error}"))?;
    Ok(ordered.finish())
}

struct Reorder {
    imported: usize,
    /// The old number of each function; imported ones are not counted.
    order: Vec<usize>,
    /// The new number of each.
    number: Vec<usize>,
}

impl Reencode for Reorder {
    type Error = Infallible;

    fn function_index(&mut self, old: u32) -> Result<u32, Error<Infallible>> {
        let imported = self.imported;
        let new = (old as usize).checked_sub(imported).and_then(|old| self.number.get(old));
        Ok(new.map_or(old, |new| (imported + new) as u32))
    }

    fn parse_function_section(
        &mut self,
        ordered: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types = section.into_iter().collect::<Result<Vec<u32>, _>>()?;
        for function in &self.order {
            ordered.function(types[*function]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        ordered: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies = section.into_iter().collect::<Result<Vec<FunctionBody<'_>>, _>>()?;
        for function in self.order.clone() {
            self.parse_function_body(ordered, bodies[function].clone())?;
        }
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        Ok(())
    }
}

/// Parts of the names of the functions that a request with a known token passes, in order. What a compiler inlines, or names
/// otherwise, has no place here, which costs time and nothing else.
const PASSED: &[&str] = &[
    "proxy_on_context_create",
    "RootContext>::get_type",
    "Dispatcher::create_http_context",
    "RootContext>::create_http_context",
    "alloc::boxed::box_new_uninit",
    "__rust_alloc",
    "malloc",
    "proxy_on_request_headers",
    "HttpContext>::on_http_request_headers",
    "filter::host::pairs",
    "proxy_on_memory_allocate",
    "filter::effects::clock",
    "hostcalls::get_current_time",
    "sub_timespec",
    "__multi3",
    "Performance::run_core",
    "core::Core::handle",
    "Running::advance",
    "headers::Pairs::next",
    "HeaderIndex::interest",
    "memcmp",
    "bearer::has_comma",
    "memchr::memchr",
    "TokenSource::token_in",
    "eq_ignore_ascii_case",
    "BearerToken::find",
    "Evaluation<T>::judge",
    "NormalPath::parse",
    "RuleIndex::find",
    "index::Node::visit",
    "HashMap<K,V,S,A>::get",
    "BuildHasher::hash_one",
    "hash::impls::<impl core::hash::Hash for [T]>::hash",
    "__ashlti3",
    "SmallVec<A>::push",
    "Policy::matching_rules",
    "Rule::covers_method",
    "Rule::covers_arrival",
    "TokenCache<V,O>::get",
    "CacheShard<Key,Val,We,B,L,Plh>::search_resident",
    "token_cache::are_same",
    "MatchedRules::is_shadowed",
    "Accounts::contains",
    "Names::contain",
    "HeaderEdits::new",
    "RawVecInner<A>::with_capacity_in",
    "drop_in_place<core::result::Result<sa_authn::authz::policy::matched_rules",
    "RawVecInner<A>::deallocate",
    "Running::finish_request",
    "PausedRequests::forget",
    "VecDeque<T,A>::reserve",
    "VecDeque<T,A>::push_back",
    "Performance::answer",
    "drop_in_place<alloc::boxed::Box<sa_authn::exchange::Finished",
    "drop_in_place<sa_authn::verdict::Verdict",
    "drop_in_place<sa_authn::authz::policy::permit::HeaderEdits",
    "drop_in_place<alloc::vec::Vec<alloc::vec::Vec<u8>>>",
    "drop_in_place<alloc::vec::Vec<alloc::rc::Rc<str>>>",
    "free",
    "proxy_on_delete",
    "drop_in_place<sa_authn::filter::request::Request",
];

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        ExportKind, ExportSection, Function, NameMap, NameSection, TypeSection, ValType,
    };
    use wasmparser::Operator;

    /// A module of functions that return their numbers, exported under their names.
    fn module_of(names: &[&str]) -> Vec<u8> {
        let (mut types, mut functions, mut code) =
            (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        let (mut exports, mut named) = (ExportSection::new(), NameMap::new());
        types.ty().function([], [ValType::I32]);
        for (number, name) in (0..).zip(names) {
            functions.function(0);
            exports.export(name, ExportKind::Func, number);
            named.append(number, name);
            let mut body = Function::new([]);
            body.instructions().i32_const(number as i32).end();
            code.function(&body);
        }
        let mut names = NameSection::new();
        names.functions(&named);
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&exports).section(&code).section(&names);
        module.finish()
    }

    /// What each export returns, in the order of the module's functions.
    fn exports_in_order(module: &[u8]) -> Vec<(String, i32)> {
        let (mut exports, mut returned) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::ExportSection(section) => {
                    exports.extend(section.into_iter().map(|export| {
                        let export = export.unwrap();
                        (export.index, export.name.to_owned())
                    }))
                }
                Payload::CodeSectionEntry(body) => {
                    match body.get_operators_reader().unwrap().read().unwrap() {
                        Operator::I32Const { value } => returned.push(value),
                        other => panic!("{other:?}"),
                    }
                }
                Payload::CustomSection(section) => panic!("left over: {}", section.name()),
                _ => {}
            }
        }
        exports.sort();
        exports.into_iter().map(|(_, name)| name).zip(returned).collect()
    }

    #[test]
    fn functions_that_a_request_passes_come_first_and_exports_still_name_them() {
        let names = ["b", "sa_authn::headers::Pairs::next", "a", "proxy_on_context_create"];
        let ordered = by_use(&module_of(&names)).unwrap();
        let expected = [("proxy_on_context_create", 3), (names[1], 1), ("a", 2), ("b", 0)];
        assert_eq!(
            exports_in_order(&ordered),
            expected.map(|(name, returned)| (name.to_owned(), returned))
        );
    }
}
