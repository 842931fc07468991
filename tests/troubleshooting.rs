//! docs/troubleshooting.md has a section for each reason, with the log line that the core writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{self, Core, Request, discovered, get, good, inline, with};
use envoy_test::scenarios::World;
use envoy_test::{KeyKind, SigningKey, jwks};
use sa_authn::callout::Reply;
use sa_authn::connection::Connection;
use sa_authn::core::{Effect, Environment, Event};
use sa_authn::decision_log::DecisionLog;
use sa_authn::denial::Reason;
use sa_authn::exchange::Finished;
use sa_authn::time::UnixTime;
use serde_json::{Value, json};

/// The headings with the text below them.
fn sections() -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let page = fs::read_to_string(file).unwrap();
    let sections = page.split("\n### ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').expect("a text");
        (heading.to_owned(), text.to_owned())
    });
    sections.collect()
}

#[test]
fn troubleshooting_guide_has_every_reason_in_order() {
    let headings: Vec<_> = sections().into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(headings, Reason::ALL.map(Reason::code));
}

#[test]
fn documented_log_lines_match_the_core() {
    let written = lines();
    for (reason, section) in sections() {
        let line = section.lines().find(|line| line.starts_with('{')).expect("a line of the log");
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["verdict"], &line["reason"]), (&json!("denied"), &json!(reason)));
        let shape = shape(&line);
        let alike: Vec<_> = written.iter().filter(|line| line.0 == shape.0).collect();
        assert!(alike.contains(&&shape), "{shape:?}: expected one of {alike:?}");
    }
}

/// Reason, fields, and the detail without parts that differ between runs.
fn shape(line: &Value) -> (String, Vec<String>, String) {
    let fields = line.as_object().unwrap().keys().filter(|name| *name != "request_id").cloned();
    let mut fields: Vec<_> = fields.collect();
    fields.sort_unstable();
    let detail = line["detail"].as_str().unwrap_or_default();
    let words = detail.split(' ').map(|word| {
        let varies = word.len() > 30 || word.bytes().any(|byte| byte.is_ascii_digit());
        if varies { "_" } else { word }
    });
    let words: Vec<_> = words.collect();
    (line["reason"].as_str().unwrap().to_owned(), fields, words.join(" "))
}

fn lines() -> BTreeSet<(String, Vec<String>, String)> {
    let mut finished = scenarios();
    finished.extend([keys_unavailable(), overloaded(), misconfigured(), internal()]);
    finished.extend(reviews());
    finished.extend(accesses());
    let line = |finished: &Finished| {
        DecisionLog::default().line(finished, sa_authn::time::UnixTime::from_secs(2_000_000_000))
    };
    let lines = finished.iter().filter_map(line);
    let lines = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
    lines.filter(|line| line["reason"].is_string()).map(|line| shape(&line)).collect()
}

fn scenarios() -> Vec<Finished> {
    let world = World::around(SigningKey::generate(KeyKind::Rsa2048));
    let published = jwks(&world.published().each_ref()).to_string();
    let mut all = Vec::new();
    for group in world.groups() {
        let mut core = Core::new(&group.config);
        core.publish(&published);
        let sent = group.scenarios.iter().map(|scenario| scenario.request.header_map());
        all.extend(sent.filter_map(|headers| core.judge(&headers)));
    }
    all
}

fn request(core: &mut Core, key: &SigningKey) -> Request {
    core.request(&get("/secrets/1", &good().sign(key)))
}

fn keys_unavailable() -> Finished {
    let mut core = Core::new(&discovered());
    let key = SigningKey::generate(KeyKind::P256);
    let mut waiting = request(&mut core, &key);
    assert!(waiting.finished(&mut core).is_none());
    for call in core.calls() {
        core.reply(
            &call,
            Reply::Response { status: 403, cache_control: None, retry_after: None, body: None },
        );
    }
    waiting.finished_late(&mut core).expect("an answer")
}

