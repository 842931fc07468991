//! Drives the core as the shell does, with headers, responses and the time of the test.

use envoy_test::{Pairs, SigningKey, Token, jwks, unix_now};
use sa_authn::authenticator::{AccessReviewed, KeysSettled, ReviewSettled, Settlement};
use sa_authn::authn::keys::discovery;
use sa_authn::authn::signature::HostVerify;
use sa_authn::authn::trace::TokenTrace;
use sa_authn::authz::HeaderEdits;
use sa_authn::authz::trace::RuleTrace;
use sa_authn::callout::{Callout, Reply};
use sa_authn::config::{Config, Settings};
use sa_authn::connection::{Connection, SourceAddress};
use sa_authn::core::{Environment, Event, NativeDriver};
use sa_authn::denial::{Denial, Reason};
use sa_authn::exchange::Finished;
use sa_authn::headers::to_map;
use sa_authn::metrics::Change;
use sa_authn::paused::{PausedRequests, RequestId};
use sa_authn::time::UnixTime;
use sa_authn::trace::Trace;
use sa_authn::verdict::Verdict;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// The core with one configuration, and its current time.
pub struct Core {
    driver: NativeDriver,
    pub now: UnixTime,
    /// The connection attributes of new requests.
    pub connection: Connection,
    config: Value,
    last_request: RequestId,
    /// Calls that were due when [`Self::publish`] answered those for keys.
    kept: Vec<Callout>,
}

/// One request, which the core may pause.
pub struct Request {
    pub id: RequestId,
    connection: Connection,
    map: Vec<u8>,
}

/// A completed review, and the requests that waited for it.
#[derive(Debug)]
pub struct ReviewEnded {
    pub settled: ReviewSettled,
    pub waiting: Vec<RequestId>,
}

/// The last completed call.
#[derive(Default)]
struct Settled(RefCell<Option<Settlement>>);

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed(HeaderEdits),
    /// Shadow mode: enforce mode would have denied the request.
    Shadowed(Reason, HeaderEdits),
    Refused(Reason),
    Held,
}

// === impl Core ===

impl Core {
    /// Starts without fetched keys, at the current time, as `envoy_test` mints tokens.
    pub fn new(config: &Value) -> Self {
        Self::at(unix_now(), config)
    }

    /// Starts at this time.
    pub fn at(unix_seconds: u64, config: &Value) -> Self {
        Self::with_host(None, unix_seconds, config)
    }

    /// The same with a host that verifies signatures.
    pub fn with_host(host: Option<HostVerify>, unix_seconds: u64, config: &Value) -> Self {
        Self::in_environment(Environment { host_verify: host, seed: SEED }, unix_seconds, config)
    }

    pub fn in_environment(environment: Environment, unix_seconds: u64, config: &Value) -> Self {
        let parsed = Config::parse(config.to_string().as_bytes())
            .unwrap_or_else(|problems| panic!("configuration: {problems:#?}"));
        Self {
            driver: NativeDriver::new(parsed, environment),
            now: UnixTime::from_secs(unix_seconds),
            connection: Connection { source: SourceAddress(next_address), ..Connection::default() },
            config: config.clone(),
            last_request: 0,
            kept: Vec::new(),
        }
    }

    /// Advances the time.
    pub fn wait(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
    }

    /// The calls that are due.
    pub fn calls(&mut self) -> Vec<Callout> {
        let mut calls = std::mem::take(&mut self.kept);
        calls.extend(self.driver.take_calls(self.now));
        calls
    }

    /// The only call that is due.
    pub fn call(&mut self) -> Callout {
        let [call] = &self.calls()[..] else { panic!("exactly one call") };
        call.clone()
    }

    /// Whether no call is due.
    pub fn is_quiet(&mut self) -> bool {
        self.calls().is_empty()
    }

    fn settle(&mut self, call: &Callout, reply: Reply) -> Option<Settlement> {
        let settled = Settled::default();
        self.driver.handle_traced(Event::CallEnded(call.id, reply), self.now, &settled);
        settled.0.into_inner()
    }

    /// Delivers the reply to a call; `None` if the call is no longer in flight.
    pub fn reply(&mut self, call: &Callout, reply: Reply) -> Option<KeysSettled> {
        match self.settle(call, reply)? {
            Settlement::Keys(settled) => Some(settled),
            other => panic!("a review: {other:?}"),
        }
    }

    /// Delivers the response to a review of an access; `None` if the call is no longer in flight.
    pub fn answer_access(&mut self, call: &Callout, reply: Reply) -> Option<Rc<AccessReviewed>> {
        match self.settle(call, reply)? {
            Settlement::Access(reviewed) => Some(reviewed),
            other => panic!("another call: {other:?}"),
        }
    }

    /// Delivers the response to a review.
    pub fn answer_review(&mut self, call: &Callout, reply: Reply) -> ReviewEnded {
        self.end_review(call, reply).expect("a review in flight")
    }

