//! `onOutage: "acceptVerified"`: verified tokens pass during an outage of the API server, but not during a shortage.

use super::{
    Caller, HELD, OVERLOADED, REVOKED, UNAVAILABLE, World, answered, configured, created, gone,
    millis, review, seconds, verifying,
};
use crate::support;
use crate::support::{Outcome, good};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::callout::{Callout, Reply};
use sa_authn::decision_log::DecisionLog;
use sa_authn::denial::Reason;
use serde_json::{Value, json};

pub(super) fn accepting() -> World {
    verifying(json!({ "onOutage": "acceptVerified" }))
}

/// An outage, detected by a failed review of another token.
pub(super) fn in_outage(mut world: World) -> World {
    let first = world.caller("first");
    assert!(world.answered(&first, Reply::Reset).passes());
    world
}

/// The reason why a request passed without a review, and its log line.
fn unreviewed(world: &mut World, caller: &Caller) -> (String, Value) {
    let finished = world.core.judge(&caller.get("/")).expect("a verdict at once");
    let line = DecisionLog::default().line(&finished, world.core.now).expect("a line");
    let why = finished.unreviewed.expect("not reviewed");
    assert_eq!(why.reason(), Reason::ReviewUnavailable);
    (why.detail().to_owned(), serde_json::from_str(&line).unwrap())
}

/// docs/token-review.md has this table.
#[test]
fn verified_token_is_accepted_only_during_an_outage() {
    for (reply, outage) in [
        (Reply::Reset, true),
        (support::answered(503, "no healthy upstream"), true),
        (support::answered(503, "upstream connect error or disconnect/reset before headers"), true),
        (support::answered(504, "upstream request timeout"), true),
        (answered(500, &json!({})), true),
        (answered(502, &json!({})), true),
        // A caller can create these.
        (Reply::NotSent, false),
        (
            support::answered(
                503,
                "upstream connect error or disconnect/reset before headers. reset reason: overflow",
            ),
            false,
        ),
        (answered(429, &json!({})), false),
        // The operator must see these.
        (Reply::UnknownCluster, false),
        (answered(400, &json!({})), false),
        (answered(401, &json!({})), false),
        (answered(403, &json!({})), false),
        (answered(404, &json!({})), false),
        (answered(302, &json!({})), false),
        (support::answered(200, "<html>log in</html>"), false),
        (created(&json!({ "kind": "Status" })), false),
        (
            Reply::Response { status: 201, cache_control: None, retry_after: None, body: None },
            false,
        ),
    ] {
        let mut world = accepting();
        let (caller, other) = (world.caller("api"), world.caller("other"));
        let which = format!("{reply:?}");
        let outcome = world.answered(&caller, reply);
        if outage {
            assert!(outcome.passes(), "{which}: {outcome:?}");
            assert!(world.passes(&other), "{which}");
        } else {
            assert_eq!(outcome, UNAVAILABLE, "{which}");
            assert_eq!(world.by(&other), HELD, "{which}");
        }
    }
}

#[test]
fn revoked_token_does_not_pass_if_too_many_requests_are_paused() {
    let mut world = accepting();
    let revoked = world.caller("revoked");
    let mut requests = Vec::new();
    let mut outcomes = Vec::new();
    for _ in 0..1020 {
        let mut request = world.core.request(&revoked.get("/"));
        match request.arrives(&mut world.core) {
            HELD => requests.push(request),
            other => outcomes.push(other),
        }
    }
    assert_eq!(requests.len(), 1000);
    let settled = world.answer(gone());
    let answers = requests.iter_mut().map(|request| request.reviewed(&mut world.core, &settled));
    outcomes.extend(answers);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == OVERLOADED).count(), 20);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == REVOKED).count(), 1000);
}

