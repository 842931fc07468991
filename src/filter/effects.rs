//! Brings events to the core and performs its effects, each as one or a few calls to the host.

use super::host::{self, Failed};
use super::stats::Stats;
use crate::authz::HeaderEdits;
use crate::callout::{Callout, CalloutId, MAX_BODY_BYTES, Reply};
use crate::connection::ConnectionFacts;
use crate::core::{Core, Effect, Environment, Event, Refusal};
use crate::exchange::Finished;
use crate::paused::RequestId;
use crate::time::UnixTime;
use crate::verdict::{Answer, Verdict};
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType, Status};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// A core, and what it takes to perform its effects.
///
/// The core calls the host for nothing but signatures, so that no callback finds it in use.
pub(super) struct Driver {
    /// The root context's.
    id: u32,
    core: RefCell<Core>,
    facts: Cell<ConnectionFacts>,
    /// The calls under way, each with the host's number. There are few.
    calls: RefCell<Vec<(u32, CalloutId)>>,
    stats: RefCell<Stats>,
}

/// Performs the effects of one event.
struct Performance<'d> {
    driver: &'d Driver,
    /// The request whose callback this is. The host's calls speak of it, until another context is chosen.
    current: Option<RequestId>,
    /// The context that the host's calls speak of.
    context: u32,
    /// What the current request's callback returns.
    action: Action,
    accepted: bool,
}

// === impl Driver ===

impl Driver {
    pub(super) fn new(id: u32) -> Self {
        let environment = Environment { host_verify: Some(host::verify_signature), seed: seed() };
        Self {
            id,
            core: RefCell::new(Core::new(environment)),
            facts: Cell::default(),
            calls: RefCell::default(),
            stats: RefCell::default(),
        }
    }

    /// What must be read of each request's connection.
    pub(super) fn facts_to_read(&self) -> ConnectionFacts {
        self.facts.get()
    }

    /// Lets another core see this one; not while it is in use, which does not happen.
    pub(super) fn with_core(&self, see: impl FnOnce(&mut Core)) {
        if let Ok(mut core) = self.core.try_borrow_mut() {
            see(&mut core);
        }
    }

    /// Loads a configuration; `false` has Envoy refuse it.
    pub(super) fn load_configuration(&self, json: Option<&[u8]>, root_id: Option<&[u8]>) -> bool {
        let mut performance = Performance::new(self, None);
        performance.run_core(Event::ConfigurationLoaded { json, root_id }, clock());
        self.with_core(|core| self.facts.set(core.connection_facts()));
        performance.accepted
    }

    /// Handles an event that concerns the plugin.
    pub(super) fn pass_event(&self, event: Event<'_>) {
        Performance::new(self, None).run_core(event, clock());
    }

    /// Handles an event of a request in its own callback.
    pub(super) fn pass_for(&self, id: RequestId, event: Event<'_>) -> Action {
        let mut performance = Performance::new(self, Some(id));
        performance.run_core(event, clock());
        performance.action
    }

    /// The same for an event for which the time does not matter: to ask the host for it costs a call.
    pub(super) fn pass_untimed(&self, id: RequestId, event: Event<'_>) -> Action {
        let mut performance = Performance::new(self, Some(id));
        performance.run_core(event, UnixTime::from_secs(0));
        performance.action
    }

    /// The answer to one of the host's calls has come.
    pub(super) fn call_ended(&self, token: u32, headers: usize, body: usize) {
        let call = self.calls.try_borrow_mut().ok().and_then(|mut calls| {
            let at = calls.iter().position(|(call, _)| *call == token)?;
            Some(calls.swap_remove(at).1)
        });
        // Another plugin's call.
        let Some(id) = call else { return };
        let reply = if headers == 0 { Reply::Reset } else { read_reply(body) };
        self.pass_event(Event::CallEnded(id, reply));
    }

    fn call(&self, callout: &Callout) -> Result<(), Reply> {
        match dispatch(callout) {
            Ok(token) => {
                if let Ok(mut calls) = self.calls.try_borrow_mut() {
                    calls.push((token, callout.id));
                }
                Ok(())
            }
            Err(Status::BadArgument) => Err(Reply::UnknownCluster),
            Err(_) => Err(Reply::NotSent),
        }
    }
}

// === impl Performance ===

impl<'d> Performance<'d> {
    fn new(driver: &'d Driver, current: Option<RequestId>) -> Self {
        let context = current.unwrap_or(driver.id);
        Self { driver, current, context, action: Action::Pause, accepted: false }
    }

    fn run_core(&mut self, event: Event<'_>, now: UnixTime) {
        self.driver.with_core(|core| core.handle(event, now));
        while let Some(effect) = self.next() {
            self.perform(effect, now);
        }
        if self.current.is_none() {
            self.set_context(self.driver.id);
        }
    }

    fn next(&self) -> Option<Effect> {
        self.driver.core.try_borrow_mut().ok()?.poll_effect()
    }

