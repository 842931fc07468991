//! The filter as a state machine: events in, effects out, both as data.
//!
//! [`Core`] owns the protocol: which requests are paused and when they go on, which calls are sent and when, what is
//! logged and counted. It knows no host and no clock. A driver brings each [`Event`] with the time, and performs each
//! [`Effect`] in order; it decides nothing. The module's shell (`filter`), the command line and the tests are such
//! drivers. Verifying a signature is a synchronous function that the core is given.

mod effect;
mod event;
mod health_log;
#[cfg(not(target_arch = "wasm32"))]
mod native;
mod root_id;
mod running;

pub use effect::Effect;
pub use event::{Event, Refusal};
#[cfg(not(target_arch = "wasm32"))]
pub use native::NativeDriver;

use crate::authenticator::Authenticator;
use crate::authn::signature::HostVerify;
use crate::config::{Config, Problem, Settings};
use crate::connection::ConnectionFacts;
use crate::denial::{Denial, Reason};
use crate::exchange::Finished;
use crate::paused::PausedRequests;
use crate::time::UnixTime;
use crate::trace::Trace;
use crate::verdict::{Answer, Answers};
use log::Level;
use root_id::IfInvalid;
use running::Running;
use std::collections::VecDeque;

/// The filter under one configuration, in one VM.
#[derive(Debug)]
pub struct Core {
    environment: Environment,
    /// `None` until a configuration was accepted: every request is denied.
    running: Option<Box<Running>>,
    effects: Effects,
}

/// What the core is given once, by who runs it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment {
    /// The host's `verify_signature`, if it has one. It is tried with a known signature first.
    pub host_verify: Option<HostVerify>,
    /// Spreads refreshes of keys; differs between VMs.
    pub seed: u64,
}

/// Effects that the driver has not performed yet.
type Effects = VecDeque<Effect>;

// === impl Core ===

impl Core {
    /// Without a configuration.
    pub fn new(environment: Environment) -> Self {
        Self { environment, running: None, effects: Effects::new() }
    }

    /// Handles an event. `now` is the time of the event; those of a request's body, its trailers and its end need none.
    pub fn handle(&mut self, event: Event<'_>, now: UnixTime) {
        self.handle_traced(event, now, &());
    }

    /// Like [`Self::handle`], and tells `trace` what happens.
    pub fn handle_traced(&mut self, event: Event<'_>, now: UnixTime, trace: &impl Trace) {
        let effects = &mut self.effects;
        match (event, &mut self.running) {
            (Event::ConfigurationLoaded { json, root_id }, _) => self.load(json, root_id),
            (Event::ConfigurationReplaces(earlier), Some(running)) => {
                if let Some(earlier) = &mut earlier.running {
                    running.authenticator.take_over(&mut earlier.authenticator, now);
                }
            }
            (event, Some(running)) => running.on_event(event, now, effects, trace),
            (Event::RequestHeaders { id, .. }, None) => {
                let denial = Reason::Internal.because("no configuration");
                effects.push_back(deny_unread(id, denial, false, &Answers::default()));
            }
            (Event::RequestBody(id), None) => effects.push_back(Effect::Body(id, false)),
            (Event::RequestTrailers(id, _), None) => {
                effects.push_back(Effect::Trailers { id, remove: Vec::new(), proceed: false });
            }
            (_, None) => {}
        }
    }

    /// The next effect to perform.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        let effect = self.effects.pop_front();
        if self.effects.is_empty() {
            // The next effect takes the first place again, which is in the CPU's cache.
            self.effects.clear();
        }
        effect
    }

    /// Runs with this configuration from now on.
    pub fn configure(&mut self, config: Config) {
        self.run_with(config, None);
    }

    fn run_with(&mut self, config: Config, misconfigured: Option<Denial>) {
        let Environment { host_verify, seed } = self.environment;
        let verifier = running::verifier(host_verify, &mut self.effects);
        let authenticator = Authenticator::new(config, verifier, seed);
        running::start(misconfigured.is_some(), &mut self.effects);
        self.running = Some(Box::new(Running::new(authenticator, misconfigured)));
    }

    #[inline(never)]
    fn load(&mut self, json: Option<&[u8]>, root_id: Option<&[u8]>) {
        let mut log = |level, line: String| self.effects.push_back(Effect::Log(level, line));
        log(Level::Info, concat!("sa-authn ", env!("CARGO_PKG_VERSION")).to_owned());
        let (config, mut problems) = match json.map(Config::parse) {
            Some(Ok(config)) => (Some(config), Vec::new()),
            Some(Err(problems)) => (None, problems),
            None => (None, vec![Problem::of_the_whole("cannot be read")]),
        };
        let if_invalid = root_id::parse(root_id).unwrap_or_else(|problem| {
            // The operator asks for a mode that does not exist. To refuse it could open a route.
            problems.push(Problem::of_the_whole(problem));
            IfInvalid::DenyRequests
        });
        for problem in &problems {
            log(Level::Error, format!("configuration: {problem}"));
        }
        match (config, problems.first(), if_invalid) {
            (Some(config), None, _) => self.configure(config),
            (_, _, IfInvalid::Refuse) => {
                return self.effects.push_back(Effect::RejectConfiguration);
            }
            (_, problem, IfInvalid::DenyRequests) => {
                log(Level::Error, "every request is denied".to_owned());
                let detail = problem.map(Problem::to_string).unwrap_or_default();
                self.run_with(Config::deny_all(), Some(Reason::Misconfigured.because(detail)));
            }
        }
        self.effects.push_back(Effect::AcceptConfiguration);
    }

    /// What the driver must read of each request's connection.
    pub fn connection_facts(&self) -> ConnectionFacts {
        self.settings().map_or_else(ConnectionFacts::default, |settings| settings.connection_facts)
    }

    /// What the configuration says about requests; `None` without a configuration.
    pub fn settings(&self) -> Option<&Settings> {
        self.running.as_ref().map(|running| &**running.authenticator.settings())
    }

    /// Keys, reviews and known tokens; `None` without a configuration.
    pub fn authenticator(&mut self) -> Option<&mut Authenticator> {
        self.running.as_mut().map(|running| &mut running.authenticator)
    }

    /// The paused requests; `None` without a configuration.
    pub fn paused(&self) -> Option<&PausedRequests> {
        self.running.as_ref().map(|running| &running.paused)
    }

    /// When something is due: a call, or the deadline of a paused request.
    pub fn next_deadline(&mut self) -> Option<UnixTime> {
        self.running.as_mut().and_then(|running| running.next_due())
    }
}

/// A request that is denied before anything is known of it.
fn deny_unread(
    id: crate::paused::RequestId,
    denial: Denial,
    grpc: bool,
    answers: &Answers,
) -> Effect {
    let answer = Some(Box::new(Answer::to(&denial, grpc, answers)));
    Effect::Finish { id, finished: Box::new(Finished::refused(denial)), answer }
}
