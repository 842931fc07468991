//! The host functions; a failed call traps, so that a measurement never includes failed calls.

use std::ptr;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_header_map_pairs(map: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
}

// SAFETY, for all of these: pointers and lengths are those of live slices, and the host writes one value
// where an out pointer says.

pub(crate) fn log_trace(line: &str) {
    ok(unsafe { proxy_log(TRACE, line.as_ptr(), line.len()) });
}

pub(crate) fn now() -> u64 {
    let mut time = 0;
    ok(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) });
    time
}

pub(crate) fn plugin_configuration() -> Vec<u8> {
    taken(|data, size| unsafe {
        proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, data, size)
    })
}

pub(crate) fn request_headers() -> Vec<u8> {
    taken(|data, size| unsafe { proxy_get_header_map_pairs(REQUEST_HEADERS, data, size) })
}

pub(crate) fn set_request_headers(map: &[u8]) {
    ok(unsafe { proxy_set_header_map_pairs(REQUEST_HEADERS, map.as_ptr(), map.len()) });
}

pub(crate) fn get(name: &str) -> Vec<u8> {
    taken(|data, size| unsafe {
        proxy_get_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len(), data, size)
    })
}

pub(crate) fn set(name: &str, value: &str) {
    let (key, key_size, value, value_size) =
        (name.as_ptr(), name.len(), value.as_ptr(), value.len());
    ok(unsafe {
        proxy_replace_header_map_value(REQUEST_HEADERS, key, key_size, value, value_size)
    });
}

pub(crate) fn add(name: &str, value: &str) {
    let (key, key_size, value, value_size) =
        (name.as_ptr(), name.len(), value.as_ptr(), value.len());
    ok(unsafe { proxy_add_header_map_value(REQUEST_HEADERS, key, key_size, value, value_size) });
}

pub(crate) fn remove(name: &str) {
    ok(unsafe { proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len()) });
}

pub(crate) fn property(path: &str) -> Vec<u8> {
    taken(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(crate) fn set_property(path: &str, value: &str) {
    ok(unsafe { proxy_set_property(path.as_ptr(), path.len(), value.as_ptr(), value.len()) });
}

/// Has Envoy verify a signature, which must be genuine; `arguments` is its protobuf message.
pub(crate) fn verify_signature(arguments: &[u8]) {
    let (name, name_size) = (VERIFY_SIGNATURE.as_ptr(), VERIFY_SIGNATURE.len());
    let (argument, argument_size) = (arguments.as_ptr(), arguments.len());
    let answer = taken(|data, size| unsafe {
        proxy_call_foreign_function(name, name_size, argument, argument_size, data, size)
    });
    assert_eq!(answer, GENUINE, "the signature is not genuine");
}

pub(crate) fn define_counter(name: &str) -> u32 {
    let mut id = 0;
    ok(unsafe { proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut id) });
    id
}

pub(crate) fn increment(counter: u32) {
    ok(unsafe { proxy_increment_metric(counter, 1) });
}

/// Takes over what the host wrote into memory that it had from `proxy_on_memory_allocate`.
fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Vec<u8> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    ok(call(&raw mut data, &raw mut size));
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: allocated there with exactly this size.
    unsafe { Vec::from_raw_parts(data, size, size) }
}

fn ok(status: u32) {
    assert_eq!(status, 0, "a host call failed");
}

const VERIFY_SIGNATURE: &str = "verify_signature";
/// Field 1, true.
const GENUINE: [u8; 2] = [0x08, 0x01];
const TRACE: u32 = 0;
const COUNTER: u32 = 0;
const REQUEST_HEADERS: u32 = 0;
const PLUGIN_CONFIGURATION: u32 = 7;
