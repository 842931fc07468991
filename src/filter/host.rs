//! Calls to the host that the SDK cannot make; all others go through `proxy_wasm::hostcalls`.
//!
//! - `proxy_get_header_map_pairs`: the SDK copies each name and value, and panics on a name that is not UTF-8.
//! - `proxy_replace_header_map_value`, `proxy_remove_header_map_value`: the SDK panics if the host refuses an edit, and
//!   takes no name that is not UTF-8. The request must be denied then, and the VM must go on.
//! - `proxy_get_current_time_nanoseconds`: the SDK panics if the host has no clock, and makes a `SystemTime` of the number.
//! - `proxy_set_property`: Envoy answers `BadArgument` if another filter has set the same filter state for good; the SDK
//!   panics.
//! - `proxy_send_local_response`: the SDK cannot set `%RESPONSE_CODE_DETAILS%`, and panics if the host refuses.
#![allow(unsafe_code, reason = "the host knows addresses and nothing of Rust")]

use crate::headers::to_map;
use crate::time::UnixTime;
use crate::verdict::Answer;
use proxy_wasm::hostcalls;
use std::ptr;

/// Any status but `Ok`, as the host gave it (proxy-wasm ABI 0.2.1, `proxy_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed(pub(super) u32);

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_current_time_nanoseconds(nanoseconds: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// The host's clock, if it has one.
pub(super) fn current_time() -> Result<UnixTime, Failed> {
    let mut nanoseconds = 0;
    // SAFETY: the host writes eight bytes.
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
    Ok(UnixTime::from_nanos(nanoseconds))
}

/// All headers of the request, in the form that [`crate::headers`] reads.
pub(super) fn request_headers() -> Result<Vec<u8>, Failed> {
    pairs(HTTP_REQUEST_HEADERS)
}

/// All trailers of the request, in the same form.
pub(super) fn request_trailers() -> Result<Vec<u8>, Failed> {
    pairs(HTTP_REQUEST_TRAILERS)
}

/// Gives a request header one value, whatever it had.
pub(super) fn set_request_header(name: &[u8], value: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointers and lengths are those of live slices.
    check(unsafe {
        let (key, key_size) = (name.as_ptr(), name.len());
        let (value, value_size) = (value.as_ptr(), value.len());
        proxy_replace_header_map_value(HTTP_REQUEST_HEADERS, key, key_size, value, value_size)
    })
}

/// Removes a request header with all its values.
pub(super) fn remove_request_header(name: &[u8]) -> Result<(), Failed> {
    remove(HTTP_REQUEST_HEADERS, name)
}

/// Removes a request trailer with all its values.
pub(super) fn remove_request_trailer(name: &[u8]) -> Result<(), Failed> {
    remove(HTTP_REQUEST_TRAILERS, name)
}

/// Gives the stream a filter state, which Envoy calls `wasm.<name>`.
pub(super) fn set_property(name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointers and lengths are those of live slices.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Answers the request here.
pub(super) fn send_local_response(answer: &Answer) -> Result<(), Failed> {
    let headers = to_map(answer.headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
    let (details, body) = (&answer.details, &answer.body);
    // SAFETY: pointers and lengths are those of live slices.
    check(unsafe {
        proxy_send_local_response(
            u32::from(answer.status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            i32::from(answer.grpc_status),
        )
    })
}

/// Envoy's `verify_signature`; fits [`crate::authn::signature::HostVerify`].
pub(super) fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
    let answer = hostcalls::call_foreign_function("verify_signature", Some(arguments)).ok()?;
    Some(answer.unwrap_or_default())
}

fn pairs(map: u32) -> Result<Vec<u8>, Failed> {
    let (mut data, mut size) = (ptr::null_mut::<u8>(), 0usize);
    // SAFETY: the host writes a pointer and a length.
    check(unsafe { proxy_get_header_map_pairs(map, &raw mut data, &raw mut size) })?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the SDK's `proxy_on_memory_allocate` made this buffer with exactly this size, and the host, which gives it
    // up, has filled it.
    Ok(unsafe { Vec::from_raw_parts(data, size, size) })
}

fn remove(map: u32, name: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointer and length are those of a live slice.
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

fn check(status: u32) -> Result<(), Failed> {
    if status == OK { Ok(()) } else { Err(Failed(status)) }
}

const OK: u32 = 0;
const HTTP_REQUEST_HEADERS: u32 = 0;
const HTTP_REQUEST_TRAILERS: u32 = 1;
