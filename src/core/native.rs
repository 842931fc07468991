//! Drives a [`Core`] outside Envoy: for the command line, the tests, the fuzz targets and the benchmarks.

use super::{Core, Effect, Event};
use crate::callout::Callout;
use crate::config::Config;
use crate::connection::Connection;
use crate::core::Environment;
use crate::exchange::Finished;
use crate::metrics::Change;
use crate::paused::RequestId;
use crate::time::UnixTime;
use crate::trace::Trace;
use log::Level;
use std::collections::HashMap;

/// A core, and what a host keeps for it.
#[derive(Debug)]
pub struct NativeDriver {
    core: Core,
    /// The header maps of requests without a verdict.
    headers: HashMap<RequestId, Vec<u8>>,
    finished: HashMap<RequestId, Finished>,
    /// Calls that were sent and not taken by [`Self::take_calls`] yet.
    calls: Vec<Callout>,
    log: Vec<(Level, String)>,
    metrics: Vec<Change>,
}

// === impl NativeDriver ===

impl NativeDriver {
    /// A core under this configuration.
    pub fn new(config: Config, environment: Environment) -> Self {
        let mut core = Core::new(environment);
        core.configure(config);
        Self {
            core,
            headers: HashMap::new(),
            finished: HashMap::new(),
            calls: Vec::new(),
            log: Vec::new(),
            metrics: Vec::new(),
        }
    }

    /// The core itself.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The core itself, to be changed.
    pub fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Brings an event, and performs what comes of it.
    pub fn handle(&mut self, event: Event<'_>, now: UnixTime) {
        self.handle_traced(event, now, &());
    }

    /// Like [`Self::handle`], and tells `trace` what happens.
    pub fn handle_traced(&mut self, event: Event<'_>, now: UnixTime, trace: &impl Trace) {
        self.core.handle_traced(event, now, trace);
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Finish { id, finished, .. } => {
                    self.headers.remove(&id);
                    self.finished.insert(id, *finished);
                }
                Effect::ReadHeaders(id) => {
                    let headers = self.headers.get(&id).map(Vec::as_slice);
                    self.core.handle_traced(Event::HeadersRead(id, headers), now, trace);
                }
                Effect::Call(callout) => self.calls.push(*callout),
                Effect::Log(level, line) => self.log.push((level, line)),
                Effect::Metric(change) => self.metrics.push(change),
                Effect::Pause(_)
                | Effect::Body(..)
                | Effect::Trailers { .. }
                | Effect::WakeIn(_)
                | Effect::StopTicking
                | Effect::AcceptConfiguration
                | Effect::RejectConfiguration => {}
            }
        }
    }

    /// A request without a body arrives; its verdict, or `None` if it is paused.
    pub fn request(
        &mut self,
        id: RequestId,
        map: &[u8],
        connection: &Connection,
        now: UnixTime,
    ) -> Option<Finished> {
        self.request_traced(id, map, connection, now, &())
    }

    /// Like [`Self::request`], and tells `trace` each step.
    pub fn request_traced(
        &mut self,
        id: RequestId,
        map: &[u8],
        connection: &Connection,
        now: UnixTime,
        trace: &impl Trace,
    ) -> Option<Finished> {
        let (headers, connection) = (Some(map), connection.clone());
        let event = Event::RequestHeaders { id, headers, connection, end_of_stream: true };
        self.handle_traced(event, now, trace);
        let finished = self.take_finished(id);
        if finished.is_none() {
            self.headers.insert(id, map.to_vec());
        }
        finished
    }

    /// The verdict on a request that was paused; `None` if it still is.
    pub fn take_finished(&mut self, id: RequestId) -> Option<Finished> {
        self.finished.remove(&id)
    }

    /// The calls that are due, and those that were sent since the last time.
    pub fn take_calls(&mut self, now: UnixTime) -> Vec<Callout> {
        self.handle(Event::Tick, now);
        std::mem::take(&mut self.calls)
    }

    /// Discards the calls, log lines and metrics that were not taken, for a driver that handles millions of requests.
    pub fn discard(&mut self) {
        self.calls.clear();
        self.log.clear();
        self.metrics.clear();
    }

    /// The lines that were logged since the last time.
    pub fn take_log(&mut self) -> Vec<(Level, String)> {
        std::mem::take(&mut self.log)
    }

    /// What changed in Envoy's stats since the last time, told as at the end of a configuration.
    pub fn take_metrics(&mut self, now: UnixTime) -> Vec<Change> {
        self.handle(Event::ConfigurationRemoved, now);
        std::mem::take(&mut self.metrics)
    }
}
