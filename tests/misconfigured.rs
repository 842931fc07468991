//! `root_id: sa-authn:deny-if-misconfigured`: the filter runs with an invalid configuration, and denies every request.

use crate::support::{get, good, inline, map_of, pairs, with};
use envoy_test::scenarios::{InvalidConfig, invalid_configs};
use envoy_test::{KeyKind, Pairs, SigningKey};
use log::Level;
use sa_authn::connection::Connection;
use sa_authn::core::{Core, Effect, Environment, Event};
use sa_authn::denial::Reason;
use sa_authn::metrics::Change;
use sa_authn::time::UnixTime;
use sa_authn::verdict::{Answer, Verdict};
use serde_json::{Value, json};

const DENY: &str = "sa-authn:deny-if-misconfigured";

/// A core that has loaded a configuration, and everything that it did since.
struct Loaded {
    core: Core,
    now: UnixTime,
    log: Vec<(Level, String)>,
    gauge: Option<u64>,
    /// `None` until the configuration was accepted or rejected.
    accepted: Option<bool>,
}

// === impl Loaded ===

impl Loaded {
    fn new(text: &str, root_id: Option<&str>) -> Self {
        Self::with_json(Some(text.as_bytes()), root_id)
    }

    fn with_json(json: Option<&[u8]>, root_id: Option<&str>) -> Self {
        let core = Core::new(Environment::default());
        let now = UnixTime::from_secs(envoy_test::unix_now());
        let mut loaded = Self { core, now, log: Vec::new(), gauge: None, accepted: None };
        let root_id = root_id.map(str::as_bytes);
        loaded.handle(Event::ConfigurationLoaded { json, root_id });
        loaded
    }

    /// Handles an event; the effects that concern requests.
    fn handle(&mut self, event: Event<'_>) -> Vec<Effect> {
        self.core.handle(event, self.now);
        let mut of_requests = Vec::new();
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Log(level, line) => self.log.push((level, line)),
                Effect::Metric(Change::Level(name, level)) if name == "sa_authn.misconfigured" => {
                    self.gauge = Some(level);
                }
                Effect::AcceptConfiguration => self.accepted = Some(true),
                Effect::RejectConfiguration => self.accepted = Some(false),
                Effect::Metric(_) | Effect::WakeIn(_) | Effect::StopTicking => {}
                effect => of_requests.push(effect),
            }
        }
        of_requests
    }

    /// The verdict on a request, and the response if it is denied.
    fn request(&mut self, headers: &Pairs) -> (Verdict, Option<Answer>) {
        let map = map_of(headers);
        let (headers, connection) = (Some(map.as_slice()), Connection::default());
        let event = Event::RequestHeaders { id: 1, headers, connection, end_of_stream: false };
        match self.handle(event).pop() {
            Some(Effect::Finish { finished, answer, .. }) => {
                (finished.verdict, answer.map(|answer| *answer))
            }
            other => panic!("no verdict: {other:?}"),
        }
    }

    fn errors(&self) -> Vec<&str> {
        let errors = self.log.iter().filter(|(level, _)| *level == Level::Error);
        errors.map(|(_, line)| line.as_str()).collect()
    }
}

fn key() -> SigningKey {
    SigningKey::generate(KeyKind::P256)
}

/// `/healthz` is open to anyone, and `/secrets/*` to `api/api`.
fn valid(key: &SigningKey) -> Value {
    let rules = json!([
        { "name": "health", "paths": ["/healthz"], "allow": "anyone" },
        { "name": "secrets", "paths": ["/secrets/*"], "allow": ["api/api"] },
    ]);
    with(inline(&[key]), json!({ "rules": rules }))
}

#[test]
fn every_request_is_denied_as_misconfigured_if_the_root_id_says_so() {
    let key = key();
    let token = good().sign(&key);
    for InvalidConfig { name, text, problem } in invalid_configs(&valid(&key)) {
        let mut loaded = Loaded::new(&text, Some(DENY));
        assert_eq!(loaded.accepted, Some(true), "{name}");
        let expected = format!("configuration: {problem}");
        let errors = loaded.errors();
        assert!(errors.iter().any(|line| line.starts_with(&expected)), "{name}: {errors:?}");
        let preflight = pairs(&[(":method", "OPTIONS"), (":path", "/"), ("origin", "https://a")]);
        for headers in [get("/secrets/1", &token), get("/healthz", ""), preflight, Pairs::new()] {
            let (verdict, answer) = loaded.request(&headers);
            let Verdict::Deny(denial) = verdict else { panic!("{name}: {verdict:?}") };
            assert_eq!(denial.reason(), Reason::Misconfigured, "{name}: {headers:?}");
            assert!(denial.detail().starts_with(problem), "{name}: {denial:?}");
            let answer = answer.expect("a response");
            assert_eq!((answer.status, answer.details.as_str()), (503, "sa_authn.misconfigured"));
            let body = r#"{"reason":"misconfigured","message":"the request could not be checked"}"#;
            assert_eq!(answer.body, body, "{name}");
        }
        let held = loaded.handle(Event::RequestBody(1));
        assert!(matches!(held.as_slice(), [Effect::Body(1, false)]), "{name}: {held:?}");
        let held = loaded.handle(Event::RequestTrailers(1, Some(&map_of(&Pairs::new()))));
        let proceeds = |effect: &Effect| matches!(effect, Effect::Trailers { proceed: true, .. });
        assert!(held.len() == 1 && !held.iter().any(proceeds), "{name}: {held:?}");
    }
}

