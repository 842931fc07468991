//! Writes the lines of the `log` macros to Envoy's log, escaped as printable ASCII: parts of a line may come from callers and
//! servers.
//!
//! The SDK's own logger does not escape what it writes.

use crate::printable::printable;
use log::{LevelFilter, Log, Metadata, Record};
use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;

struct EnvoyLog;

/// Has the `log` macros write to Envoy's log. Envoy leaves out what is below its own level.
pub(super) fn install() {
    if log::set_logger(&EnvoyLog).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for EnvoyLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            log::Level::Error => LogLevel::Error,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Info => LogLevel::Info,
            log::Level::Debug => LogLevel::Debug,
            log::Level::Trace => LogLevel::Trace,
        };
        // Errors are ignored; there is nowhere to report them.
        let _ = hostcalls::log(level, &printable(&record.args().to_string()));
    }

    fn flush(&self) {}
}
