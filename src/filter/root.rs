//! The plugin: its configuration, its ticks, its callouts, and the waking of requests that waited.

use super::calls::Calls;
use super::host::{self, Level};
use super::news::News;
use super::state::{Happened, State, clock};
use super::stats::Stats;
use super::{contexts, http};
use crate::authenticator::{
    Authenticator, Consultation, Due, KeysSettled, ReviewSettled, Settlement,
};
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

    /// Does what is due: sends the reviews that were asked for, and fetches keys where it is our turn.
    fn do_what_is_due(&mut self, now: UnixTime) {
        while let Some(review) = self.with(Authenticator::next_review).flatten() {
            self.send(&review, now);
        }
        while let Some(Due { issuer, shared_key }) = self.with(|core| core.due(now)).flatten() {
            match shared_key {
                Some(key) => self.consult(issuer, &key, now),
                None => self.fetch(issuer, now),
            }
        }
    }

    fn consult(&mut self, issuer: usize, key: &str, now: UnixTime) {
        let (entry, cas) = match host::shared_data(key) {
            Ok((entry, cas)) => (Some(entry), cas),
            Err(_) => (None, host::CREATE),
        };
        match self.with(|core| core.consult(issuer, entry.as_deref(), now)) {
            None | Some(Consultation::Wait) => {}
            Some(Consultation::Settled(settled)) => self.keys_settled(&settled, now),
            Some(Consultation::Fetch) => self.fetch(issuer, now),
            Some(Consultation::Claim(entry)) => match host::set_shared_data(key, &entry, cas) {
                Ok(()) => self.fetch(issuer, now),
                Err(_) => {
                    self.with(|core| core.claim_lost(issuer, now));
                }
            },
        }
    }

    fn fetch(&mut self, issuer: usize, now: UnixTime) {
        if let Some(callout) = self.with(|core| core.fetch(issuer, now)).flatten() {
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

    /// Tells the log and the other VMs, and has those woken who waited.
    fn keys_settled(&mut self, settled: &KeysSettled, now: UnixTime) {
        if matches!(settled.outcome, Settled::Continues) {
            return;
        }
        if let Some(state) = &self.state {
            state.count(|metrics| metrics.fetched(settled, now));
        }
        self.news.of_keys(settled, now);
        self.publish(settled.issuer, now);
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

    /// Shares what was fetched, or gives the lease back. Whoever cannot read it fetches.
    fn publish(&self, issuer: usize, now: UnixTime) {
        let publication = self.with(|core| core.publication(issuer, now)).flatten();
        if let Some((key, entry)) = publication {
            let _ = host::set_shared_data(&key, &entry, 0);
            return;
        }
        if let Some(key) = self.with(|core| core.shared_key(issuer)).flatten() {
            self.release(issuer, &key);
        }
    }

    fn release(&self, issuer: usize, key: &str) {
        let Ok((entry, cas)) = host::shared_data(key) else { return };
        if let Some(entry) = self.with(|core| core.released(issuer, &entry)).flatten() {
            let _ = host::set_shared_data(key, &entry, cas);
        }
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
        let figures = |core: &mut Authenticator| (core.waiting().len(), core.take_tally());
        let (waiting, tally) = state.with(figures).unwrap_or_default();
        state.count(|metrics| {
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
        let seed = seed();
        let mut authenticator = Authenticator::new(config, verifier, seed);
        if has_private_shared_data() {
            authenticator.share_keys(seed);
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
        // A fetch that ends with us must not keep the next configuration from its own.
        for (issuer, key) in self.with(|core| core.leases()).unwrap_or_default() {
            self.release(issuer, &key);
        }
        // Envoy would go on ticking for a context that is no more.
        let _ = host::set_tick(Duration::ZERO);
    }
}

/// Differs between VMs: std seeds its hashers from the host's random numbers.
fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), host::now_nanos().ok())
}

/// Shared data is one namespace for all plugins with one vm_id. Istio gives every plugin the empty one,
/// so there another plugin could plant keys: then each VM fetches for itself.
fn has_private_shared_data() -> bool {
    host::property(&["plugin_vm_id"]).is_ok_and(|vm_id| !vm_id.is_empty())
}

/// See [`Root::wake_some`]; a tenth of what was seen to overflow.
const WAKES_PER_CALLBACK: usize = 32;
