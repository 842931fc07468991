//! The API server's reason for a rejection is the reason of the denial.

use super::{World, created, review, reviewing, verifying};
use crate::support::Outcome;
use sa_authn::denial::Reason;
use serde_json::json;

/// What the API server says, and the reason of the denial.
const TEXTS: [(&str, Reason); 18] = [
    ("[invalid bearer token, service account token has expired]", Reason::Expired),
    ("[invalid bearer token, service account token is not valid yet]", Reason::NotYetValid),
    ("[invalid bearer token, service account token is issued in the future]", Reason::NotYetValid),
    ("[invalid bearer token, error in cryptographic primitive]", Reason::BadSignature),
    (
        "[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]",
        Reason::BadSignature,
    ),
    ("[invalid bearer token, invalid signature, no keys found]", Reason::BadSignature),
    ("[invalid bearer token, service account token has been invalidated]", Reason::Revoked),
    ("[invalid bearer token, Token has been invalidated]", Reason::Revoked),
    ("[invalid bearer token, serviceaccounts \"gone\" not found]", Reason::Revoked),
    (
        "[invalid bearer token, pod UID (1) does not match service account pod ref claim (2)]",
        Reason::Revoked,
    ),
    (
        "[invalid bearer token, token audiences [\"a\"] is invalid for the target audiences [\"b\"]]",
        Reason::WrongAudience,
    ),
    ("invalid bearer token", Reason::Revoked),
    ("", Reason::Revoked),
    ("a text of a later version", Reason::Revoked),
    ("context deadline exceeded", Reason::ReviewUnavailable),
    (
        "[invalid bearer token, Get \"https://10.0.0.1\": dial tcp 10.0.0.1:443: connect: connection refused]",
        Reason::ReviewUnavailable,
    ),
    ("[invalid bearer token, etcdserver: request timed out]", Reason::ReviewUnavailable),
    ("[invalid bearer token, Internal error occurred: leader changed]", Reason::ReviewUnavailable),
];

fn worlds() -> [World; 2] {
    [verifying(json!({})), reviewing(json!({}), json!({}))]
}

#[test]
fn rejection_has_the_reason_that_the_api_server_gives() {
    for (error, reason) in TEXTS {
        for mut world in worlds() {
            let caller = world.caller("api");
            let mut request = world.held(&caller);
            let status = json!({ "user": {}, "error": error });
            let settled = world.answer(created(&review(&status)));
            assert_eq!(
                request.reviewed(&mut world.core, &settled),
                Outcome::Refused(reason),
                "{error}"
            );
            let denial = settled.settled.reviewed.outcome().expect_err("a denial");
            assert!(denial.detail().contains(error), "{error}: {}", denial.detail());
            let (code, status) = (denial.reason().code(), denial.reason().status());
            assert_eq!(status, if code == "review_unavailable" { 503 } else { 401 });
        }
    }
}

/// The audiences of a genuine token are its holder's choice.
#[test]
fn audience_cannot_make_a_rejection_look_undecided() {
    let error = "[invalid bearer token, token audiences [\"context deadline exceeded\"] is invalid for \
                 the target audiences [\"secret-store\"]]";
    for mut world in worlds() {
        let caller = world.caller("api");
        let mut request = world.held(&caller);
        let status = json!({ "user": {}, "error": error });
        let settled = world.answer(created(&review(&status)));
        let outcome = request.reviewed(&mut world.core, &settled);
        assert_eq!(outcome, Outcome::Refused(Reason::WrongAudience));
    }
}

#[test]
fn undecided_review_does_not_pass_as_an_outage() {
    let mut world = verifying(json!({ "onOutage": "acceptVerified" }));
    let caller = world.caller("api");
    let mut request = world.held(&caller);
    let status = json!({ "user": {}, "error": "context deadline exceeded" });
    let settled = world.answer(created(&review(&status)));
    let outcome = request.reviewed(&mut world.core, &settled);
    assert_eq!(outcome, Outcome::Refused(Reason::ReviewUnavailable));
    // It is not cached: the next request asks again.
    world.held(&caller);
}

#[test]
fn invalid_and_revoked_tokens_are_counted_separately() {
    for (error, name) in [
        ("[invalid bearer token, service account token has expired]", "invalid"),
        ("[invalid bearer token, error in cryptographic primitive]", "invalid"),
        ("[invalid bearer token, service account token has been invalidated]", "refused"),
        ("context deadline exceeded", "unavailable"),
    ] {
        let mut world = verifying(json!({}));
        let caller = world.caller("api");
        world.held(&caller);
        world.answer(created(&review(&json!({ "user": {}, "error": error }))));
        let counts = world.core.counts();
        let counted =
            counts.iter().any(|(metric, _)| *metric == format!("sa_authn.reviews.{name}.local"));
        assert!(counted, "{error}: {counts:?}");
    }
}
