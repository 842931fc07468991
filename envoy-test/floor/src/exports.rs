//! What Envoy calls.

use std::sync::OnceLock;

use crate::calls::{self, Call};
use crate::host;

static CALLS: OnceLock<Vec<Call>> = OnceLock::new();

/// Which ABI this is.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_abi_version_0_2_1() {}

/// Memory for what the host hands over.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::into_raw(vec![0u8; size].into_boxed_slice()).cast()
}

/// The plugin is configured.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_configure(_root: u32, _size: usize) -> u32 {
    CALLS.get_or_init(|| calls::parse(&host::plugin_configuration()));
    1
}

/// A request has come.
#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(_context: u32, _count: usize, _end: u32) -> u32 {
    if let Some(calls) = CALLS.get() {
        calls::make(calls);
    }
    CONTINUE
}

const CONTINUE: u32 = 0;
