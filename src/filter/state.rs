//! What the root context and its requests share: the core, and the requests that wait.

use super::apply::{Applied, apply, refuse};
use super::host::{self, Level};
use crate::authenticator::{Authenticator, Reviewed};
use crate::config::Settings;
use crate::decision_log::DecisionLog;
use crate::exchange::{Exchange, Finished, Input, Step};
use crate::metrics::Metrics;
use crate::time::UnixTime;
use crate::verdict::Reason;
use crate::waiting::RequestId;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The state of one plugin configuration in one VM.
///
/// Envoy runs one callback of a VM at a time. Those that it runs inside another (the end of a request
/// that is refused) only call [`State::forget`]; should a borrow meet another all the same, the request
/// is refused, or forgotten later.
pub(super) struct State {
    authenticator: RefCell<Authenticator>,
    settings: Rc<Settings>,
    log: RefCell<DecisionLog>,
    metrics: RefCell<Metrics>,
    /// Whether a tick is on its way: arming the timer again would put it off.
    tick_is_near: Cell<bool>,
}

/// What happened to a request: [`Input`], still without its header map.
#[derive(Clone)]
pub(super) enum Happened {
    Arrived,
    KeysChanged,
    Reviewed(Rc<Reviewed>),
    DeadlinePassed,
}

/// The host's clock.
pub(super) fn clock() -> Option<UnixTime> {
    host::now_nanos().ok().map(UnixTime::from_nanos)
}

// === impl State ===

impl State {
    pub(super) fn new(authenticator: Authenticator) -> Self {
        Self {
            settings: Rc::clone(authenticator.settings()),
            authenticator: RefCell::new(authenticator),
            log: RefCell::default(),
            metrics: RefCell::default(),
            tick_is_near: Cell::new(false),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Asks the core for something; `None` when it is in use, which does not happen.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Authenticator) -> T) -> Option<T> {
        self.authenticator.try_borrow_mut().ok().map(|mut authenticator| act(&mut authenticator))
    }

    /// Takes a request to its next step, and carries out what that says. The request's context must be
    /// the effective one.
    pub(super) fn advance(
        &self,
        id: RequestId,
        mut exchange: Exchange,
        happened: &Happened,
        now: UnixTime,
    ) -> Applied {
        let Ok(map) = host::request_headers() else {
            return self.give_up(id, "the host gives no headers");
        };
        let Ok(mut core) = self.authenticator.try_borrow_mut() else {
            return self.give_up(id, "the core is in use");
        };
        let step = exchange.step(happened.to(&map), &mut core, now);
        let unsent_reviews = core.has_unsent_reviews();
        // What the host is told from here on may call back.
        drop(core);
        match step {
            Step::Hold => {
                self.tick_soon();
                Applied::Waits(Box::new(exchange))
            }
            Step::Finish(finished) => {
                if unsent_reviews {
                    self.tick_soon();
                }
                self.report(&finished, now);
                apply(&finished, &self.settings)
            }
        }
    }

    /// The request is over, perhaps because its caller hung up while it waited.
    pub(super) fn forget(&self, id: RequestId) {
        self.with(|core| core.waiting().forget(id));
    }

    /// Has the root context look at what is due, soon.
    pub(super) fn tick_soon(&self) {
        if !self.tick_is_near.replace(true) {
            let _ = host::set_tick(SOON);
        }
    }

    /// A tick is here: from now on another one may be wanted soon.
    pub(super) fn tick_came(&self) {
        self.tick_is_near.set(false);
    }

    /// Sets the time of the next tick, `None` where nothing is due; called by the tick, which would come again
    /// and again at the pace that was asked for last.
    pub(super) fn tick_in(&self, wait: Option<Duration>) {
        let wait = wait.unwrap_or(IDLE);
        self.tick_is_near.set(wait <= SOON);
        let _ = host::set_tick(wait.clamp(SOON, IDLE));
    }

    fn give_up(&self, id: RequestId, why: &'static str) -> Applied {
        self.forget(id);
        host::log(Level::Error, &format!("a request cannot be judged: {why}"));
        refuse(&Reason::Internal.because(why), false, &self.settings)
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Metrics)) {
        if let Ok(mut metrics) = self.metrics.try_borrow_mut() {
            count(&mut metrics);
        }
    }

    fn report(&self, finished: &Finished, now: UnixTime) {
        self.count(|metrics| metrics.finished(finished));
        self.log_decisions(|log| log.line(finished, now));
    }

    /// Writes lines of the decision log.
    pub(super) fn log_decisions<L>(&self, lines: impl FnOnce(&mut DecisionLog) -> L)
    where
        L: IntoIterator<Item = String>,
    {
        let Ok(mut log) = self.log.try_borrow_mut() else { return };
        for line in lines(&mut log) {
            host::log(Level::Info, &line);
        }
    }
}

// === impl Happened ===

impl Happened {
    fn to<'m>(&'m self, map: &'m [u8]) -> Input<'m> {
        match self {
            Self::Arrived => Input::Headers(map),
            Self::KeysChanged => Input::KeysChanged(map),
            Self::Reviewed(reviewed) => Input::Reviewed(map, reviewed),
            Self::DeadlinePassed => Input::DeadlinePassed(map),
        }
    }
}

/// How soon a call that a request waits for is sent.
const SOON: Duration = Duration::from_millis(1);

/// How often the time is looked at when nothing is due: a clock can be set back.
const IDLE: Duration = Duration::from_secs(1);