    /// The same; `None` if the review is no longer in flight.
    pub fn end_review(&mut self, call: &Callout, reply: Reply) -> Option<ReviewEnded> {
        let waiting = self.paused().for_review(call.id);
        match self.settle(call, reply)? {
            Settlement::Review(settled) => Some(ReviewEnded { settled, waiting }),
            other => panic!("another call: {other:?}"),
        }
    }

    /// Answers every call for keys that is due, discovery included, with this JWKS.
    pub fn publish(&mut self, jwks: &str) {
        let is_review = |call: &Callout| call.body.is_some();
        loop {
            let (reviews, calls): (Vec<_>, Vec<_>) = self.calls().into_iter().partition(is_review);
            self.kept = reviews;
            if calls.is_empty() {
                return;
            }
            calls.iter().for_each(|call| self.reply_with_keys(call, jwks));
        }
    }

    /// Answers a call for keys: with the discovery document, or with this JWKS.
    pub fn reply_with_keys(&mut self, call: &Callout, jwks: &str) {
        let body = match call.path.as_str() {
            discovery::PATH => discovery_document(&self.issuer_behind(&call.cluster)),
            _ => jwks.to_owned(),
        };
        self.reply(call, ok(body));
    }

    /// The core itself.
    pub fn core(&self) -> &sa_authn::core::Core {
        self.driver.core()
    }

    /// The paused requests.
    pub fn paused(&self) -> &PausedRequests {
        self.driver.core().paused().expect("a configuration")
    }

    /// The settings for requests.
    pub fn settings(&self) -> &Settings {
        self.driver.core().settings().expect("a configuration")
    }

    /// The next deadline.
    pub fn next_deadline(&mut self) -> Option<UnixTime> {
        self.driver.core_mut().next_deadline()
    }

    /// This configuration replaces an earlier one.
    pub fn takes_over(&mut self, earlier: &mut Self) {
        self.driver.handle(Event::ConfigurationReplaces(earlier.driver.core_mut()), self.now);
    }

    /// The caller of a request hangs up.
    pub fn hangs_up(&mut self, id: RequestId) {
        self.driver.handle(Event::RequestEnded(id), self.now);
    }

    /// The metrics that changed since the last call, in alphabetical order.
    pub fn counts(&mut self) -> Vec<(String, u64)> {
        let changes = self.driver.take_metrics(self.now).into_iter();
        let mut counts: Vec<_> = changes
            .filter_map(|change| match change {
                Change::Count(name, count) | Change::Level(name, count) => Some((name, count)),
                Change::Shift(..) => None,
            })
            .filter(|(name, _)| !name.starts_with("sa_authn.build."))
            .filter(|(name, _)| name != "sa_authn.misconfigured")
            .collect();
        counts.sort();
        counts
    }

    /// The log lines since the last call.
    pub fn log(&mut self) -> Vec<(log::Level, String)> {
        self.driver.take_log()
    }

    /// The value of this metric in `counts`.
    pub fn counted(counts: &[(String, u64)], name: &str) -> u64 {
        let of_name = counts.iter().filter(|(counted, _)| counted == name);
        of_name.map(|(_, count)| count).sum()
    }

    fn issuer_behind(&self, cluster: &str) -> String {
        let issuers = self.config["issuers"].as_array().expect("issuers");
        let issuer = issuers.iter().find(|issuer| {
            ["discovery", "jwks"].iter().any(|kind| issuer["keys"][kind]["cluster"] == cluster)
        });
        issuer.and_then(|issuer| issuer["issuer"].as_str()).expect("a cluster").to_owned()
    }

    /// A new request.
    pub fn request(&mut self, headers: &Pairs) -> Request {
        self.request_of(map_of(headers))
    }

    /// A request with this header map.
    pub fn request_of(&mut self, map: Vec<u8>) -> Request {
        self.last_request += 1;
        let id = self.last_request;
        Request { id, connection: self.connection.clone(), map }
    }

    /// Evaluates a request once; `None` if it is paused.
    pub fn judge(&mut self, headers: &Pairs) -> Option<Finished> {
        self.request(headers).finished(self)
    }

    /// Evaluates a request once.
    pub fn outcome(&mut self, headers: &Pairs) -> Outcome {
        self.request(headers).arrives(self)
    }

    /// The denial of a request.
    pub fn denial(&mut self, headers: &Pairs) -> Denial {
        match self.judge(headers).map(|finished| finished.verdict) {
            Some(Verdict::Deny(denial)) => denial,
            other => panic!("not denied: {other:?}"),
        }
    }

    /// Evaluates `GET /` with this token.
    pub fn bearer(&mut self, token: &str) -> Outcome {
        self.outcome(&get("/", token))
    }
}

// === impl Request ===

impl Request {
    /// The headers reach the filter.
    pub fn arrives(&mut self, core: &mut Core) -> Outcome {
        self.finished(core).into()
    }