#[test]
fn invalid_configuration_is_refused_by_default() {
    let key = key();
    let others = ["", "sa-authn", "deny-if-misconfigured", "sa-authn-deny-if-misconfigured"];
    for InvalidConfig { name, text, problem } in invalid_configs(&valid(&key)) {
        for root_id in [None].into_iter().chain(others.map(Some)) {
            let mut loaded = Loaded::new(&text, root_id);
            assert_eq!(loaded.accepted, Some(false), "{name} {root_id:?}");
            let expected = format!("configuration: {problem}");
            assert!(loaded.errors().iter().any(|line| line.starts_with(&expected)), "{name}");
            let (verdict, _) = loaded.request(&get("/healthz", ""));
            assert!(matches!(verdict, Verdict::Deny(_)), "{name}: {verdict:?}");
        }
    }
}

#[test]
fn unknown_mode_in_the_root_id_denies_every_request() {
    let key = key();
    let (config, token) = (valid(&key).to_string(), good().sign(&key));
    for mode in ["", "deny", "deny-if-misconfigured ", "Deny-If-Misconfigured", "allow"] {
        let mut loaded = Loaded::new(&config, Some(&format!("sa-authn:{mode}")));
        assert_eq!(loaded.accepted, Some(true), "{mode:?}");
        let expected =
            "configuration: root_id: unknown mode; expected sa-authn:deny-if-misconfigured";
        assert!(loaded.errors().iter().any(|line| line.starts_with(expected)), "{mode:?}");
        let (verdict, _) = loaded.request(&get("/secrets/1", &token));
        let Verdict::Deny(denial) = verdict else { panic!("{mode:?}: {verdict:?}") };
        assert_eq!(denial.reason(), Reason::Misconfigured, "{mode:?}");
    }
}

#[test]
fn configuration_that_cannot_be_read_denies_every_request_if_the_root_id_says_so() {
    let mut loaded = Loaded::with_json(None, Some(DENY));
    assert_eq!(loaded.accepted, Some(true));
    assert_eq!(loaded.errors().first(), Some(&"configuration: cannot be read"));
    let (_, answer) = loaded.request(&get("/", ""));
    assert_eq!(answer.map(|answer| answer.status), Some(503));
    assert_eq!(Loaded::with_json(None, None).accepted, Some(false));
}

#[test]
fn valid_configuration_decides_requests_under_this_root_id() {
    let key = key();
    let mut loaded = Loaded::new(&valid(&key).to_string(), Some(DENY));
    assert_eq!((loaded.accepted, loaded.gauge), (Some(true), Some(0)));
    let (verdict, _) = loaded.request(&get("/secrets/1", &good().sign(&key)));
    assert!(matches!(verdict, Verdict::Allow(..)), "{verdict:?}");
    let (verdict, _) = loaded.request(&pairs(&[(":method", "GET"), (":path", "/secrets/1")]));
    let Verdict::Deny(denial) = verdict else { panic!("{verdict:?}") };
    assert_eq!(denial.reason(), Reason::MissingToken);
}

#[test]
fn grpc_caller_of_a_misconfigured_filter_gets_unavailable() {
    let mut loaded = Loaded::new("", Some(DENY));
    let headers = [("content-type", "application/grpc"), (":method", "POST"), (":path", "/a/B")];
    let (_, answer) = loaded.request(&pairs(&headers));
    let answer = answer.expect("a response");
    let expected = (14, "misconfigured: the request could not be checked");
    assert_eq!((answer.grpc_status, answer.body.as_str()), expected);
}

#[test]
fn gauge_is_1_while_the_filter_is_misconfigured() {
    let mut loaded = Loaded::new("{}", Some(DENY));
    assert_eq!(loaded.gauge, Some(1));
    // Another configuration of the same Envoy sets it to 0 when it starts.
    loaded.gauge = Some(0);
    loaded.handle(Event::Tick);
    assert_eq!(loaded.gauge, Some(1));
    loaded.handle(Event::ConfigurationRemoved);
    assert_eq!(loaded.gauge, Some(0));
}
