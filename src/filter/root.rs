//! The plugin: its configuration, its ticks, its callouts, and the waking of requests that waited.

use super::host::{self, Failed, Level};
use super::http::Http;
use super::state::{Happened, State, clock};
use super::stats::Stats;
use crate::authenticator::{Authenticator, Consultation, Due, KeysSettled};
use crate::authn::keys::Settled;
use crate::authn::signature::Verifier;
use crate::callout::{Callout, CalloutId, MAX_BODY_BYTES, Reply};
use crate::config::Config;
use crate::metrics::Change;
use crate::time::UnixTime;
use crate::waiting::RequestId;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// The root context.
pub(super) struct Root {
    id: u32,
    state: Option<Rc<State>>,
    /// Which callout of the core's a call of the host's is.
    calls: HashMap<u32, CalloutId>,
    /// Requests whose keys were fetched, or not, and that have not been woken yet.
    to_wake: VecDeque<RequestId>,
    /// What was said last of each issuer's keys, and when.
    said: HashMap<usize, (String, UnixTime)>,
    stats: Stats,
}

// === impl Root ===

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            state: None,
            calls: HashMap::new(),
            to_wake: VecDeque::new(),
            said: HashMap::new(),
            stats: Stats::default(),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Authenticator) -> T) -> Option<T> {
        self.state.as_ref()?.with(act)
    }

    /// Does what is due: looks at the shared entry where there is one, and fetches where it is our turn.
    fn do_what_is_due(&mut self, now: UnixTime) {
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
            Some(Consultation::Settled(settled)) => self.settled(&settled, now),
            Some(Consultation::Fetch) => self.fetch(issuer, now),
            Some(Consultation::Claim(entry)) => match host::set_shared_data(key, &entry, cas) {
                Ok(()) => self.fetch(issuer, now),
                Err(_) => {
                    self.with(|core| core.claim_lost(issuer, now));
                }
            },
        }
    }

    /// Sends a call. One that cannot be sent is answered at once.
    fn fetch(&mut self, issuer: usize, now: UnixTime) {
        let Some(callout) = self.with(|core| core.fetch(issuer, now)).flatten() else { return };
        match send(&callout) {
            Ok(token) => {
                self.calls.insert(token, callout.id);
            }
            Err(failed) => {
                let unknown = failed == host::BAD_ARGUMENT;
                let reply = if unknown { Reply::UnknownCluster } else { Reply::NotSent };
                self.settle(callout.id, reply, now);
            }
        }
    }

    fn settle(&mut self, id: CalloutId, reply: Reply, now: UnixTime) {
        if let Some(settled) = self.with(|core| core.settle(id, reply, now)).flatten() {
            self.settled(&settled, now);
        }
    }

    /// Tells the log and the other VMs, and has those woken who waited.
    fn settled(&mut self, settled: &KeysSettled, now: UnixTime) {
        if matches!(settled.outcome, Settled::Continues) {
            return;
        }
        if let Some(state) = &self.state {
            state.count(|metrics| metrics.fetched(settled, now));
        }
        self.report(settled, now);
        self.publish(settled.issuer, now);
        let waiting = self.with(|core| core.waiting().for_issuer(settled.issuer));
        self.to_wake.extend(waiting.unwrap_or_default());
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
        ready.into_iter().for_each(|id| state.wake(id, Happened::KeysChanged));
        overdue.into_iter().take(left).for_each(|id| state.wake(id, Happened::DeadlinePassed));
        // A call that was sent on behalf of a request would end with it.
        let _ = host::set_effective_context(self.id);
        if more {
            state.tick_soon();
        }
    }

    /// Tells Envoy what was counted: not with each request, because each call costs.
    fn flush(&mut self) {
        let Some(state) = self.state.clone() else { return };
        let waiting = state.with(|core| core.waiting().len()).unwrap_or_default();
        state.count(|metrics| {
            metrics.waiting(waiting);
            metrics.take().iter().for_each(|change| self.stats.tell(change));
        });
    }

    /// Says what changed about an issuer's keys, and once a minute that it still fails.
    fn report(&mut self, settled: &KeysSettled, now: UnixTime) {
        let name = &settled.name;
        let (level, line) = match &settled.outcome {
            Settled::Continues | Settled::Rationed => return,
            Settled::Renewed { keys, skipped, .. } => {
                let line =
                    format!("keys of {name:?}: {keys} usable, {skipped} of other kinds skipped");
                (Level::Info, line)
            }
            Settled::Failed(failure) => {
                // A server's own words are in it, and may be many.
                let failure: String = failure.to_string().chars().take(MAX_SHOWN).collect();
                (Level::Warn, format!("keys of {name:?} cannot be fetched: {failure}"))
            }
        };
        let failed = matches!(settled.outcome, Settled::Failed(_));
        let known = self
            .said
            .get(&settled.issuer)
            .is_some_and(|(said, at)| *said == line && !(failed && now.since(*at) >= SAY_AGAIN));
        if !known {
            host::log(level, &line);
            self.said.insert(settled.issuer, (line, now));
        }
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
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
        self.state = Some(Rc::new(state));
        true
    }

    fn on_tick(&mut self) {
        let (Some(state), Some(now)) = (self.state.clone(), clock()) else { return };
        state.tick_came();
        self.do_what_is_due(now);
        let due = state.with(|core| core.next_deadline()).flatten();
        if let Some(due) = due {
            state.tick_in(due.since(now));
        }
        self.wake_some(now);
        if self.stats.is_due(now) {
            self.flush();
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(id, self.state.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Root {
    /// The configuration has been replaced, and the last of its requests is over.
    fn on_done(&mut self) -> bool {
        self.flush();
        // A fetch that ends with us must not keep the next configuration from its own.
        for (issuer, key) in self.with(|core| core.leases()).unwrap_or_default() {
            self.release(issuer, &key);
        }
        // Envoy would go on ticking for a context that is no more.
        let _ = host::set_tick(Duration::ZERO);
        true
    }

    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        let (Some(id), Some(now)) = (self.calls.remove(&token), clock()) else { return };
        let reply = if headers == 0 { Reply::Reset } else { read_reply(body) };
        self.settle(id, reply, now);
        // The next call of a discovery must not wait for a tick.
        self.do_what_is_due(now);
        self.wake_some(now);
    }
}

fn read_reply(body_size: usize) -> Reply {
    let header = |name| {
        let value = host::callout_header(name).ok()?;
        String::from_utf8(value).ok().filter(|value| !value.is_empty())
    };
    let Some(status) = header(":status").and_then(|status| status.parse().ok()) else {
        return Reply::Reset;
    };
    let body = (body_size <= MAX_BODY_BYTES)
        .then(|| host::callout_body(MAX_BODY_BYTES).unwrap_or_default());
    Reply::Response { status, cache_control: header("cache-control"), body }
}

fn send(callout: &Callout) -> Result<u32, Failed> {
    let headers = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", callout.authority.as_str()),
        (":path", callout.path.as_str()),
        ("accept", callout.accept),
        ("user-agent", concat!("sa-authn/", env!("CARGO_PKG_VERSION"))),
    ];
    host::dispatch_get(&callout.cluster, &headers, callout.timeout)
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

const MAX_SHOWN: usize = 500;

/// How often a failure that goes on is said again.
const SAY_AGAIN: Duration = Duration::from_secs(60);
