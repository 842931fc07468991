//! An API server that cannot be asked: what is told of it, and what counts meanwhile.

use super::{
    Caller, HELD, OVERLOADED, REVOKED, UNAVAILABLE, World, answered, configured, gone, millis,
    reviewing, seconds, verifying,
};
use crate::support::{Outcome, good};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::callout::Reply;
use sa_authn::decision_log::DecisionLog;
use sa_authn::verdict::Reason;
use serde_json::{Value, json};

fn accepting() -> World {
    verifying(json!({ "onOutage": "acceptVerified" }))
}

fn text(status: u16, body: &str) -> Reply {
    Reply::Response { status, cache_control: None, body: Some(body.into()) }
}

#[test]
fn whoever_cannot_be_asked_the_operator_is_told_why() {
    let unknown =
        "Envoy has no such cluster (yet) as \"kube-apiserver\": check the name under `clusters`";
    let not_sent = "Envoy did not send the call: the cluster has no healthy host (is its name \
                    resolved?), its credential_injector has no credential (is the token file \
                    there?), or its circuit breaker is open";
    let unauthorized = "the API server answered 401: it does not know who asks: the credential that \
                        Envoy injects is missing, expired or not for the API server's audience \
                        (check the cluster's credential_injector and its token file)";
    let forbidden = "the API server answered 403: who asks may not create TokenReviews: a \
                     ClusterRoleBinding of its service account to ClusterRole system:auth-delegator \
                     is missing";
    for (reply, told) in [
        (Reply::UnknownCluster, unknown),
        (Reply::NotSent, not_sent),
        (Reply::Reset, "no answer (connection reset)"),
        (text(503, "no healthy upstream"), "no answer (503 no healthy upstream)"),
        (text(504, "upstream request timeout"), "no answer (504 upstream request timeout)"),
        (answered(401, &json!({})), unauthorized),
        (answered(403, &json!({})), forbidden),
        (
            answered(404, &json!({})),
            "the API server answered 404: it serves no TokenReviews there: is the cluster an API server?",
        ),
        (answered(429, &json!({})), "the API server answered 429: it has too much to do"),
        (answered(500, &json!({})), "the API server answered 500: an unexpected status"),
        (answered(302, &json!({})), "the API server answered 302: an unexpected status"),
        (
            Reply::Response { status: 201, cache_control: None, body: None },
            "the answer is larger than 262144 bytes",
        ),
    ] {
        for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
            let caller = world.caller("api");
            let mut request = world.held(&caller);
            let settled = world.answer(reply.clone());
            let denial = settled.reviewed.outcome().expect_err("an outage");
            assert_eq!((denial.reason(), denial.detail()), (Reason::ReviewUnavailable, told));
            assert_eq!(request.reviewed(&mut world.core, &settled), UNAVAILABLE, "{told}");
        }
    }
}

#[test]
fn with_deny_who_was_accepted_passes_until_that_ends_and_nobody_else() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let (known, stranger) = (world.caller("known"), world.caller("stranger"));
        world.admit(&known);
        assert_eq!(world.answered(&stranger, Reply::Reset), UNAVAILABLE);
        world.wait(seconds(24) - millis(1));
        assert!(world.passes(&known));
        world.wait(seconds(6) + millis(1));
        assert_eq!(world.answered(&known, Reply::Reset), UNAVAILABLE);
        // It is back.
        world.admit(&stranger);
        world.admit(&known);
    }
}

/// The line of the log for a request that passes at once, and why it was not reviewed.
fn unreviewed(world: &mut World, caller: &Caller) -> (String, Value) {
    let finished = world.core.judge(&caller.get("/")).expect("nobody waits");
    let line = DecisionLog::default().line(&finished, world.core.now).expect("a line");
    let why = finished.unreviewed.expect("not reviewed");
    assert_eq!(why.reason(), Reason::ReviewUnavailable);
    (why.detail().to_owned(), serde_json::from_str(&line).unwrap())
}

#[test]
fn with_accept_verified_the_signature_counts_and_the_log_says_so() {
    let mut world = accepting();
    let (first, second) = (world.caller("first"), world.caller("second"));
    // The first of an outage waits to see that there is one.
    assert!(world.answered(&first, answered(500, &json!({}))).passes());
    for caller in [&first, &second] {
        let (why, line) = unreviewed(&mut world, caller);
        assert_eq!(why, "the last review failed");
        let expected = json!({
            "verdict": "allowed",
            "unreviewed": "the last review failed",
            "sub": caller.claims["sub"],
        });
        assert_eq!(line, expected);
    }
    // Each asks all the same, so that the first answer ends the outage.
    let calls = world.core.calls();
    assert_eq!(calls.len(), 2);
    world.core.answer_review(&calls[0], first.vouched());
    let reviewed = world.core.judge(&first.get("/")).expect("a fresh yes");
    assert!(reviewed.unreviewed.is_none());
    // The second waits for the answer that is now to be expected.
    assert_eq!(world.by(&second), HELD);
    world.core.answer_review(&calls[1], gone());
    assert_eq!(world.by(&second), REVOKED);
}

#[test]
fn with_accept_verified_a_no_is_a_no() {
    let mut world = accepting();
    let (gone_one, other) = (world.caller("gone"), world.caller("other"));
    assert_eq!(world.answered(&gone_one, gone()), REVOKED);
    assert_eq!(
        world.answered(&other, gone_one.vouched()),
        Outcome::Refused(Reason::ReviewMismatch)
    );
    let third = world.caller("third");
    assert!(world.answered(&third, Reply::Reset).passes());
    world.wait(seconds(5) - millis(1));
    // The API server has said so, and cannot be asked again yet.
    assert_eq!(world.by(&gone_one), REVOKED);
    world.wait(millis(1));
    assert_eq!(unreviewed(&mut world, &gone_one).0, "the last review failed");
}

#[test]
fn with_accept_verified_nothing_passes_that_does_not_verify() {
    let mut world = accepting();
    let caller = world.caller("api");
    assert!(world.answered(&caller, Reply::Reset).passes());
    let forger = SigningKey::generate(KeyKind::P256);
    let forged = good().header("kid", json!(world.key.kid())).issued_at(super::START);
    let forged = forged.lifetime(3600).sign(&forger);
    assert_eq!(world.core.bearer(&forged), Outcome::Refused(Reason::BadSignature));
    let expired = good().issued_at(super::START - 7200).lifetime(3600).sign(&world.key);
    assert_eq!(world.core.bearer(&expired), Outcome::Refused(Reason::Expired));
}

#[test]
fn with_accept_verified_who_has_waited_long_enough_passes_by_the_signature() {
    let mut world = accepting();
    let caller = world.caller("api");
    let mut request = world.held(&caller);
    world.call();
    world.wait(seconds(5));
    assert!(request.gives_up(&mut world.core).passes());
}

#[test]
fn with_accept_verified_who_finds_no_room_passes_by_the_signature() {
    let limits = json!({ "limits": { "maxReviews": 1, "maxWaiting": 1 } });
    let mut world = configured(json!({ "onOutage": "acceptVerified" }), limits.clone());
    let (first, second) = (world.caller("first"), world.caller("second"));
    world.held(&first);
    assert!(world.passes(&first), "no room to wait");
    assert!(world.passes(&second), "no room for a call");
    let mut denying = configured(json!({}), limits);
    let (first, second) = (denying.caller("first"), denying.caller("second"));
    denying.held(&first);
    assert_eq!(denying.by(&first), OVERLOADED);
    assert_eq!(denying.by(&second), OVERLOADED);
}
