//! Paused requests: limits, deadlines, and requests that are never paused.

use super::{
    HELD, UNAVAILABLE, UNKNOWN_KEY, before, core, discovered, key, millis, seconds, set, token,
};
use crate::support::{Core, Outcome, discovery_document, get, ok, pairs, with};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::callout::Reply;
use sa_authn::denial::Reason;
use serde_json::json;

const OVERLOADED: Outcome = Outcome::Refused(Reason::Overloaded);

#[test]
fn requests_beyond_max_waiting_are_rejected_as_overloaded() {
    let (mut core, key) = (limited(json!({ "maxWaiting": 3 })), key());
    let mut waiting: Vec<_> = (0..3).map(|_| core.held_by(&key)).collect();
    for _ in 0..5 {
        assert_eq!(core.by(&key), OVERLOADED);
    }
    assert_eq!(core.paused().len(), 3);
    // A caller that hangs up frees its place.
    core.hangs_up(waiting.pop().unwrap().id);
    assert_eq!(core.by(&key), HELD);
    assert_eq!(core.by(&key), OVERLOADED);
    core.publish(&set(&[&key]));
    assert!(waiting.iter_mut().all(|request| request.wakes(&mut core).passes()));
    assert!(core.by(&key).passes());
}

#[test]
fn requests_with_unknown_kids_do_not_use_the_places_of_requests_without_keys() {
    let mut config = with(discovered(json!({})), json!({ "limits": { "maxWaiting": 2 } }));
    let mut second = config["issuers"][0].clone();
    second["name"] = json!("second");
    second["issuer"] = json!("https://second.example");
    second["keys"]["discovery"]["cluster"] = json!("second");
    config["issuers"].as_array_mut().unwrap().push(second);
    let (mut core, known) = (Core::at(super::START, &config), key());
    let calls = core.calls();
    let first = calls.iter().find(|call| call.cluster == "kube-apiserver").unwrap().clone();
    core.reply(
        &first,
        crate::support::ok(crate::support::discovery_document(envoy_test::token::DEFAULT_ISSUER)),
    );
    core.publish(&set(&[&known]));
    core.wait(seconds(2));
    for _ in 0..2 {
        core.held_by(&key());
    }
    assert_eq!(core.by(&key()), OVERLOADED);
    let elsewhere = crate::support::good().issuer("https://second.example");
    let elsewhere = elsewhere.issued_at(super::START).lifetime(3600).sign(&known);
    assert_eq!(core.bearer(&elsewhere), HELD);
}

#[test]
fn paused_request_past_its_deadline_is_rejected_as_keys_unavailable() {
    for (limits, timeout) in [(json!({}), 5), (json!({ "waitTimeout": "2s" }), 2)] {
        let (mut core, key) = (limited(limits), key());
        core.calls();
        let mut request = core.held_by(&key);
        let deadline = core.now.plus(seconds(timeout));
        assert_eq!(core.next_deadline(), Some(deadline));
        core.now = before(deadline, millis(1));
        assert_eq!(core.paused().overdue(core.now), Vec::<u32>::new());
        core.now = deadline;
        assert_eq!(core.paused().overdue(core.now), [request.id]);
        assert_eq!(request.gives_up(&mut core), UNAVAILABLE);
        assert!(core.paused().is_empty());
    }
}

#[test]
fn request_at_its_deadline_passes_if_the_keys_arrive() {
    let (mut core, key) = (core(json!({})), key());
    let mut request = core.held_by(&key);
    let discovery = core.call();
    core.reply(&discovery, ok(discovery_document(DEFAULT_ISSUER)));
    let call = core.call();
    core.wait(seconds(5));
    core.reply(&call, ok(set(&[&key])));
    assert!(request.wakes(&mut core).passes());
}

#[test]
fn request_resumed_without_keys_keeps_its_deadline() {
    let (mut core, key) = (core(json!({})), key());
    let mut request = core.held_by(&key);
    let arrival = core.now;
    core.fails(Reply::Reset);
    core.wait(millis(500));
    assert_eq!(request.wakes(&mut core), HELD);
    let overdue = core.paused().overdue(arrival.plus(seconds(5)));
    assert_eq!(overdue, [request.id]);
}

#[test]
fn request_with_a_verdict_is_no_longer_paused() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    let (mut good, mut bad) = (core.held_by(&old), core.held_by(&new));
    assert_eq!(core.paused().for_issuer(0), [good.id, bad.id]);
    core.publish(&set(&[&old]));
    assert!(good.wakes(&mut core).passes());
    assert_eq!(bad.wakes(&mut core), UNKNOWN_KEY);
    assert!(core.paused().is_empty());
}

#[test]
fn tokens_rejected_without_keys_are_not_paused() {
    let (mut core, key) = (core(json!({})), key());
    core.held_by(&key);
    assert_eq!(core.bearer("x"), Outcome::Refused(Reason::MalformedToken));
    let other = crate::support::good().issuer("https://other.example").sign(&key);
    assert_eq!(core.bearer(&other), Outcome::Refused(Reason::UnknownIssuer));
    let none = pairs(&[(":method", "GET"), (":path", "/")]);
    assert_eq!(core.outcome(&none), Outcome::Refused(Reason::MissingToken));
}

#[test]
fn open_path_is_never_paused() {
    let rules = json!({ "rules": [
        { "paths": ["/healthz"], "allow": "anyone" },
        { "allow": "authenticated" },
    ] });
    let (mut core, key) = (Core::at(super::START, &with(discovered(json!({})), rules)), key());
    let Outcome::Passed(edits) = core.outcome(&get("/healthz", &token(&key))) else {
        panic!("an open path")
    };
    assert!(edits.set().next().is_none(), "no caller is authenticated");
    assert_eq!(core.outcome(&get("/", &token(&key))), HELD);
    assert_eq!(core.paused().len(), 1);
}

#[test]
fn ambiguous_path_is_rejected_without_a_pause() {
    let rules = json!({ "rules": [{ "paths": ["/*"], "allow": "authenticated" }] });
    let (mut core, key) = (Core::at(super::START, &with(discovered(json!({})), rules)), key());
    let ambiguous = Outcome::Refused(Reason::AmbiguousPath);
    assert_eq!(core.outcome(&get("/a%2fb", &token(&key))), ambiguous);
    assert!(core.paused().is_empty());
}

#[test]
fn shadow_mode_pauses_no_request() {
    let config = with(discovered(json!({})), json!({ "mode": "shadow" }));
    let (mut core, key) = (Core::at(super::START, &config), key());
    match core.by(&key) {
        Outcome::Shadowed(reason, _) => assert_eq!(reason, Reason::KeysUnavailable),
        other => panic!("{other:?}"),
    }
    assert!(core.paused().is_empty());
    core.publish(&set(&[&key]));
    assert!(core.by(&key).passes());
}

#[test]
fn clock_before_2020_is_an_internal_error() {
    let (mut core, key) = (core(json!({})), key());
    core.publish(&set(&[&key]));
    core.now = sa_authn::time::UnixTime::from_secs(1_577_836_799);
    let denial = core.denial_of(&key);
    assert_eq!(denial.reason(), Reason::Internal);
    assert!(denial.detail().contains("before 2020"), "{}", denial.detail());
}

fn limited(limits: serde_json::Value) -> Core {
    Core::at(super::START, &with(discovered(json!({})), json!({ "limits": limits })))
}
