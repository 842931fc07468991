//! Removes what the filter does not use from the linked module (callbacks, the printing of backtraces, names), and orders what
//! is left.
//!
//! The SDK exports every callback of the ABI, and Envoy calls each that it finds: into the VM and back for nothing. If an
//! export is missing, Envoy goes on as it does after the SDK's default answer (proxy-wasm-cpp-host, `src/context.cc`).

mod functions;
mod order;
mod rewrite;

use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use functions::Functions;

/// `trim [--by-size] MODULE TRIMMED`
fn main() -> Result<()> {
    let (options, files): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let ([built, trimmed], by_size) = (files.as_slice(), options == ["--by-size"]) else {
        bail!("usage: trim [--by-size] MODULE TRIMMED");
    };
    ensure!(by_size || options.is_empty(), "unknown option: {}", options.join(" "));
    let module = fs::read(built).with_context(|| built.clone())?;
    let module = trim(&module, USED, by_size).with_context(|| format!("cannot trim {built}"))?;
    fs::write(trimmed, module).with_context(|| trimmed.clone())
}

/// The trimmed module: of the exports only those with these names, of the functions only those that they need.
fn trim(module: &[u8], exports: &[&str], by_size: bool) -> Result<Vec<u8>> {
    let functions = Functions::read(module)?;
    for name in exports {
        ensure!(
            functions.exports.iter().any(|(exported, _)| exported == name),
            "it does not export {name}: see USED in {}",
            file!()
        );
    }
    let emptied: Vec<_> = functions.names.iter().map(|name| prints_backtrace(name)).collect();
    let kept = functions.reached(exports, &emptied)?;
    let order = if by_size { order::by_size(&functions) } else { order::by_use(&functions) };
    rewrite::rewrite(module, &functions, exports, &emptied, &kept, &order)
}

/// Whether a function prints a backtrace or the details of an `anyhow` error. The panic handler and `anyhow` reach them if a
/// backtrace was captured, and std captures none on this target; nothing prints the details. They are emptied: a call would
/// end the VM.
fn prints_backtrace(name: &str) -> bool {
    BACKTRACES.iter().any(|part| name.contains(part))
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

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        CodeSection, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
        FunctionSection, ImportSection, Module, NameMap, NameSection, RefType, TableSection,
        TableType, TypeSection, ValType,
    };
    use wasmparser::Operator;

    const IMPORTED: [&str; 2] = ["unused_import", "used_import"];

    /// A module with two imported functions and these, exported under their names: each drops the result of a call of each
    /// function that it names, and returns its number. The table has the function `in_table`.
    fn module_of(functions: &[(&str, &[&str])]) -> Vec<u8> {
        let all: Vec<&str> =
            IMPORTED.into_iter().chain(functions.iter().map(|(name, _)| *name)).collect();
        let number_of = |name: &str| all.iter().position(|other| *other == name).unwrap() as u32;
        let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
        types.ty().function([], [ValType::I32]);
        for name in IMPORTED {
            imports.import("env", name, EntityType::Function(0));
        }
        let (mut defined, mut code) = (FunctionSection::new(), CodeSection::new());
        let (mut exports, mut named) = (ExportSection::new(), NameMap::new());
        for (name, calls) in functions {
            let number = number_of(name);
            defined.function(0);
            exports.export(name, ExportKind::Func, number);
            named.append(number, name);
            let mut body = Function::new([]);
            for called in *calls {
                body.instructions().call(number_of(called)).drop();
            }
            body.instructions().i32_const(number as i32).end();
            code.function(&body);
        }
        let (mut tables, mut elements) = (TableSection::new(), ElementSection::new());
        tables.table(TableType {
            element_type: RefType::FUNCREF,
            minimum: 1,
            maximum: None,
            table64: false,
            shared: false,
        });
        let in_table = Elements::Functions(vec![number_of("in_table")].into());
        elements.active(None, &wasm_encoder::ConstExpr::i32_const(0), in_table);
        let mut names = NameSection::new();
        names.functions(&named);
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&defined).section(&tables);
        module.section(&exports).section(&elements).section(&code).section(&names);
        module.finish()
    }

    /// What each function of a module returns, behind what it calls, in order; a number of `module_of` stands for its name.
    fn described(module: &[u8], original: &[(&str, &[&str])]) -> Vec<String> {
        let functions = Functions::read(module).unwrap();
        assert!(functions.names.iter().all(|name| name.is_empty()), "names are left");
        let returned = |number: usize| -> String {
            let Some(at) = number.checked_sub(functions.imported) else {
                return IMPORTED[1].to_owned();
            };
            let operators = functions.bodies[at].get_operators_reader().unwrap();
            let number = operators.into_iter().find_map(|operator| match operator.unwrap() {
                Operator::I32Const { value } => Some(value as usize - IMPORTED.len()),
                _ => None,
            });
            number.map_or("emptied".to_owned(), |number| original[number].0.to_owned())
        };
        let describe = |number: usize| {
            let body = &functions.bodies[number - functions.imported];
            let calls = body.get_operators_reader().unwrap().into_iter().filter_map(|operator| {
                match operator.unwrap() {
                    Operator::Call { function_index } => Some(returned(function_index as usize)),
                    _ => None,
                }
            });
            [calls.collect::<Vec<_>>().join(" "), returned(number)].join(" > ")
        };
        (functions.imported..functions.names.len()).map(describe).collect()
    }

    /// What the exports of a module return.
    fn exports_of(module: &[u8]) -> Vec<(&str, Option<usize>)> {
        Functions::read(module).unwrap().exports
    }

    const FUNCTIONS: &[(&str, &[&str])] = &[
        ("unused", &["only_unused_needs_it", "unused_import"]),
        ("only_unused_needs_it", &[]),
        ("b", &["used_import"]),
        ("sa_authn::headers::Pairs::next", &["b"]),
        ("a", &["output_filename: 3std3sys9backtrace15output_filename"]),
        ("in_table", &[]),
        ("output_filename: 3std3sys9backtrace15output_filename", &["only_unused_needs_it"]),
        ("proxy_on_context_create", &["sa_authn::headers::Pairs::next", "a"]),
    ];

    #[test]
    fn functions_that_a_request_passes_come_first_and_what_no_export_needs_is_removed() {
        let module = module_of(FUNCTIONS);
        let trimmed = trim(&module, &["proxy_on_context_create"], false).unwrap();
        let expected = [
            "sa_authn::headers::Pairs::next a > proxy_on_context_create",
            "b > sa_authn::headers::Pairs::next",
            "emptied > a",
            "used_import > b",
            " > in_table",
            " > emptied",
        ];
        assert_eq!(described(&trimmed, FUNCTIONS), expected);
        assert_eq!(exports_of(&trimmed), [("proxy_on_context_create", Some(1))]);
    }

    #[test]
    fn by_size_the_largest_function_comes_first() {
        let module = module_of(FUNCTIONS);
        let trimmed = trim(&module, &["proxy_on_context_create", "in_table"], true).unwrap();
        let described = described(&trimmed, FUNCTIONS);
        assert_eq!(described[0], "sa_authn::headers::Pairs::next a > proxy_on_context_create");
        assert_eq!(described.len(), 6);
        assert_eq!(exports_of(&trimmed).len(), 2);
    }

    #[test]
    fn missing_export_is_an_error() {
        let error = trim(&module_of(FUNCTIONS), &["proxy_on_log"], false).unwrap_err();
        assert!(error.to_string().starts_with("it does not export proxy_on_log: see USED in "));
    }
}
