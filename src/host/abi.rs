//! The host functions that the gate calls, each checked: a status is a value here, where the SDK
//! panics on an unexpected one, and octets stay octets, where the SDK panics on what is not UTF-8.
//!
//! The only place with `unsafe`. What makes each block sound: the host reads `len` octets from
//! `ptr` of slices that live through the call, and writes results to locals; memory that it hands
//! over was allocated by the module's exported `malloc` as a boxed slice of just that size.
#![expect(unsafe_code, reason = "host functions are foreign functions")]

use std::ptr::null_mut;
use std::time::Duration;

use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType};

use crate::header_pairs;
use crate::jwks::key_store::Seen;
use crate::request::Fields;
use crate::time::UnixTime;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_len: usize,
        argument: *const u8,
        argument_len: usize,
        result: *mut *mut u8,
        result_len: *mut usize,
    ) -> u32;
    fn proxy_continue_stream(stream_type: u32) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_len: usize, id: *mut u32) -> u32;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max_len: usize,
        data: *mut *mut u8,
        len: *mut usize,
    ) -> u32;
    fn proxy_get_current_time_nanoseconds(nanos: *mut u64) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, len: *mut usize) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_len: usize,
        value: *mut *mut u8,
        value_len: *mut usize,
    ) -> u32;
    fn proxy_get_shared_data(
        key: *const u8,
        key_len: usize,
        value: *mut *mut u8,
        value_len: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_increment_metric(id: u32, by: i64) -> u32;
    fn proxy_log(level: u32, text: *const u8, len: usize) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_len: usize) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_len: usize,
        body: *const u8,
        body_len: usize,
        headers: *const u8,
        headers_len: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_len: usize,
        value: *const u8,
        value_len: usize,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_len: usize,
        value: *const u8,
        value_len: usize,
        cas: u32,
    ) -> u32;
    fn proxy_set_tick_period_milliseconds(millis: u32) -> u32;
}

/// The host refused; its status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct HostError(u32);

type Checked<T = ()> = Result<T, HostError>;

fn checked(status: u32) -> Checked {
    match status {
        0 => Ok(()),
        status => Err(HostError(status)),
    }
}

/// Writes a line to the proxy's log; a failure has nowhere to go.
pub(super) fn log(level: LogLevel, text: &str) {
    // SAFETY: see the module.
    let _ = unsafe { proxy_log(level as u32, text.as_ptr(), text.len()) };
}

/// The host's clock.
pub(super) fn now() -> Checked<UnixTime> {
    let mut nanos = 0;
    // SAFETY: see the module.
    checked(unsafe { proxy_get_current_time_nanoseconds(&raw mut nanos) })?;
    Ok(UnixTime::from_nanos(nanos))
}

/// Asks for ticks this far apart; zero stops them.
pub(super) fn set_tick_period(period: Duration) {
    let millis = u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: no pointers.
    let _ = unsafe { proxy_set_tick_period_milliseconds(millis) };
}

/// Makes the following calls those of another context.
pub(super) fn set_effective_context(context: u32) -> Checked {
    // SAFETY: no pointers.
    checked(unsafe { proxy_set_effective_context(context) })
}

/// Lets the paused request of the effective context go on.
pub(super) fn continue_request() -> Checked {
    const HTTP_REQUEST: u32 = 0;
    // SAFETY: no pointers.
    checked(unsafe { proxy_continue_stream(HTTP_REQUEST) })
}

/// Up to `max_len` octets of a buffer; empty when there is none.
pub(super) fn buffer(buffer: BufferType, max_len: usize) -> Checked<Vec<u8>> {
    let (mut data, mut len) = (null_mut(), 0);
    // SAFETY: see the module.
    let status =
        unsafe { proxy_get_buffer_bytes(buffer as u32, 0, max_len, &raw mut data, &raw mut len) };
    checked(status)?;
    Ok(take(data, len))
}

/// All pairs of a header map.
pub(super) fn headers(map: MapType) -> Checked<Fields> {
    let (mut data, mut len) = (null_mut(), 0);
    // SAFETY: see the module.
    checked(unsafe { proxy_get_header_map_pairs(map as u32, &raw mut data, &raw mut len) })?;
    const MALFORMED: HostError = HostError(u32::MAX);
    header_pairs::decode(take(data, len)).ok_or(MALFORMED)
}

