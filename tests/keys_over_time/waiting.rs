//! Requests that wait: how many, how long, and which never do.

use super::{
    HELD, UNAVAILABLE, UNKNOWN_KEY, before, core, discovered, key, millis, seconds, set, token,
};
use crate::support::{Core, Outcome, discovery_document, get, ok, pairs, with};
use envoy_test::token::DEFAULT_ISSUER;
use sa_authn::callout::Reply;
use sa_authn::verdict::Reason;
use serde_json::json;

const OVERLOADED: Outcome = Outcome::Refused(Reason::Overloaded);

#[test]
fn more_than_may_wait_are_refused_as_overload() {
    let (mut core, key) = (limited(json!({ "maxWaiting": 3 })), key());
    let mut waiting: Vec<_> = (0..3).map(|_| core.held_by(&key)).collect();
    for _ in 0..5 {
        assert_eq!(core.by(&key), OVERLOADED);
    }
    assert_eq!(core.paused().len(), 3);
    // Who leaves makes room.
    core.hangs_up(waiting.pop().unwrap().id);
    assert_eq!(core.by(&key), HELD);
    assert_eq!(core.by(&key), OVERLOADED);
    core.publish(&set(&[&key]));
    assert!(waiting.iter_mut().all(|request| request.wakes(&mut core).passes()));
    assert!(core.by(&key).passes());
}

#[test]
fn those_with_unknown_kids_take_no_places_of_those_without_keys() {
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
fn a_request_whose_time_is_up_is_refused_as_our_failure() {
    for (limits, patience) in [(json!({}), 5), (json!({ "waitTimeout": "2s" }), 2)] {
        let (mut core, key) = (limited(limits), key());
        core.calls();
        let mut request = core.held_by(&key);
        let deadline = core.now.plus(seconds(patience));
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
fn a_request_whose_time_is_up_as_the_keys_come_passes() {
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
fn a_request_that_is_woken_in_vain_keeps_its_deadline() {
    let (mut core, key) = (core(json!({})), key());
    let mut request = core.held_by(&key);
    let came = core.now;
    core.fails(Reply::Reset);
    core.wait(millis(500));
    assert_eq!(request.wakes(&mut core), HELD);
    let overdue = core.paused().overdue(came.plus(seconds(5)));
    assert_eq!(overdue, [request.id]);
}

#[test]
fn a_request_that_got_its_verdict_waits_no_more() {
    let (mut core, old, new) = (core(json!({})), key(), key());
    let (mut good, mut bad) = (core.held_by(&old), core.held_by(&new));
    assert_eq!(core.paused().for_issuer(0), [good.id, bad.id]);
    core.publish(&set(&[&old]));
    assert!(good.wakes(&mut core).passes());
    assert_eq!(bad.wakes(&mut core), UNKNOWN_KEY);
    assert!(core.paused().is_empty());
}

#[test]
fn what_needs_no_keys_is_refused_while_others_wait() {
    let (mut core, key) = (core(json!({})), key());
    core.held_by(&key);
    assert_eq!(core.bearer("x"), Outcome::Refused(Reason::MalformedToken));
    let other = crate::support::good().issuer("https://other.example").sign(&key);
    assert_eq!(core.bearer(&other), Outcome::Refused(Reason::UnknownIssuer));
    let none = pairs(&[(":method", "GET"), (":path", "/")]);
    assert_eq!(core.outcome(&none), Outcome::Refused(Reason::MissingToken));
}

#[test]
fn an_open_path_never_waits() {
    let rules = json!({ "rules": [
        { "paths": ["/healthz"], "allow": "anyone" },
        { "allow": "authenticated" },
    ] });
    let (mut core, key) = (Core::at(super::START, &with(discovered(json!({})), rules)), key());
    let Outcome::Passed(edits) = core.outcome(&get("/healthz", &token(&key))) else {
        panic!("an open path")
    };
    assert!(edits.set().next().is_none(), "nobody was proven");
    assert_eq!(core.outcome(&get("/", &token(&key))), HELD);
    assert_eq!(core.paused().len(), 1);
}

#[test]
fn a_request_that_is_refused_anyway_does_not_wait() {
    let rules = json!({ "rules": [{ "paths": ["/*"], "allow": "authenticated" }] });
    let (mut core, key) = (Core::at(super::START, &with(discovered(json!({})), rules)), key());
    let ambiguous = Outcome::Refused(Reason::AmbiguousPath);
    assert_eq!(core.outcome(&get("/a%2fb", &token(&key))), ambiguous);
    assert!(core.paused().is_empty());
}

#[test]
fn shadow_mode_holds_nobody() {
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
fn a_clock_before_2020_is_our_failure_and_never_the_callers() {
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
