//! The host's functions that we need, each as a `Result`: the only file that calls the host.
//!
//! The SDK's wrappers panic on statuses that they do not expect, and a panic takes down every request of
//! the VM. So the functions themselves are imported, in `imports`.
#![allow(unsafe_code)]

pub(super) mod handed;
mod imports;

use crate::headers::to_map;
use crate::printable::printable;
use handed::Handed;
use imports::{
    proxy_call_foreign_function, proxy_continue_stream, proxy_define_metric,
    proxy_get_buffer_bytes, proxy_get_current_time_nanoseconds, proxy_get_header_map_pairs,
    proxy_get_header_map_value, proxy_get_property, proxy_http_call, proxy_increment_metric,
    proxy_log, proxy_record_metric, proxy_remove_header_map_value, proxy_replace_header_map_value,
    proxy_send_local_response, proxy_set_effective_context, proxy_set_property,
    proxy_set_tick_period_milliseconds,
};
use std::time::Duration;

/// Anything but Ok, as the host gave it (proxy-wasm ABI 0.2.1, `proxy_status_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed(pub(super) u32);

/// `proxy_log_level_t`.
#[derive(Clone, Copy)]
pub(super) enum Level {
    Info = 2,
    Warn = 3,
    Error = 4,
}

/// `proxy_metric_type_t`.
#[derive(Clone, Copy)]
pub(super) enum Metric {
    Counter = 0,
    Gauge = 1,
}

/// Writes a line to Envoy's log, in printable ASCII: parts of it may come from callers and servers. Errors are ignored;
/// there is nowhere to report them.
pub(super) fn log(level: Level, line: &str) {
    let line = printable(line);
    // SAFETY: pointer and length are those of a live str.
    let _ = unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
}

/// Nanoseconds since 1970.
pub(super) fn now_nanos() -> Result<u64, Failed> {
    let mut time = 0;
    // SAFETY: the host writes one u64 where the pointer says.
    check(unsafe { proxy_get_current_time_nanoseconds(&raw mut time) })?;
    Ok(time)
}

/// Asks for a tick of the root context every `period`; works from any of its contexts.
pub(super) fn set_tick(period: Duration) -> Result<(), Failed> {
    let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: passes a number.
    check(unsafe { proxy_set_tick_period_milliseconds(millis) })
}

/// Makes the calls that follow speak of this context. Fails for a request that is gone.
pub(super) fn set_effective_context(id: u32) -> Result<(), Failed> {
    // SAFETY: passes a number.
    check(unsafe { proxy_set_effective_context(id) })
}

/// Lets the request of the effective context go on.
pub(super) fn resume_request() -> Result<(), Failed> {
    // SAFETY: passes a number.
    check(unsafe { proxy_continue_stream(HTTP_REQUEST_STREAM) })
}

/// The plugin's configuration.
pub(super) fn plugin_configuration() -> Result<Vec<u8>, Failed> {
    buffer(PLUGIN_CONFIGURATION, usize::MAX)
}

/// The first `max` bytes of the body of the callout's answer.
pub(super) fn callout_body(max: usize) -> Result<Vec<u8>, Failed> {
    buffer(HTTP_CALL_RESPONSE_BODY, max)
}

/// A header of the callout's answer.
pub(super) fn callout_header(name: &str) -> Result<Vec<u8>, Failed> {
    taken(|data, size| {
        // SAFETY: `name` is live; the host writes a pointer and a length.
        unsafe {
            let (key, key_size) = (name.as_ptr(), name.len());
            proxy_get_header_map_value(HTTP_CALL_RESPONSE_HEADERS, key, key_size, data, size)
        }
    })
}

/// All headers of the request, in the form that [`crate::headers`] reads.
pub(super) fn request_headers() -> Result<Handed, Failed> {
    pairs(HTTP_REQUEST_HEADERS)
}