/// Adds a request header.
pub(super) fn add_header(name: &str, value: &[u8]) -> Checked {
    // SAFETY: see the module.
    checked(unsafe {
        proxy_add_header_map_value(
            MapType::HttpRequestHeaders as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// Removes a header or trailer of a request.
pub(super) fn remove(map: MapType, name: &[u8]) -> Checked {
    // SAFETY: see the module.
    checked(unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) })
}

/// Replaces a request header.
pub(super) fn replace_header(name: &str, value: &[u8]) -> Checked {
    // SAFETY: see the module.
    checked(unsafe {
        proxy_replace_header_map_value(
            MapType::HttpRequestHeaders as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    })
}

/// A property of the request, by its path.
pub(super) fn property(path: &[String]) -> Checked<Vec<u8>> {
    let path = path.join("\0");
    let (mut data, mut len) = (null_mut(), 0);
    // SAFETY: see the module.
    let status =
        unsafe { proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut len) };
    checked(status)?;
    Ok(take(data, len))
}

/// Leaves a text in the filter state of the request, under `wasm.NAME`.
pub(super) fn set_property(name: &str, value: &[u8]) -> Checked {
    // SAFETY: see the module.
    checked(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Has the proxy choose the route of the request again.
pub(super) fn clear_route_cache() -> Checked {
    const NAME: &str = "clear_route_cache";
    let (mut data, mut len) = (null_mut(), 0);
    // SAFETY: see the module.
    let status = unsafe {
        proxy_call_foreign_function(
            NAME.as_ptr(),
            NAME.len(),
            NAME.as_ptr(),
            0,
            &raw mut data,
            &raw mut len,
        )
    };
    take(data, len);
    checked(status)
}

/// Answers the request of the effective context.
pub(super) fn send_response(
    status: u16,
    details: &str,
    headers: &[(&str, &str)],
    body: &str,
    grpc_status: i32,
) -> Checked {
    let headers = header_pairs::encode(headers);
    // SAFETY: see the module.
    checked(unsafe {
        proxy_send_local_response(
            status.into(),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    })
}

/// Defines a metric, or finds it.
pub(super) fn define_metric(kind: MetricType, name: &str) -> Checked<u32> {
    let mut id = 0;
    // SAFETY: see the module.
    let status =
        unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut id) };
    checked(status)?;
    Ok(id)
}

/// Adds to a counter or a gauge.
pub(super) fn increment(metric: u32, by: i64) {
    // SAFETY: no pointers. What cannot be counted is no reason to refuse anybody.
    let _ = unsafe { proxy_increment_metric(metric, by) };
}

/// Sets a gauge.
pub(super) fn record(gauge: u32, value: u64) {
    // SAFETY: no pointers. What cannot be measured is no reason to refuse anybody.
    let _ = unsafe { proxy_record_metric(gauge, value) };
}

/// An entry of the shared data, and the state it is in; none when there is no such entry.
pub(super) fn shared(key: &str) -> Checked<(Option<Vec<u8>>, Seen)> {
    const NOT_FOUND: u32 = 1;
    let (mut data, mut len, mut cas) = (null_mut(), 0, 0);
    // SAFETY: see the module.
    let status = unsafe {
        proxy_get_shared_data(key.as_ptr(), key.len(), &raw mut data, &raw mut len, &raw mut cas)
    };
    match status {
        NOT_FOUND => Ok((None, ABSENT)),
        status => checked(status).map(|()| (Some(take(data, len)), Seen(cas))),
    }
}

/// What an entry that does not exist is compared with: zero would mean "write in any case", and
/// the host counts its states up from one. An entry that does exist by now is in another state.
const ABSENT: Seen = Seen(u32::MAX);

/// Writes an entry of the shared data if it is in the state `seen`; whether it was.
pub(super) fn swap_shared(key: &str, value: &[u8], seen: Seen) -> bool {
    // SAFETY: see the module.
    let status = unsafe {
        proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), seen.0)
    };
    status == 0
}

/// Writes an entry of the shared data; a failure shows when somebody looks for it.
pub(super) fn set_shared(key: &str, value: &[u8]) {
    const IN_ANY_CASE: Seen = Seen(0);
    swap_shared(key, value, IN_ANY_CASE);
}

fn take(data: *mut u8, len: usize) -> Vec<u8> {
    if data.is_null() {
        return Vec::new();
    }
    // SAFETY: the host got this memory from the module's `malloc`, which makes boxed slices, and
    // handed it over with its size.
    unsafe { Vec::from_raw_parts(data, len, len) }
}
