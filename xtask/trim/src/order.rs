//! Orders the functions of the module: those that a request with a known token passes come first, in the order in which it
//! passes them, and the rest by name.
//!
//! V8 lays out the code as the module orders its functions, in 2.5 MB. Ordered by size, such a request touches
//! 65 pages of code, and it finds few of them in the CPU's caches, because Envoy's own code for the request evicts them. With
//! this order it touches 41. For the comparison, write a module ordered by size with `--by-size`:
//!
//! ```console
//! $ cargo run --package trim -- --by-size target/wasm32-wasip1/release/sa_authn.wasm target/by-size.wasm
//! $ cargo xtask bench --against target/by-size.wasm --only warm
//! ```

use std::cmp::Reverse;

use rustc_demangle::demangle;

use crate::functions::Functions;

/// The numbers of the functions that are not imported, ordered by their names. Functions without a name keep their order.
pub fn by_use(functions: &Functions<'_>) -> Vec<usize> {
    let mut order: Vec<_> = (functions.imported..functions.names.len()).collect();
    order.sort_by_cached_key(|number| {
        let name = format!("{:#}", demangle(functions.names[*number]));
        (place(&name), name)
    });
    order
}

/// The same, the largest first.
pub fn by_size(functions: &Functions<'_>) -> Vec<usize> {
    let mut order: Vec<_> = (functions.imported..functions.names.len()).collect();
    order
        .sort_by_key(|number| Reverse(functions.bodies[number - functions.imported].range().len()));
    order
}

/// Where a function comes: its place in [`PASSED`], or behind all of them.
fn place(name: &str) -> usize {
    PASSED.iter().position(|passed| name.contains(passed)).unwrap_or(PASSED.len())
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
