//! `use: "instead"`: the review authenticates the caller, after the checks that need no review.

use super::{START, World, created, gone, review, reviewing, seconds};
use crate::support::{Outcome, good, with};
use envoy_test::Token;
use envoy_test::token::assemble;
use sa_authn::denial::Reason;
use serde_json::{Value, json};

fn world() -> World {
    reviewing(json!({}), json!({}))
}

fn shaped() -> Token {
    good().issued_at(START).lifetime(3600)
}

#[test]
fn instead_fetches_no_keys() {
    let mut world = world();
    assert!(world.is_quiet());
    let caller = world.caller("api");
    world.admit(&caller);
    assert!(world.is_quiet());
}

#[test]
fn instead_rejects_invalid_claims_without_a_review() {
    let mut world = world();
    let key = &world.key;
    let claims = shaped().claims().to_string();
    let alg_none = assemble(r#"{"alg":"none"}"#, &claims, |_| vec![7; 64]);
    for (token, reason) in [
        ("x".to_owned(), Reason::MalformedToken),
        ("a.b.c".to_owned(), Reason::MalformedToken),
        (alg_none, Reason::UnsupportedAlgorithm),
        (shaped().header("alg", json!("HS256")).sign(key), Reason::UnsupportedAlgorithm),
        (shaped().header("crit", json!(["exp"])).sign(key), Reason::MalformedToken),
        (shaped().without("iss").sign(key), Reason::MissingClaim),
        (shaped().issuer("https://other.example").sign(key), Reason::UnknownIssuer),
        (shaped().without("aud").sign(key), Reason::MissingClaim),
        (shaped().audience("another-service").sign(key), Reason::WrongAudience),
        (shaped().without("exp").sign(key), Reason::MissingClaim),
        (shaped().expires_at(START - 60).sign(key), Reason::Expired),
        (shaped().issued_at(START + 61).sign(key), Reason::NotYetValid),
        (shaped().without("sub").sign(key), Reason::MissingClaim),
        (shaped().claim("sub", json!("system:admin")).sign(key), Reason::NotAServiceAccount),
        (shaped().without("kubernetes.io").sign(key), Reason::NotAServiceAccount),
        (
            shaped().claim("sub", json!("system:serviceaccount:api:web")).sign(key),
            Reason::NotAServiceAccount,
        ),
        (Token::legacy_secret("api", "api", "old").sign(key), Reason::LegacyToken),
    ] {
        assert_eq!(world.core.bearer(&token), Outcome::Refused(reason), "{token}");
        assert!(world.core.calls().is_empty(), "{reason:?}");
    }
}

#[test]
fn instead_rejects_a_forged_token_with_valid_claims() {
    let mut world = world();
    let forged = super::requests::forged(1);
    assert_eq!(world.answered(&forged, gone()), super::REVOKED);
}

/// An identity header for each fact of a review.
fn identity() -> Value {
    json!({ "identityHeaders": {
        "x-subject": "subject",
        "x-uid": "uid",
        "x-pod": "pod.name",
        "x-pod-uid": "pod.uid",
        "x-node": "node.name",
        "x-jti": "jti",
        "x-audience": "audience",
        "x-proven-by": "provenBy",
    } })
}

#[test]
fn instead_sends_the_reviewed_identity_to_the_upstream() {
    let mut world = reviewing(json!({}), identity());
    let caller = world.caller("api");
    let mut status = caller.status();
    // The API server does not compare the node with the claim, so the review's node is used.
    let extra = &mut status["user"]["extra"];
    extra["authentication.kubernetes.io/node-name"] = json!(["node-2"]);
    let jti = extra["authentication.kubernetes.io/credential-id"][0].as_str().unwrap();
    let jti = jti.strip_prefix("JTI=").unwrap().to_owned();
    let first = world.answered(&caller, created(&review(&status)));
    let private = &caller.claims["kubernetes.io"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut expected = vec![
        ("x-subject".to_owned(), text(&caller.claims["sub"])),
        ("x-uid".to_owned(), text(&private["serviceaccount"]["uid"])),
        ("x-pod".to_owned(), "api-1".to_owned()),
        ("x-pod-uid".to_owned(), text(&private["pod"]["uid"])),
        ("x-node".to_owned(), "node-2".to_owned()),
        ("x-jti".to_owned(), jti),
        ("x-audience".to_owned(), "secret-store".to_owned()),
        ("x-proven-by".to_owned(), "review".to_owned()),
    ];
    expected.sort();
    // The first request, which was paused, and one that uses the cached approval.
    for outcome in [first, world.by(&caller)] {
        let Outcome::Passed(edits) = outcome else { panic!("{outcome:?}") };
        let mut headers: Vec<_> = edits
            .set()
            .map(|(name, value)| (name.to_string(), String::from_utf8(value.to_vec()).unwrap()))
            .collect();
        headers.sort();
        assert_eq!(headers, expected);
        let removed: Vec<_> = edits.removed().collect();
        assert_eq!(removed, [b"authorization"], "the token is removed");
    }
}

#[test]
fn issuer_requirements_are_checked_before_the_review() {
    let mut world = world();
    let mut config = crate::support::inline(&[]);
    let issuer = config["issuers"][0].as_object_mut().unwrap();
    issuer.remove("keys");
    issuer.insert("tokenReview".to_owned(), with(super::plan(), json!({ "use": "instead" })));
    issuer.insert("requireBound".to_owned(), json!("pod"));
    issuer.insert("maxLifetime".to_owned(), json!("1h"));
    world.core = crate::support::Core::at(START, &config);
    let unbound = Token::for_service_account("api", "api").issued_at(START).lifetime(3600);
    let unbound = world.holder(unbound);
    assert_eq!(world.by(&unbound), Outcome::Refused(Reason::NotBound));
    let long = world.caller("api");
    assert_eq!(world.by(&long), Outcome::Refused(Reason::LifetimeTooLong));
    assert!(world.is_quiet());
    let bound = world.holder(shaped());
    world.admit(&bound);
}

#[test]
fn known_caller_keeps_its_priority_after_its_approval_expires() {
    let mut world = reviewing(json!({}), json!({ "limits": { "maxReviews": 4 } }));
    let known = world.caller("known");
    world.admit(&known);
    world.wait(seconds(3600));
    for number in 0..3 {
        world.held(&super::requests::forged(number));
    }
    assert_eq!(world.by(&super::requests::forged(3)), super::OVERLOADED);
    world.held(&known);
}