/// All trailers of the request, in the same form.
pub(super) fn request_trailers() -> Result<Handed, Failed> {
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

/// Answers the request here. `headers` in the form of [`crate::headers::to_map`].
pub(super) fn send_local_response(
    status: u16,
    grpc_status: u8,
    details: &str,
    headers: &[u8],
    body: &str,
) -> Result<(), Failed> {
    // SAFETY: pointers and lengths are those of live slices.
    check(unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            i32::from(grpc_status),
        )
    })
}

/// An attribute of Envoy's; its path's parts have NULs between them.
pub(super) fn property(path: &[&str]) -> Result<Vec<u8>, Failed> {
    let path = path.join("\0");
    // SAFETY: pointer and length are those of a live str; the host writes a pointer and a length.
    taken(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

/// The number of one of Envoy's stats, `wasmcustom.<name>`; the same for all VMs.
pub(super) fn define_metric(kind: Metric, name: &str) -> Result<u32, Failed> {
    let mut id = 0;
    // SAFETY: pointer and length are those of a live str; the host writes a number.
    check(unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) })?;
    Ok(id)
}

/// Adds to a counter, or changes a gauge.
pub(super) fn increment_metric(id: u32, offset: i64) -> Result<(), Failed> {
    // SAFETY: passes numbers.
    check(unsafe { proxy_increment_metric(id, offset) })
}

/// Sets a gauge.
pub(super) fn record_metric(id: u32, value: u64) -> Result<(), Failed> {
    // SAFETY: passes numbers.
    check(unsafe { proxy_record_metric(id, value) })
}

/// Gives the stream a filter state, which Envoy calls `wasm.<name>`.
pub(super) fn set_property(name: &str, value: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointers and lengths are those of live slices.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Envoy's `verify_signature`; fits [`crate::authn::signature::HostVerify`].
pub(super) fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
    let name = b"verify_signature";
    let answer = taken(|data, size| {
        // SAFETY: pointers and lengths are those of live slices; the host writes a pointer and a length.
        unsafe {
            let (argument, argument_size) = (arguments.as_ptr(), arguments.len());
            proxy_call_foreign_function(
                name.as_ptr(),
                name.len(),
                argument,
                argument_size,
                data,
                size,
            )
        }
    });
    answer.ok()
}

/// Sends a request to a cluster; the answer comes to the root context under the number that is returned.
pub(super) fn dispatch(
    cluster: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
    timeout: Duration,
) -> Result<u32, Failed> {
    let headers = to_map(headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())));
    let (body, trailers) = (body.unwrap_or_default(), to_map([]));
    // With 0 the host would wait for ever.
    let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1);
    let mut call = 0;
    // SAFETY: pointers and lengths are those of live slices; the host writes a number.
    check(unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            millis,
            &raw mut call,
        )
    })?;
    Ok(call)
}

fn pairs(map: u32) -> Result<Handed, Failed> {
    // SAFETY: the host writes a pointer and a length.
    handed::borrowed(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
        .map_err(Failed)
}

fn remove(map: u32, name: &[u8]) -> Result<(), Failed> {
    // SAFETY: pointer and length are those of a live slice.
    check(unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) })
}

fn buffer(buffer: u32, max: usize) -> Result<Vec<u8>, Failed> {
    // SAFETY: the host writes a pointer and a length.
    taken(|data, size| unsafe { proxy_get_buffer_bytes(buffer, 0, max, data, size) })
}

fn taken(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Result<Vec<u8>, Failed> {
    handed::taken(call).map_err(Failed)
}

fn check(status: u32) -> Result<(), Failed> {
    if status == OK { Ok(()) } else { Err(Failed(status)) }
}

/// `BadArgument`: to a callout, Envoy does not know the cluster.
pub(super) const BAD_ARGUMENT: Failed = Failed(2);

const OK: u32 = 0;
const HTTP_REQUEST_STREAM: u32 = 0;
const HTTP_REQUEST_HEADERS: u32 = 0;
const HTTP_REQUEST_TRAILERS: u32 = 1;
const HTTP_CALL_RESPONSE_HEADERS: u32 = 6;
const HTTP_CALL_RESPONSE_BODY: u32 = 4;
const PLUGIN_CONFIGURATION: u32 = 7;
