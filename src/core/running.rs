//! [`super::Core`] with a configuration.

mod calls;
mod ticks;

use super::health_log::HealthLog;
use super::{Effect, Effects, Event, Refusal, deny_unread};
use crate::authenticator::Authenticator;
use crate::authn::signature::{HostVerify, Verifier};
use crate::decision_log::DecisionLog;
use crate::denial::{Denial, Reason};
use crate::exchange::{Finished, Step, evaluate};
use crate::headers::{UnreadableHeaders, claims_in_trailers};
use crate::metrics::{Change, Metrics};
use crate::paused::{PausedRequests, Received, Request, RequestId, Resumption};
use crate::time::UnixTime;
use crate::trace::Trace;
use crate::verdict::{Answer, Verdict};
use foldhash::fast::FixedState;
use log::Level;
use std::collections::HashSet;
use ticks::SOON;

/// The state of one configuration in one VM.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) authenticator: Authenticator,
    pub(super) paused: PausedRequests,
    /// The configuration is invalid: every request is denied for this.
    misconfigured: Option<Denial>,
    /// Requests that were let through, and of which a body or trailers follow. Envoy numbers requests and callers have
    /// no part in it, so none can be chosen to collide.
    passed: HashSet<RequestId, FixedState>,
    decisions: DecisionLog,
    health: HealthLog,
    metrics: Metrics,
    flushed: Option<UnixTime>,
    /// Whether a tick is near: asking again would put it off.
    tick_is_near: bool,
}

// === impl Running ===

impl Running {
    pub(super) fn new(authenticator: Authenticator, misconfigured: Option<Denial>) -> Self {
        let limits = authenticator.settings().limits;
        Self {
            authenticator,
            paused: PausedRequests::new(limits.max_waiting, limits.wait_timeout),
            misconfigured,
            passed: HashSet::with_hasher(FixedState::with_seed(0)),
            decisions: DecisionLog::default(),
            health: HealthLog::default(),
            metrics: Metrics::default(),
            flushed: None,
            tick_is_near: true,
        }
    }

    pub(super) fn on_event(
        &mut self,
        event: Event<'_>,
        now: UnixTime,
        effects: &mut Effects,
        trace: &impl Trace,
    ) {
        match event {
            Event::RequestHeaders { id, headers, connection, end_of_stream } => {
                let received = Received::default();
                let request = Request { id, arrived: now, connection, end_of_stream, received };
                self.advance(&request, headers, None, now, (effects, trace));
            }
            Event::HeadersRead(id, headers) => {
                // Its end may have come first.
                if let Some((request, resumption)) = self.paused.take_up(id) {
                    let with = (effects, trace);
                    self.advance(&request, headers, Some(resumption), now, with);
                }
            }
            Event::RequestEnded(id) => {
                if !self.passed.is_empty() {
                    self.passed.remove(&id);
                }
                self.paused.forget(id);
            }
            Event::RequestBody(id) => {
                effects.push_back(Effect::Body(id, self.passed.contains(&id)));
            }
            Event::RequestTrailers(id, trailers) => {
                effects.push_back(self.trailers(id, trailers));
            }
            Event::CallEnded(id, reply) => self.call_ended((id, reply), now, effects, trace),
            Event::Tick => self.tick(now, effects),
            Event::Refused(refusal) => self.host_refused(refusal, effects),
            Event::ConfigurationRemoved => self.configuration_removed(effects),
            // Handled by the core.
            Event::ConfigurationLoaded { .. } | Event::ConfigurationReplaces(_) => {}
        }
    }

    fn advance(
        &mut self,
        request: &Request,
        headers: Option<&[u8]>,
        resumption: Option<Resumption>,
        now: UnixTime,
        (effects, trace): (&mut Effects, &impl Trace),
    ) {
        let id = request.id;
        let Some(headers) = headers else {
            let why = "the host returned no headers";
            effects.push_back(Effect::Log(Level::Error, format!("request denied: {why}")));
            let finished = Box::new(Finished::refused(Reason::Internal.because(why)));
            return self.finish_request(request, finished, now, effects);
        };
        let with = (&mut self.authenticator, &mut self.paused);
        match evaluate(request, headers, resumption, with, now, trace) {
            Step::Hold => {
                effects.push_back(Effect::Pause(id));
                self.tick_soon(effects);
            }
            Step::Finish(finished) => {
                if self.authenticator.has_unsent_reviews() {
                    self.tick_soon(effects);
                }
                self.finish_request(request, finished, now, effects);
            }
        }
    }