fn overloaded() -> Finished {
    let config = with(discovered(), json!({ "limits": { "maxWaiting": 1 } }));
    let (mut core, key) = (Core::new(&config), SigningKey::generate(KeyKind::P256));
    assert!(request(&mut core, &key).finished(&mut core).is_none());
    request(&mut core, &key).finished(&mut core).expect("an answer")
}

fn misconfigured() -> Finished {
    let mut config = discovered();
    config["issuers"][0]["audience"] = json!("secret-store");
    let config = config.to_string();
    let mut core = sa_authn::core::Core::new(Environment::default());
    let now = UnixTime::from_secs(2_000_000_000);
    let (json, root_id) = (config.as_bytes(), b"sa-authn:deny-if-misconfigured".as_slice());
    core.handle(Event::ConfigurationLoaded { json: Some(json), root_id: Some(root_id) }, now);
    let map = support::map_of(&get("/secrets/1", ""));
    let (headers, connection) = (Some(map.as_slice()), Connection::default());
    let event = Event::RequestHeaders { id: 1, headers, connection, end_of_stream: true };
    core.handle(event, now);
    let finished = std::iter::from_fn(|| core.poll_effect()).find_map(|effect| match effect {
        Effect::Finish { finished, .. } => Some(*finished),
        _ => None,
    });
    finished.expect("a verdict")
}

fn internal() -> Finished {
    let key = SigningKey::generate(KeyKind::P256);
    let mut core = Core::at(5, &inline(&[&key]));
    request(&mut core, &key).finished(&mut core).expect("an answer")
}

/// An answer that Kubernetes RBAC gives, one that it does not give, and a missing query parameter.
fn accesses() -> Vec<Finished> {
    let key = SigningKey::generate(KeyKind::P256);
    let mut config = inline(&[&key]);
    config["issuers"][0]["subjectAccessReview"] =
        json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" });
    let resource = json!({ "resource": "pods", "namespace": { "query": "ns" } });
    let rbac = json!({ "name": "rbac", "allow": { "kubernetesRBAC": { "resource": resource } } });
    let mut core = Core::new(&with(config, json!({ "rules": [rbac] })));
    let token = good().sign(&key);
    let missing = core.judge(&get("/pods", &token)).expect("an answer");
    let mut request = core.request(&get("/pods?ns=a", &token));
    assert!(request.finished(&mut core).is_none());
    let call = core.calls().pop().expect("a review");
    let denied = Reply::Response {
        status: 403,
        cache_control: None,
        retry_after: None,
        body: Some(Vec::new()),
    };
    core.answer_access(&call, denied).expect("a review");
    vec![missing, request.woken(&mut core).expect("an answer")]
}

/// A rejection, an approval of `system:anonymous`, and an error of the API server.
fn reviews() -> Vec<Finished> {
    let rejection =
        json!({ "error": "[invalid bearer token, service account token has been invalidated]" });
    let anonymous = json!({ "authenticated": true, "user": { "username": "system:anonymous" } });
    let answer = |status: Value| {
        let review = json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status,
        });
        let body = Some(review.to_string().into_bytes());
        Reply::Response { status: 201, cache_control: None, retry_after: None, body }
    };
    let denied = Reply::Response {
        status: 403,
        cache_control: None,
        retry_after: None,
        body: Some(Vec::new()),
    };
    [answer(rejection), answer(anonymous), denied].into_iter().map(reviewed).collect()
}

fn reviewed(reply: Reply) -> Finished {
    let key = SigningKey::generate(KeyKind::P256);
    let mut config = inline(&[&key]);
    config["issuers"][0]["tokenReview"] =
        json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" });
    let mut core = Core::new(&config);
    let mut request = request(&mut core, &key);
    assert!(request.finished(&mut core).is_none());
    let call = core.calls().pop().expect("a review");
    let settled = core.answer_review(&call, reply);
    request.finished_by(&mut core, &settled).expect("an answer")
}
