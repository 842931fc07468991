//! docs/troubleshooting.md: a section for each reason, whose log line is what the core says of such a request.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use envoy_test::scenarios::World;
use envoy_test::{KeyKind, SigningKey, jwks};
use sa_authn::callout::Reply;
use sa_authn::decision_log::DecisionLog;
use sa_authn::exchange::Finished;
use sa_authn::verdict::Reason;
use serde_json::{Value, json};
use support::{Core, Request, discovered, get, good, inline, with};

/// Heading, and what is written below it.
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
fn every_reason_has_a_section_in_the_order_in_which_requests_meet_them() {
    let headings: Vec<_> = sections().into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(headings, Reason::ALL.map(Reason::code));
}

#[test]
fn the_log_line_of_each_section_is_what_the_core_says() {
    let said = lines();
    for (reason, section) in sections() {
        let line = section.lines().find(|line| line.starts_with('{')).expect("a line of the log");
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["verdict"], &line["reason"]), (&json!("denied"), &json!(reason)));
        let shape = shape(&line);
        let alike: Vec<_> = said.iter().filter(|said| said.0 == shape.0).collect();
        assert!(alike.contains(&&shape), "{shape:?} is none of {alike:?}");
    }
}

/// Reason, fields, and the detail without what differs from run to run.
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
    finished.extend([keys_unavailable(), overloaded(), internal()]);
    finished.extend(reviews());
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
        core.reply(&call, Reply::Response { status: 403, cache_control: None, body: None });
    }
    waiting.finished_late(&mut core).expect("an answer")
}

fn overloaded() -> Finished {
    let config = with(discovered(), json!({ "limits": { "maxWaiting": 1 } }));
    let (mut core, key) = (Core::new(&config), SigningKey::generate(KeyKind::P256));
    assert!(request(&mut core, &key).finished(&mut core).is_none());
    request(&mut core, &key).finished(&mut core).expect("an answer")
}

fn internal() -> Finished {
    let key = SigningKey::generate(KeyKind::P256);
    let mut core = Core::at(5, &inline(&[&key]));
    request(&mut core, &key).finished(&mut core).expect("an answer")
}

/// The API server's no, its yes to nobody, and its refusal to answer.
fn reviews() -> Vec<Finished> {
    let no =
        json!({ "error": "[invalid bearer token, service account token has been invalidated]" });
    let to_nobody = json!({ "authenticated": true, "user": { "username": "system:anonymous" } });
    let answer = |status: Value| {
        let review = json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status,
        });
        let body = Some(review.to_string().into_bytes());
        Reply::Response { status: 201, cache_control: None, body }
    };
    let denied = Reply::Response { status: 403, cache_control: None, body: Some(Vec::new()) };
    [answer(no), answer(to_nobody), denied].into_iter().map(reviewed).collect()
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
