//! The plugin: its configuration, its ticks, its callouts, and the waking of requests that waited.

use super::calls::Calls;
use super::host::{self, Level};
use super::news::News;
use super::state::{Happened, State, clock};
use super::stats::Stats;
use super::{contexts, http};
use crate::authenticator::{Authenticator, KeysSettled, ReviewSettled, Settlement};
use crate::authn::keys::Settled;
use crate::authn::signature::Verifier;
use crate::callout::{Callout, CalloutId, Reply};
use crate::config::Config;
use crate::decision_log::DecisionLog;
use crate::metrics::Change;
use crate::time::UnixTime;
use crate::waiting::RequestId;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

/// The root context.
pub(super) struct Root {
    id: u32,
    state: Option<Rc<State>>,
    calls: Calls,
    /// Requests for which something has happened, and that have not been woken yet.
    to_wake: VecDeque<(RequestId, Happened)>,
    news: News,
    stats: Stats,
}

// === impl Root ===

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            state: None,
            calls: Calls::default(),
            to_wake: VecDeque::new(),
            news: News::default(),
            stats: Stats::default(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Authenticator) -> T) -> Option<T> {
        self.state.as_ref()?.with(act)
    }

    /// Sends the calls that are due: reviews that were asked for, and fetches of keys.
    fn do_what_is_due(&mut self, now: UnixTime) {
        while let Some(callout) = self.with(|core| core.poll(now)).flatten() {
            self.send(&callout, now);
        }
    }

    fn send(&mut self, callout: &Callout, now: UnixTime) {
        if let Err(reply) = self.calls.send(callout) {
            self.settle(callout.id, reply, now);
        }
    }

    fn settle(&mut self, id: CalloutId, reply: Reply, now: UnixTime) {
        match self.with(|core| core.settle(id, reply, now)).flatten() {
            Some(Settlement::Keys(settled)) => self.keys_settled(&settled, now),
            Some(Settlement::Review(settled)) => self.review_settled(settled, now),
            None => {}
        }
    }

    /// Writes to the log, and has the requests woken that waited.
    fn keys_settled(&mut self, settled: &KeysSettled, now: UnixTime) {
        if matches!(settled.outcome, Settled::Continues) {
            return;
        }
        if let Some(state) = &self.state {
            state.count(|metrics| metrics.fetched(settled, now));
        }
        self.news.of_keys(settled, now);
        let waiting = self.with(|core| core.waiting().for_issuer(settled.issuer));
        let waiting = waiting.unwrap_or_default().into_iter();
        self.to_wake.extend(waiting.map(|id| (id, Happened::KeysChanged)));
    }

    fn review_settled(&mut self, settled: ReviewSettled, now: UnixTime) {
        if let Some(state) = &self.state {
            state.count(|metrics| metrics.reviewed(&settled));
        }
        self.news.of_review(&settled, now);
        let reviewed = settled.reviewed;
        let waiting = settled.waiting.into_iter();
        self.to_wake.extend(waiting.map(|id| (id, Happened::Reviewed(Rc::clone(&reviewed)))));
    }

    /// Wakes a few of those who are to go on, or whose time is up; the rest at the next tick.
    ///
    /// Each refusal has Envoy call the VM again inside this very callback, and those calls nest: some
    /// three hundred refusals at once overflow the VM's stack.
    fn wake_some(&mut self, now: UnixTime) {
        let Some(state) = self.state.clone() else { return };
        let ready = self.to_wake.len().min(WAKES_PER_CALLBACK);
        let ready: Vec<_> = self.to_wake.drain(..ready).collect();
        let left = WAKES_PER_CALLBACK.saturating_sub(ready.len());
        let overdue = state.with(|core| core.waiting().overdue(now)).unwrap_or_default();
        let more = !self.to_wake.is_empty() || overdue.len() > left;
        ready.into_iter().for_each(|(id, happened)| http::wake(&state, id, &happened, now));
        overdue
            .into_iter()
            .take(left)
            .for_each(|id| http::wake(&state, id, &Happened::DeadlinePassed, now));
        // A call that was sent on behalf of a request would end with it.
        let _ = host::set_effective_context(self.id);
        if more {
            state.tick_soon();
        }
    }

    /// Tells Envoy what was counted: not with each request, because each call costs.
    fn flush(&mut self) {
        let Some(state) = self.state.clone() else { return };
        let figures = |core: &mut Authenticator| {
            (core.waiting().len(), core.take_tally(), core.take_rationed())
        };
        let (waiting, tally, rationed) = state.with(figures).unwrap_or_default();
        state.count(|metrics| {
            rationed.iter().for_each(|(issuer, count)| metrics.rationed(issuer, *count));
            metrics.waiting(waiting);
            metrics.looked_up(tally);
            metrics.take().iter().for_each(|change| self.stats.tell(change));
        });
    }

    /// Reads the configuration; `false` has Envoy refuse it.
    pub(super) fn configure(&mut self) -> bool {
        host::log(Level::Info, concat!("sa-authn ", env!("CARGO_PKG_VERSION")));
        let Ok(json) = host::plugin_configuration() else {
            host::log(Level::Error, "the plugin configuration cannot be read");
            return false;
        };
        let config = match Config::parse(&json) {
            Ok(config) => config,
            Err(problems) => {
                problems.iter().for_each(|problem| {
                    host::log(Level::Error, &format!("configuration: {problem}"));
                });
                return false;
            }
        };
        let verifier = Verifier::probing(host::verify_signature).unwrap_or_else(|why| {
            host::log(Level::Warn, &format!("{why}: signatures are verified in the VM"));
            Verifier::default()
        });
        let mut authenticator = Authenticator::new(config, verifier, seed());
        if let Some(now) = clock() {
            contexts::each_state(|earlier| {
                earlier.with(|earlier| authenticator.take_over(earlier, now));
            });
        }
        let build = format!("sa_authn.build.{}", env!("CARGO_PKG_VERSION").replace('.', "_"));
        self.stats.tell(&Change::Level(build, 1));
        let state = State::new(authenticator);
        // Calls wait for the first tick: those of the main thread's trial run would be lost.
        state.tick_soon();
        let state = Rc::new(state);
        contexts::configured(self.id, Rc::clone(&state));
        self.state = Some(state);
        true
    }

    /// The time for what is due has come.
    pub(super) fn tick(&mut self) {
        let (Some(state), Some(now)) = (self.state.clone(), clock()) else { return };
        state.tick_came();
        self.do_what_is_due(now);
        let due = state.with(|core| core.next_deadline()).flatten();
        state.tick_in(due.map(|due| due.since(now)));
        self.wake_some(now);
        if self.stats.is_due(now) {
            self.flush();
            state.log_decisions(|log| log.overdue(now));
        }
    }

    /// The answer to a callout has come.
    pub(super) fn answered(&mut self, call: u32, headers: usize, body: usize) {
        let answer = self.calls.answered(call, headers, body);
        let (Some((id, reply)), Some(now)) = (answer, clock()) else { return };
        self.settle(id, reply, now);
        // The next call of a discovery must not wait for a tick.
        self.do_what_is_due(now);
        self.wake_some(now);
    }
}

/// The configuration has been replaced, and the last of its requests is over.
impl Drop for Root {
    fn drop(&mut self) {
        self.flush();
        if let Some(state) = &self.state {
            state.log_decisions(DecisionLog::rest);
        }
        // Envoy would go on ticking for a context that is no more.
        let _ = host::set_tick(Duration::ZERO);
    }
}

/// Differs between VMs: std seeds its hashers from the host's random numbers.
fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), host::now_nanos().ok())
}

/// See [`Root::wake_some`]; a tenth of what was seen to overflow.
const WAKES_PER_CALLBACK: usize = 32;
