//! What Envoy calls in the module (proxy-wasm ABI 0.2.1), each function one line into the shell.
//!
//! Envoy calls whatever callback it finds, into the VM and back, so what the filter does nothing in is not
//! here. The request's body and trailers are: while a request waits, they must be told to wait too.
#![allow(
    unsafe_code,
    reason = "an exported name could be taken twice; the linker would refuse that"
)]

use super::host::handed;
use super::root::Root;
use super::{contexts, http};

unsafe extern "C" {
    /// What has to run once before all else; the linker makes it.
    fn __wasm_call_ctors();
}

/// Called once. Without it the linker would have each of the others begin and end the program.
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    // SAFETY: nothing else calls it.
    unsafe { __wasm_call_ctors() }
}

/// Which ABI this is.
#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host hands over; [`super::host`] takes it from there.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    handed::allocate(size)
}

/// A plugin's root context (`parent` is 0), or a request of one.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(id: u32, parent: u32) {
    contexts::create(id, parent);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(root: u32, _size: usize) -> u32 {
    u32::from(contexts::with_root(root, Root::configure).unwrap_or(false))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(root: u32) {
    contexts::with_root(root, Root::tick);
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    root: u32,
    call: u32,
    headers: usize,
    body: usize,
    _trailers: usize,
) {
    contexts::with_root(root, |root| root.answered(call, headers, body));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(id: u32, _count: usize, end: u32) -> u32 {
    http::judge(id, end != 0) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(id: u32, _size: usize, _end: u32) -> u32 {
    http::follow(id) as u32
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(id: u32, _count: usize) -> u32 {
    http::follow_with_trailers(id) as u32
}

/// A context is over. The module does without the callback that says so before.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(id: u32) {
    contexts::delete(id);
}
