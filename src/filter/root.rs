//! The plugin: its configuration, its ticks, its callouts, and the waking of requests that waited.

use super::apply::{Applied, apply};
use super::host::{self, Failed, Level};
use super::http::Http;
use crate::authenticator::{Authenticator, Consultation, Due, KeysSettled};
use crate::authn::keys::Settled;
use crate::authn::signature::Verifier;
use crate::callout::{Callout, CalloutId, MAX_BODY_BYTES, Reply};
use crate::config::Config;
use crate::exchange::{Exchange, Finished, Input, Step};
use crate::time::UnixTime;
use crate::verdict::{Denial, Realm, Verdict};
use crate::waiting::RequestId;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

/// The root context.
pub(super) struct Root {
    id: u32,
    shared: Rc<SharedState>,
    /// Which callout of the core's a call of the host's is.
    calls: HashMap<u32, CalloutId>,
}

/// What the root context and its requests share. Envoy runs one callback of a VM at a time and none
/// inside another, so a borrow never meets another; should it, the request is refused.
#[derive(Default)]
pub(super) struct SharedState {
    authenticator: RefCell<Option<Authenticator>>,
    held: RefCell<HashMap<RequestId, Held>>,
    realm: Realm,
}

/// A request that waits.
struct Held {
    exchange: Exchange,
    passed: Rc<Cell<bool>>,
}

/// The host's clock.
pub(super) fn clock() -> Option<UnixTime> {
    host::now_nanos().ok().map(UnixTime::from_nanos)
}

// === impl SharedState ===

impl SharedState {
    pub(super) fn realm(&self) -> &Realm {
        &self.realm
    }

    /// `None` when there is no configuration, which Envoy does not let happen.
    pub(super) fn step(
        &self,
        exchange: &mut Exchange,
        input: Input<'_>,
        now: UnixTime,
    ) -> Option<Step> {
        let mut authenticator = self.authenticator.try_borrow_mut().ok()?;
        Some(exchange.step(input, authenticator.as_mut()?, now))
    }

    /// Keeps a request until it is woken, and has the call that it waits for sent soon.
    pub(super) fn hold(&self, id: RequestId, exchange: Exchange, passed: Rc<Cell<bool>>) {
        if let Ok(mut held) = self.held.try_borrow_mut() {
            held.insert(id, Held { exchange, passed });
        }
        let _ = host::set_tick(SOON);
    }

    pub(super) fn forget(&self, id: RequestId) {
        let held = self.held.try_borrow_mut().ok().and_then(|mut held| held.remove(&id));
        if held.is_some()
            && let Ok(mut authenticator) = self.authenticator.try_borrow_mut()
            && let Some(authenticator) = authenticator.as_mut()
        {
            authenticator.waiting().forget(id);
        }
    }

    pub(super) fn refuse(&self, denial: Denial) -> Applied {
        let finished = Finished { verdict: Verdict::Deny(denial), caller: None, grpc: false };
        apply(&finished, &self.realm)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Authenticator) -> T) -> Option<T> {
        self.authenticator.try_borrow_mut().ok()?.as_mut().map(act)
    }

    /// Takes a request that waited to its next step. One that is gone is forgotten.
    fn wake(&self, id: RequestId, past_deadline: bool, now: UnixTime) {
        let Some(mut held) = self.held.try_borrow_mut().ok().and_then(|mut all| all.remove(&id))
        else {
            return;
        };
        let map = host::set_effective_context(id).and_then(|()| host::request_headers());
        let Ok(map) = map else {
            self.with(|authenticator| authenticator.waiting().forget(id));
            return;
        };
        let input =
            if past_deadline { Input::DeadlinePassed(&map) } else { Input::KeysChanged(&map) };
        match self.step(&mut held.exchange, input, now) {
            Some(Step::Hold) => return self.hold(id, held.exchange, held.passed),
            Some(Step::Finish(finished)) => {
                held.passed.set(apply(&finished, &self.realm) == Applied::Pass);
            }
            None => {}
        }
        if held.passed.get() {
            let _ = host::resume_request();
        }
    }
}