    fn perform(&mut self, effect: Effect, now: UnixTime) {
        match effect {
            Effect::Pause(id) => self.answer(id, Action::Pause),
            Effect::Finish { id, finished, answer } => self.finish(id, &finished, answer, now),
            Effect::Body(id, proceed) => self.answer(id, action(proceed)),
            Effect::Trailers { id, remove, proceed } => {
                let removed = remove.iter().try_for_each(|name| host::remove_request_trailer(name));
                match removed {
                    Ok(()) => self.answer(id, action(proceed)),
                    Err(Failed(status)) => {
                        self.report_refusal(Refusal::TrailerEdits { status }, now)
                    }
                }
            }
            Effect::ReadHeaders(id) => {
                if self.set_context(id) {
                    let headers = host::request_headers().ok();
                    self.pass_at(Event::HeadersRead(id, headers.as_deref()), now);
                } else {
                    // The request is gone.
                    self.pass_at(Event::RequestEnded(id), now);
                }
            }
            Effect::Call(callout) => {
                // A call that is sent on behalf of a request would end with it.
                self.set_context(self.driver.id);
                if let Err(reply) = self.driver.call(&callout) {
                    self.pass_at(Event::CallEnded(callout.id, reply), now);
                }
            }
            Effect::WakeIn(period) => drop(hostcalls::set_tick_period(period)),
            Effect::StopTicking => drop(hostcalls::set_tick_period(Duration::ZERO)),
            Effect::Log(level, line) => log::log!(level, "{line}"),
            Effect::Metric(change) => {
                if let Ok(mut stats) = self.driver.stats.try_borrow_mut() {
                    stats.tell(&change);
                }
            }
            Effect::AcceptConfiguration => self.accepted = true,
            Effect::RejectConfiguration => self.accepted = false,
        }
    }

    fn finish(
        &mut self,
        id: RequestId,
        finished: &Finished,
        answer: Option<Box<Answer>>,
        now: UnixTime,
    ) {
        if !self.set_context(id) {
            return self.pass_at(Event::RequestEnded(id), now);
        }
        self.set_filter_state(finished, now);
        let edits = match (&finished.verdict, answer) {
            (Verdict::Allow(_, edits) | Verdict::Shadow(_, edits), None) => edits,
            (_, Some(answer)) => return self.respond(id, &answer, now),
            // Denied, without a response: the request stays where it is.
            (Verdict::Deny(_), None) => return self.answer(id, Action::Pause),
        };
        match edit(edits) {
            Ok(()) => self.answer(id, Action::Continue),
            Err(Failed(status)) => {
                let grpc = finished.grpc;
                self.report_refusal(Refusal::HeaderEdits { id, grpc, status }, now);
            }
        }
    }

    /// Filter state is what access logs print of a proven caller, and filters behind this one match.
    fn set_filter_state(&mut self, finished: &Finished, now: UnixTime) {
        let Ok(caller) = &finished.caller else { return };
        for (name, value) in caller.filter_state() {
            if let Err(Failed(status)) = host::set_property(name, value) {
                self.report_refusal(Refusal::FilterState { status }, now);
            }
        }
    }

    fn respond(&mut self, id: RequestId, answer: &Answer, now: UnixTime) {
        self.answer(id, Action::Pause);
        if let Err(Failed(status)) = host::send_local_response(answer) {
            self.report_refusal(Refusal::Response { status }, now);
        }
    }

    /// Continues or holds a request: by the return value of its callback, or by resuming it.
    fn answer(&mut self, id: RequestId, action: Action) {
        if self.current == Some(id) {
            self.action = action;
        } else if action == Action::Continue && self.set_context(id) {
            let _ = hostcalls::resume_http_request();
        }
    }

    /// Makes the host's calls apply to this context; `false` if it is gone.
    fn set_context(&mut self, id: u32) -> bool {
        let applies = self.context == id || hostcalls::set_effective_context(id).is_ok();
        if applies {
            self.context = id;
        }
        applies
    }

    fn report_refusal(&self, refusal: Refusal, now: UnixTime) {
        self.pass_at(Event::Refused(refusal), now);
    }

    /// What comes of it is performed after the effects that are there already.
    fn pass_at(&self, event: Event<'_>, now: UnixTime) {
        self.driver.with_core(|core| core.handle(event, now));
    }
}

fn action(proceed: bool) -> Action {
    if proceed { Action::Continue } else { Action::Pause }
}

fn edit(edits: &HeaderEdits) -> Result<(), Failed> {
    for name in edits.removed() {
        host::remove_request_header(name)?;
    }
    for (name, value) in edits.set() {
        host::set_request_header(name.as_bytes(), value)?;
    }
    Ok(())
}

fn dispatch(callout: &Callout) -> Result<u32, Status> {
    let mut headers = vec![
        (":method", if callout.body.is_some() { "POST" } else { "GET" }),
        (":scheme", "https"),
        (":authority", callout.authority.as_str()),
        (":path", callout.path.as_str()),
        ("accept", callout.accept),
        ("user-agent", concat!("sa-authn/", env!("CARGO_PKG_VERSION"))),
    ];
    if callout.body.is_some() {
        headers.push(("content-type", "application/json"));
    }
    // With 0 ms the host would wait for ever.
    let timeout = callout.timeout.max(Duration::from_millis(1));
    let body = callout.body.as_deref();
    hostcalls::dispatch_http_call(&callout.cluster, headers, body, Vec::new(), timeout)
}

fn read_reply(body_size: usize) -> Reply {
    let header = |name| {
        let value = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name);
        let value = String::from_utf8(value.ok()??).ok()?;
        (!value.is_empty()).then_some(value)
    };
    let Some(status) = header(":status").and_then(|status| status.parse().ok()) else {
        return Reply::Reset;
    };
    let body = match body_size {
        0 => Some(Vec::new()),
        1..=MAX_BODY_BYTES => {
            match hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, MAX_BODY_BYTES) {
                Ok(Some(body)) => Some(body),
                Ok(None) | Err(_) => return Reply::Reset,
            }
        }
        _ => None,
    };
    let (cache_control, retry_after) = (header("cache-control"), header("retry-after"));
    Reply::Response { status, cache_control, retry_after, body }
}

/// The host's clock. Without one it is 1970, at which no token is accepted.
fn clock() -> UnixTime {
    host::current_time().unwrap_or(UnixTime::from_secs(0))
}

/// Differs between VMs: std seeds its hashers from the host's random numbers.
fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), clock().as_millis())
}