#[test]
fn revoked_token_does_not_pass_if_new_tokens_use_all_reviews() {
    let mut world = accepting();
    for number in 0..48 {
        let fresh = world.caller(&format!("fresh-{number}"));
        world.held(&fresh);
    }
    let revoked = world.caller("revoked");
    assert_eq!(world.by(&revoked), OVERLOADED);
}

#[test]
fn status_429_for_one_token_does_not_affect_another() {
    let mut world = accepting();
    let (attacker, revoked) = (world.caller("attacker"), world.caller("revoked"));
    assert_eq!(world.answered(&attacker, answered(429, &json!({}))), UNAVAILABLE);
    for _ in 0..2 {
        assert_eq!(world.answered(&revoked, gone()), REVOKED);
        world.wait(seconds(40));
    }
}

#[test]
fn request_past_its_deadline_is_denied_unless_an_outage_is_known() {
    let mut world = accepting();
    let (slow, other) = (world.caller("slow"), world.caller("other"));
    let mut first = world.held(&slow);
    world.wait(millis(500));
    let mut second = world.held(&slow);
    let call = world.call();
    assert_eq!(first.gives_up(&mut world.core), UNAVAILABLE);
    assert!(world.answered(&other, Reply::Reset).passes());
    assert!(second.gives_up(&mut world.core).passes());
    world.core.answer_review(&call, gone());
    assert_eq!(world.by(&slow), REVOKED);
}

#[test]
fn no_review_is_sent_during_an_outage_and_the_log_has_the_cause() {
    let mut world = accepting();
    let (first, second) = (world.caller("first"), world.caller("second"));
    // The first request of an outage is paused until its review fails.
    assert!(world.answered(&first, answered(500, &json!({}))).passes());
    for caller in [&first, &second] {
        let (why, line) = unreviewed(&mut world, caller);
        let expected = "outage of the API server: the API server answered 500: unexpected status";
        assert_eq!(why, expected);
        let sub = &caller.claims["sub"];
        assert_eq!(line, json!({ "verdict": "allowed", "unreviewed": expected, "sub": sub }));
    }
    assert!(world.is_quiet());
}

#[test]
fn one_request_probes_after_5_seconds_while_others_pass() {
    let mut world = in_outage(accepting());
    let (probe, other) = (world.caller("probe"), world.caller("other"));
    world.wait(seconds(5) - millis(1));
    assert!(world.passes(&probe) && world.is_quiet());
    world.wait(millis(1));
    let mut request = world.held(&probe);
    assert!(world.passes(&other));
    let call = world.call();
    // The probe fails: the outage lasts for another five seconds.
    let settled = world.core.answer_review(&call, Reply::Reset);
    assert!(request.reviewed(&mut world.core, &settled).passes());
    assert!(world.passes(&other) && world.is_quiet());
    world.wait(seconds(5));
    // Any answer to the probe ends the outage.
    assert_eq!(world.answered(&probe, gone()), REVOKED);
    assert_eq!(world.by(&other), HELD);
}

#[test]
fn any_response_ends_an_outage() {
    // A shortage too: a caller could create one, and so prolong the outage.
    for reply in [gone(), answered(403, &json!({})), answered(429, &json!({})), Reply::NotSent] {
        let mut world = in_outage(accepting());
        let (probe, other) = (world.caller("probe"), world.caller("other"));
        world.wait(seconds(5));
        assert!(!world.answered(&probe, reply).passes());
        assert_eq!(world.by(&other), HELD);
    }
}