// === impl Root ===

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self { id, shared: Rc::default(), calls: HashMap::new() }
    }

    /// Does what is due: looks at the shared entry where there is one, and fetches where it is our turn.
    fn do_what_is_due(&mut self, now: UnixTime) {
        while let Some(Due { issuer, shared_key }) =
            self.shared.with(|core| core.due(now)).flatten()
        {
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
        let consulted = self.shared.with(|core| core.consult(issuer, entry.as_deref(), now));
        match consulted {
            None | Some(Consultation::Wait) => {}
            Some(Consultation::Settled(settled)) => self.settled(&settled, now),
            Some(Consultation::Fetch) => self.fetch(issuer, now),
            Some(Consultation::Claim(entry)) => match host::set_shared_data(key, &entry, cas) {
                Ok(()) => self.fetch(issuer, now),
                Err(_) => {
                    self.shared.with(|core| core.claim_lost(issuer, now));
                }
            },
        }
    }

    /// Sends a call. One that cannot be sent is answered at once.
    fn fetch(&mut self, issuer: usize, now: UnixTime) {
        let Some(callout) = self.shared.with(|core| core.fetch(issuer, now)).flatten() else {
            return;
        };
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
        if let Some(settled) = self.shared.with(|core| core.settle(id, reply, now)).flatten() {
            self.settled(&settled, now);
        }
    }

    /// Tells the log and the other VMs, and wakes who waited.
    fn settled(&self, settled: &KeysSettled, now: UnixTime) {
        report(settled);
        if matches!(settled.outcome, Settled::Continues) {
            return;
        }
        let publication = self.shared.with(|core| core.publication(settled.issuer, now)).flatten();
        if let Some((key, entry)) = publication {
            // Whoever cannot read it fetches.
            let _ = host::set_shared_data(&key, &entry, 0);
        }
        let waiting = self.shared.with(|core| core.waiting().for_issuer(settled.issuer));
        self.wake(waiting.unwrap_or_default(), false, now);
    }

    fn wake(&self, ids: Vec<RequestId>, past_deadline: bool, now: UnixTime) {
        for id in ids {
            self.shared.wake(id, past_deadline, now);
        }
        // A call that was sent on behalf of a request would end with it.
        let _ = host::set_effective_context(self.id);
    }

    fn wake_overdue(&self, now: UnixTime) {
        let overdue = self.shared.with(|core| core.waiting().overdue(now));
        self.wake(overdue.unwrap_or_default(), true, now);
    }

    /// The next tick, when there is something to do, and not too rarely: a clock can be set back.
    fn schedule(&self, now: UnixTime) {
        let due = self.shared.with(|core| core.next_deadline()).flatten();
        let wait = due.map_or(IDLE, |due| due.since(now));
        let _ = host::set_tick(wait.clamp(SOON, IDLE));
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
        self.shared.authenticator.replace(Some(authenticator));
        // Calls wait for the first tick: those of the main thread's trial run would be lost.
        let _ = host::set_tick(SOON);
        true
    }

    fn on_tick(&mut self) {
        let Some(now) = clock() else { return };
        self.do_what_is_due(now);
        self.wake_overdue(now);
        self.schedule(now);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::new(id, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _: usize) {
        let (Some(id), Some(now)) = (self.calls.remove(&token), clock()) else { return };
        let reply = if headers == 0 { Reply::Reset } else { read_reply(body) };
        self.settle(id, reply, now);
        // The next call of a discovery must not wait for a tick.
        self.do_what_is_due(now);
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

fn report(settled: &KeysSettled) {
    let name = &settled.name;
    match &settled.outcome {
        Settled::Continues | Settled::Rationed => {}
        Settled::Renewed { keys, skipped } => {
            let line = format!("keys of {name:?}: {keys} usable, {skipped} of other kinds skipped");
            host::log(Level::Info, &line);
        }
        Settled::Failed(failure) => {
            host::log(Level::Warn, &format!("keys of {name:?} cannot be fetched: {failure}"));
        }
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

/// How soon a call that a request waits for is sent.
const SOON: Duration = Duration::from_millis(10);

/// How often the time is looked at when nothing is due.
const IDLE: Duration = Duration::from_secs(1);