    /// The same with all details of the outcome; `None` if the request is paused.
    pub fn finished(&mut self, core: &mut Core) -> Option<Finished> {
        core.driver.request(self.id, &self.map, &self.connection, core.now)
    }

    /// The outcome after a key fetch.
    pub fn wakes(&mut self, core: &mut Core) -> Outcome {
        self.resumed(core).into()
    }

    /// The same with all details of the outcome.
    pub fn woken(&mut self, core: &mut Core) -> Option<Finished> {
        self.resumed(core)
    }

    /// The outcome after the review that the request waited for.
    pub fn reviewed(&mut self, core: &mut Core, ended: &ReviewEnded) -> Outcome {
        self.finished_by(core, ended).into()
    }

    /// The same with all details of the outcome.
    pub fn finished_by(&mut self, core: &mut Core, ended: &ReviewEnded) -> Option<Finished> {
        assert!(ended.waiting.contains(&self.id), "{} waits for another review", self.id);
        self.resumed(core)
    }

    /// Advances the time to the deadline, if it has not passed.
    pub fn gives_up(&mut self, core: &mut Core) -> Outcome {
        self.finished_late(core).into()
    }

    /// The same with all details of the outcome.
    pub fn finished_late(&mut self, core: &mut Core) -> Option<Finished> {
        let deadline = core.paused().deadline(self.id).expect("a paused request");
        core.now = core.now.max(deadline);
        core.driver.handle(Event::Tick, core.now);
        self.resumed(core)
    }

    /// Requests resume a few at a time.
    fn resumed(&self, core: &mut Core) -> Option<Finished> {
        loop {
            match core.driver.take_finished(self.id) {
                None if core.paused().are_resuming() => core.driver.handle(Event::Tick, core.now),
                finished => return finished,
            }
        }
    }
}

impl TokenTrace for Settled {}

impl RuleTrace for Settled {}

impl Trace for Settled {
    fn settled(&self, settlement: &Settlement) {
        self.0.replace(Some(settlement.clone()));
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether the request is allowed.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Passed(_))
    }
}

impl From<Option<Finished>> for Outcome {
    fn from(finished: Option<Finished>) -> Self {
        let Some(finished) = finished else { return Self::Held };
        match finished.verdict {
            Verdict::Allow(_, edits) => Self::Passed(edits),
            Verdict::Shadow(permit, edits) => Self::Shadowed(permit.denial().reason(), edits),
            Verdict::Deny(denial) => Self::Refused(denial.reason()),
        }
    }
}

// === documents and requests ===

/// One issuer with inline keys.
pub fn inline(keys: &[&SigningKey]) -> Value {
    json!({ "issuers": [{
        "name": "local",
        "issuer": envoy_test::token::DEFAULT_ISSUER,
        "audiences": [envoy_test::token::DEFAULT_AUDIENCE],
        "keys": { "inline": jwks(keys) },
    }] })
}

/// One issuer whose keys are discovered.
pub fn discovered() -> Value {
    json!({ "issuers": [{
        "name": "local",
        "issuer": envoy_test::token::DEFAULT_ISSUER,
        "audiences": [envoy_test::token::DEFAULT_AUDIENCE],
        "keys": {
            "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" },
        },
    }] })
}

/// `config` with more members.
pub fn with(mut config: Value, more: Value) -> Value {
    let (Some(members), Value::Object(more)) = (config.as_object_mut(), more) else {
        panic!("two objects")
    };
    members.extend(more);
    config
}

/// The discovery document of this issuer.
pub fn discovery_document(issuer: &str) -> String {
    json!({ "issuer": issuer, "jwks_uri": "https://10.0.0.1:6443/openid/v1/jwks" }).to_string()
}

/// An answer of status 200.
pub fn ok(body: impl Into<Vec<u8>>) -> Reply {
    answered(200, body)
}

/// An answer with this status, without the headers that the filter reads.
pub fn answered(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply::Response { status, cache_control: None, retry_after: None, body: Some(body.into()) }
}

/// So many seconds.
pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A good token of `api/api`.
pub fn good() -> Token {
    Token::for_service_account("api", "api").pod("api-1").node("node-1")
}

/// `GET` with a bearer token.
pub fn get(path: &str, token: &str) -> Pairs {
    let bearer = format!("Bearer {token}");
    pairs(&[(":method", "GET"), (":path", path), ("authorization", &bearer)])
}

pub fn pairs(headers: &[(&str, &str)]) -> Pairs {
    headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

pub fn map_of(headers: &Pairs) -> Vec<u8> {
    to_map(headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())))
}

/// Every request comes from an address of its own, unless a test says otherwise.
fn next_address() -> Option<String> {
    thread_local! {
        static LAST: Cell<u32> = const { Cell::new(0) };
    }
    let last = LAST.get() + 1;
    LAST.set(last);
    Some(format!("{}:40000", std::net::Ipv4Addr::from_bits(0x0a00_0000 + last)))
}

const SEED: u64 = 0x5eed;
