//! `use: "instead"`: the API server proves who calls, and what can be checked without it is checked first.

use super::{START, World, created, gone, review, reviewing, seconds};
use crate::support::{Outcome, good, with};
use envoy_test::Token;
use envoy_test::token::assemble;
use sa_authn::verdict::Reason;
use serde_json::{Value, json};

fn world() -> World {
    reviewing(json!({}), json!({}))
}

fn shaped() -> Token {
    good().issued_at(START).lifetime(3600)
}

#[test]
fn keys_are_neither_needed_nor_fetched() {
    let mut world = world();
    assert!(world.is_quiet());
    let caller = world.caller("api");
    world.admit(&caller);
    assert!(world.is_quiet());
}

#[test]
fn what_can_be_told_without_the_api_server_is_never_asked_about() {
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
fn a_token_that_says_all_the_right_things_is_nothing_before_the_api_server_says_yes() {
    let mut world = world();
    let junk = super::before::junk(1);
    assert_eq!(world.answered(&junk, gone()), super::REVOKED);
}

/// What the upstream is told of each fact.
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
fn the_upstream_is_told_what_the_api_server_says() {
    let mut world = reviewing(json!({}), identity());
    let caller = world.caller("api");
    let mut status = caller.status();
    // The node is the API server's to know: it does not compare it with the claim.
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
    // The first, which waited, and one that finds the answer remembered.
    for outcome in [first, world.by(&caller)] {
        let Outcome::Passed(edits) = outcome else { panic!("{outcome:?}") };
        let mut told: Vec<_> = edits
            .set()
            .map(|(name, value)| (name.to_string(), String::from_utf8(value.to_vec()).unwrap()))
            .collect();
        told.sort();
        assert_eq!(told, expected);
        let removed: Vec<_> = edits.removed().collect();
        assert_eq!(removed, [b"authorization"], "the token goes no further");
    }
}

#[test]
fn demands_on_a_token_are_made_before_the_api_server_is_asked() {
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
fn a_caller_of_before_is_no_stranger_when_its_yes_has_ended() {
    let mut world = reviewing(json!({}), json!({ "limits": { "maxReviews": 4 } }));
    let known = world.caller("known");
    world.admit(&known);
    world.wait(seconds(3600));
    for number in 0..3 {
        world.held(&super::before::junk(number));
    }
    assert_eq!(world.by(&super::before::junk(3)), super::OVERLOADED);
    world.held(&known);
}
