//! Drives the core as the shell does: headers, answers and the time go in, verdicts and calls come out.
#![allow(dead_code, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use envoy_test::{Pairs, SigningKey, Token, jwks, unix_now};
use sa_authn::authenticator::{Authenticator, KeysSettled, ReviewSettled, Settlement};
use sa_authn::authn::keys::discovery;
use sa_authn::authn::signature::Verifier;
use sa_authn::callout::{Callout, Reply};
use sa_authn::config::Config;
use sa_authn::connection::{Connection, SourceAddress};
use sa_authn::exchange::{Exchange, Finished, Input, Step};
use sa_authn::headers::to_map;
use sa_authn::time::UnixTime;
use sa_authn::verdict::{Denial, HeaderEdits, Reason, Verdict};
use sa_authn::waiting::RequestId;
use serde_json::{Value, json};
use std::cell::Cell;
use std::time::Duration;

/// The core under one configuration, and what time it is there.
pub struct Core {
    pub authenticator: Authenticator,
    pub now: UnixTime,
    /// What the connections of requests that come from now on say.
    pub connection: Connection,
    config: Value,
    last_request: RequestId,
}

/// One request, which the core may hold.
pub struct Request {
    pub id: RequestId,
    exchange: Exchange,
    map: Vec<u8>,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed(HeaderEdits),
    /// Shadow mode: it would have been refused.
    Shadowed(Reason, HeaderEdits),
    Refused(Reason),
    Held,
}

// === impl Core ===

impl Core {
    /// Starts without fetched keys, at the time at which `envoy_test` mints tokens.
    pub fn new(config: &Value) -> Self {
        Self::at(unix_now(), config)
    }

    /// Starts at a time of the test's choosing.
    pub fn at(unix_seconds: u64, config: &Value) -> Self {
        Self::verifying_with(Verifier::default(), unix_seconds, config)
    }