    fn finish_request(
        &mut self,
        request: &Request,
        mut finished: Box<Finished>,
        now: UnixTime,
        effects: &mut Effects,
    ) {
        let id = request.id;
        if let Some(denial) = &self.misconfigured {
            finished.verdict = Verdict::Deny(denial.clone());
        }
        self.paused.forget(id);
        self.metrics.finished(&finished);
        log_all(self.decisions.line(&finished, now), effects);
        let answer = match &finished.verdict {
            Verdict::Deny(denial) => {
                let answers = &self.authenticator.settings().answers;
                Some(Box::new(Answer::to(denial, finished.grpc, answers)))
            }
            Verdict::Allow(..) | Verdict::Shadow(..) => {
                if !request.end_of_stream {
                    self.passed.insert(id);
                }
                None
            }
        };
        effects.push_back(Effect::Finish { id, finished, answer });
    }

    /// Trailers are edited when they arrive, because those of a paused request go on without being asked about again.
    #[inline(never)]
    fn trailers(&self, id: RequestId, trailers: Option<&[u8]>) -> Effect {
        let proceed = self.passed.contains(&id);
        let index = &self.authenticator.settings().index;
        let names =
            trailers.ok_or(UnreadableHeaders).and_then(|map| claims_in_trailers(map, index));
        match names {
            Ok(names) => {
                let remove = names.into_iter().map(<[u8]>::to_vec).collect();
                Effect::Trailers { id, remove, proceed }
            }
            // Trailers that cannot be cleaned go no further.
            Err(UnreadableHeaders) => Effect::Trailers { id, remove: Vec::new(), proceed: false },
        }
    }

    #[cold]
    fn host_refused(&mut self, refusal: Refusal, effects: &mut Effects) {
        let (level, what, status) = match refusal {
            Refusal::HeaderEdits { id, grpc, status } => {
                self.passed.remove(&id);
                let denial = Reason::Internal.because("headers cannot be edited");
                effects.push_back(deny_unread(
                    id,
                    denial,
                    grpc,
                    &self.authenticator.settings().answers,
                ));
                (Level::Error, "request headers cannot be edited", status)
            }
            Refusal::TrailerEdits { status } => {
                (Level::Error, "request trailers cannot be edited", status)
            }
            Refusal::FilterState { status } => (Level::Warn, "filter state cannot be set", status),
            Refusal::Response { status } => {
                (Level::Error, "the response to a denied request cannot be sent", status)
            }
        };
        effects.push_back(Effect::Log(level, format!("{what}: status {status}")));
    }
}

/// Verifies by the host where it can.
pub(super) fn verifier(host: Option<HostVerify>, effects: &mut Effects) -> Verifier {
    let Some(host) = host else { return Verifier::default() };
    Verifier::probing(host).unwrap_or_else(|why| {
        let line = format!("{why}: signatures are verified in the VM");
        effects.push_back(Effect::Log(Level::Warn, line));
        Verifier::default()
    })
}

/// What a new configuration begins with. Calls wait for the first tick: those of the main thread, which only tries a
/// configuration out, would be lost.
pub(super) fn start(is_misconfigured: bool, effects: &mut Effects) {
    effects.push_back(misconfigured(is_misconfigured));
    let build = format!("sa_authn.build.{}", env!("CARGO_PKG_VERSION").replace('.', "_"));
    effects.push_back(Effect::Metric(Change::Level(build, 1)));
    effects.push_back(Effect::WakeIn(SOON));
}

fn misconfigured(is: bool) -> Effect {
    Effect::Metric(Change::Level("sa_authn.misconfigured".to_owned(), u64::from(is)))
}

fn log_all(lines: impl IntoIterator<Item = String>, effects: &mut Effects) {
    effects.extend(lines.into_iter().map(|line| Effect::Log(Level::Info, line)));
}

fn log_line(line: Option<(Level, String)>, effects: &mut Effects) {
    effects.extend(line.map(|(level, line)| Effect::Log(level, line)));
}