#[test]
fn failed_review_is_no_outage_if_the_api_server_answered_another_since() {
    let undecided = json!({ "user": {}, "error": "context deadline exceeded" });
    for reply in [
        None,
        Some(gone()),
        Some(created(&review(&undecided))),
        Some(answered(429, &json!({}))),
        Some(answered(403, &json!({}))),
    ] {
        let mut world = accepting();
        let (slow, quick) = (world.caller("slow"), world.caller("quick"));
        let mut request = world.held(&slow);
        let call = world.call();
        world.wait(millis(3900));
        let reply = reply.unwrap_or_else(|| quick.approved());
        let which = format!("{reply:?}");
        world.answered(&quick, reply);
        world.wait(millis(100));
        let timeout = support::answered(504, "upstream request timeout");
        let settled = world.core.answer_review(&call, timeout.clone());
        assert_eq!(request.reviewed(&mut world.core, &settled), UNAVAILABLE, "{which}");
        let other = world.caller("other");
        let mut request = world.held(&other);
        // Asked after the last answer, it is an outage.
        let settled = world.answer(timeout);
        assert!(request.reviewed(&mut world.core, &settled).passes(), "{which}");
        assert!(world.passes(&slow), "{which}");
    }
}

#[test]
fn call_that_was_not_sent_does_not_hide_an_outage() {
    let mut world = accepting();
    let (slow, other) = (world.caller("slow"), world.caller("other"));
    let mut request = world.held(&slow);
    let call = world.call();
    world.wait(seconds(3));
    assert_eq!(world.answered(&other, Reply::NotSent), UNAVAILABLE);
    let settled = world.core.answer_review(&call, Reply::Reset);
    assert!(request.reviewed(&mut world.core, &settled).passes());
    assert!(world.passes(&other));
}

#[test]
fn outage_expires_without_a_failed_review() {
    let mut world = in_outage(accepting());
    let (one, two) = (world.caller("one"), world.caller("two"));
    world.wait(seconds(10));
    assert_eq!(world.by(&one), HELD);
    assert_eq!(world.by(&two), HELD);
}

#[test]
fn unanswered_probe_does_not_extend_the_outage() {
    let mut world = in_outage(accepting());
    let (probe, other) = (world.caller("probe"), world.caller("other"));
    world.wait(seconds(5));
    world.held(&probe);
    // 4 s for the call, and 5 s more.
    world.wait(seconds(9) - millis(1));
    assert!(world.passes(&other));
    world.wait(millis(1));
    assert_eq!(world.by(&other), HELD);
}

#[test]
fn clock_step_back_ends_an_outage() {
    let mut world = in_outage(accepting());
    let other = world.caller("other");
    world.core.now = world.core.now.minus(seconds(1));
    assert_eq!(world.by(&other), HELD);
}

#[test]
fn review_mismatch_is_rejected_with_accept_verified() {
    let mut world = accepting();
    let (caller, other) = (world.caller("api"), world.caller("other"));
    let mismatch = Outcome::Refused(Reason::ReviewMismatch);
    assert_eq!(world.answered(&caller, created(&review(&other.status()))), mismatch);
}

#[test]
fn unverified_token_is_rejected_during_an_outage() {
    let mut world = in_outage(accepting());
    let forger = SigningKey::generate(KeyKind::P256);
    let forged = good().header("kid", json!(world.key.kid())).issued_at(super::START);
    let forged = forged.lifetime(3600).sign(&forger);
    assert_eq!(world.core.bearer(&forged), Outcome::Refused(Reason::BadSignature));
    let expired = good().issued_at(super::START - 7200).lifetime(3600).sign(&world.key);
    assert_eq!(world.core.bearer(&expired), Outcome::Refused(Reason::Expired));
}

#[test]
fn review_timeout_is_shorter_than_the_wait_timeout() {
    let timeout = |review: Value, limits: Value| {
        let review = crate::support::with(json!({ "onOutage": "acceptVerified" }), review);
        let mut world = configured(review, json!({ "limits": limits }));
        let caller = world.caller("api");
        world.held(&caller);
        let call: Callout = world.call();
        call.timeout
    };
    assert_eq!(timeout(json!({}), json!({})), seconds(4));
    assert_eq!(timeout(json!({}), json!({ "waitTimeout": "30s" })), seconds(5));
    assert_eq!(timeout(json!({ "timeout": "1s" }), json!({ "waitTimeout": "2s" })), seconds(1));
}