    pub fn verifying_with(verifier: Verifier, unix_seconds: u64, config: &Value) -> Self {
        let parsed = Config::parse(config.to_string().as_bytes())
            .unwrap_or_else(|problems| panic!("configuration: {problems:#?}"));
        Self {
            authenticator: Authenticator::new(parsed, verifier, SEED),
            now: UnixTime::from_secs(unix_seconds),
            connection: Connection { source: SourceAddress(next_address), ..Connection::default() },
            config: config.clone(),
            last_request: 0,
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
    }

    /// The calls that are due.
    pub fn calls(&mut self) -> Vec<Callout> {
        std::iter::from_fn(|| self.authenticator.poll(self.now)).collect()
    }

    /// Brings the reply to a call.
    pub fn reply(&mut self, call: &Callout, reply: Reply) -> Option<KeysSettled> {
        match self.authenticator.settle(call.id, reply, self.now)? {
            Settlement::Keys(settled) => Some(settled),
            Settlement::Review(settled) => panic!("a review: {settled:?}"),
        }
    }

    /// Brings the API server's answer to a review.
    pub fn answer_review(&mut self, call: &Callout, reply: Reply) -> ReviewSettled {
        match self.authenticator.settle(call.id, reply, self.now) {
            Some(Settlement::Review(settled)) => settled,
            other => panic!("no review: {other:?}"),
        }
    }

    /// Answers every call that is due, discovery included, with this JWKS.
    pub fn publish(&mut self, jwks: &str) {
        while let Some(call) = self.authenticator.poll(self.now) {
            let body = match call.path.as_str() {
                discovery::PATH => discovery_document(&self.issuer_behind(&call.cluster)),
                _ => jwks.to_owned(),
            };
            self.reply(&call, ok(body));
        }
    }

    fn issuer_behind(&self, cluster: &str) -> String {
        let issuers = self.config["issuers"].as_array().expect("issuers");
        let issuer = issuers.iter().find(|issuer| {
            ["discovery", "jwks"].iter().any(|kind| issuer["keys"][kind]["cluster"] == cluster)
        });
        issuer.and_then(|issuer| issuer["issuer"].as_str()).expect("a cluster").to_owned()
    }

    /// A request that comes now.
    pub fn request(&mut self, headers: &Pairs) -> Request {
        self.request_of(map_of(headers))
    }

    /// A request whose header map is whatever the host handed over.
    pub fn request_of(&mut self, map: Vec<u8>) -> Request {
        self.last_request += 1;
        let id = self.last_request;
        let exchange = Exchange::new(id, self.now).over(self.connection.clone());
        Request { id, exchange, map }
    }

    /// Judges a request once; `None` when it is held.
    pub fn judge(&mut self, headers: &Pairs) -> Option<Finished> {
        self.request(headers).finished(self)
    }

    /// Judges a request once.
    pub fn outcome(&mut self, headers: &Pairs) -> Outcome {
        self.request(headers).arrives(self)
    }

    /// Why a request is refused.
    pub fn denial(&mut self, headers: &Pairs) -> Denial {
        match self.judge(headers).map(|finished| finished.verdict) {
            Some(Verdict::Deny(denial)) => denial,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Judges `GET /` with this token, as most tests want it.
    pub fn bearer(&mut self, token: &str) -> Outcome {
        self.outcome(&get("/", token))
    }
}

// === impl Request ===

impl Request {
    /// Its headers reach the filter.
    pub fn arrives(&mut self, core: &mut Core) -> Outcome {
        self.exchange.step(Input::Headers(&self.map), &mut core.authenticator, core.now).into()
    }

    /// The same, for who wants more than the outcome; `None` when it is held.
    pub fn finished(&mut self, core: &mut Core) -> Option<Finished> {
        let input = Input::Headers(&self.map);
        finished(self.exchange.step(input, &mut core.authenticator, core.now))
    }

    /// A fetch that it may wait for ended.
    pub fn wakes(&mut self, core: &mut Core) -> Outcome {
        self.exchange.step(Input::KeysChanged(&self.map), &mut core.authenticator, core.now).into()
    }

    /// The review that it waits for has ended.
    pub fn reviewed(&mut self, core: &mut Core, settled: &ReviewSettled) -> Outcome {
        assert!(settled.waiting.contains(&self.id), "{} waits for another review", self.id);
        let input = Input::Reviewed(&self.map, &settled.reviewed);
        self.exchange.step(input, &mut core.authenticator, core.now).into()
    }

    /// The same, for who wants more than the outcome.
    pub fn finished_by(&mut self, core: &mut Core, settled: &ReviewSettled) -> Option<Finished> {
        let input = Input::Reviewed(&self.map, &settled.reviewed);
        finished(self.exchange.step(input, &mut core.authenticator, core.now))
    }

    /// It waited long enough, for who wants more than the outcome.
    pub fn finished_late(&mut self, core: &mut Core) -> Option<Finished> {
        let input = Input::DeadlinePassed(&self.map);
        finished(self.exchange.step(input, &mut core.authenticator, core.now))
    }

    /// It waited long enough.
    pub fn gives_up(&mut self, core: &mut Core) -> Outcome {
        let input = Input::DeadlinePassed(&self.map);
        self.exchange.step(input, &mut core.authenticator, core.now).into()
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether the request goes on as an allowed one.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Passed(_))
    }
}

impl From<Step> for Outcome {
    fn from(step: Step) -> Self {
        let Step::Finish(finished) = step else { return Self::Held };
        match finished.verdict {
            Verdict::Allow(_, edits) => Self::Passed(edits),
            Verdict::Shadow(shadowed, edits) => Self::Shadowed(shadowed.denial().reason(), edits),
            Verdict::Deny(denial) => Self::Refused(denial.reason()),
        }
    }
}

fn finished(step: Step) -> Option<Finished> {
    match step {
        Step::Finish(finished) => Some(finished),
        Step::Hold => None,
    }
}

// === documents and requests ===

/// One issuer whose keys stand in the configuration.
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

/// What an API server that listens on an address of its own says of this issuer.
pub fn discovery_document(issuer: &str) -> String {
    json!({ "issuer": issuer, "jwks_uri": "https://10.0.0.1:6443/openid/v1/jwks" }).to_string()
}

/// An answer of status 200.
pub fn ok(body: impl Into<Vec<u8>>) -> Reply {
    Reply::Response { status: 200, cache_control: None, body: Some(body.into()) }
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
