//! What never reaches the API server, and what a call to it holds.

use super::{Caller, HELD, START, World, configured, verifying};
use crate::support::{Outcome, get, good, pairs};
use envoy_test::token::{DEFAULT_AUDIENCE, assemble};
use envoy_test::{KeyKind, SigningKey, Token};
use sa_authn::authn::token_review::PATH;
use sa_authn::verdict::Reason;
use serde_json::{Value, json};

/// A token that says all that a good one does.
fn shaped() -> Token {
    good().issued_at(START).lifetime(3600)
}

#[test]
fn a_call_asks_for_the_token_and_every_audience_of_ours() {
    let mut world = verifying(json!({ "timeout": "2s" }));
    let caller = world.caller("api");
    world.held(&caller);
    let call = world.call();
    assert_eq!((call.cluster.as_str(), call.path.as_str()), ("kube-apiserver", PATH));
    assert_eq!(call.authority, "kubernetes.default.svc");
    assert_eq!((call.accept, call.timeout.as_secs()), ("application/json", 2));
    let body: Value = serde_json::from_slice(call.body.as_deref().unwrap()).unwrap();
    let expected = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": { "token": caller.token, "audiences": [DEFAULT_AUDIENCE] },
    });
    assert_eq!(body, expected);
    assert!(!format!("{call:?}").contains(&caller.token), "{call:?}");
}

#[test]
fn what_does_not_verify_is_never_asked_about() {
    let mut world = verifying(json!({}));
    let forger = SigningKey::generate(KeyKind::P256);
    let key = &world.key;
    let kid = json!(key.kid());
    let space = format!(" {}", shaped().sign(key));
    for (token, reason) in [
        (shaped().header("kid", kid).sign(&forger), Reason::BadSignature),
        (shaped().sign(&forger), Reason::UnknownKey),
        (shaped().audience("another-service").sign(key), Reason::WrongAudience),
        (shaped().issuer("https://other.example").sign(key), Reason::UnknownIssuer),
        (
            shaped().lifetime(60).issued_at(START - 3600).expires_at(START - 60).sign(key),
            Reason::Expired,
        ),
        (shaped().issued_at(START + 61).sign(key), Reason::NotYetValid),
        (shaped().claim("sub", json!("alice")).sign(key), Reason::NotAServiceAccount),
        (Token::legacy_secret("api", "api", "old").sign(key), Reason::LegacyToken),
        (space, Reason::MalformedToken),
    ] {
        assert_eq!(world.core.bearer(&token), Outcome::Refused(reason), "{token}");
        assert!(world.is_quiet(), "{reason:?}");
    }
}

/// To the API server these would be other tokens, or none (see `answers`).
#[test]
fn white_space_and_stray_bits_are_refused_before_any_call() {
    for mut world in [verifying(json!({})), super::reviewing(json!({}), json!({}))] {
        let token = world.caller("api").token;
        let padded = format!("{token}==");
        let stray = stray_bits(&token);
        for bad in [" ", "\t", "x", &format!("{token}\n"), &format!("{token}\t"), &padded, &stray] {
            let value = format!("Bearer {bad}");
            let headers =
                pairs(&[(":method", "GET"), (":path", "/"), ("authorization", value.as_str())]);
            let outcome = world.core.outcome(&headers);
            assert!(
                matches!(outcome, Outcome::Refused(Reason::MalformedToken | Reason::MissingToken)),
                "{bad:?}: {outcome:?}"
            );
            assert!(world.is_quiet(), "{bad:?}");
        }
    }
}

/// The same signature with another last letter: base64url of 64 bytes leaves four bits unused.
fn stray_bits(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 1);
    let last = match last {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        _ => "x",
    };
    format!("{rest}{last}")
}

#[test]
fn a_peer_that_is_not_the_tokens_workload_causes_no_review() {
    let mut world = verifying(json!({}));
    let mut config = crate::support::inline(&[&world.key]);
    config["issuers"][0]["tokenReview"] = super::plan();
    config["issuers"][0]["matchPeer"] = json!(true);
    world.core = crate::support::Core::at(START, &config);
    let caller = world.caller("api");
    world.core.connection.peer_uri = Some("spiffe://cluster.local/ns/web/sa/web".to_owned());
    assert_eq!(world.by(&caller), Outcome::Refused(Reason::WrongPeer));
    assert!(world.is_quiet());
    world.core.connection.peer_uri = Some("spiffe://cluster.local/ns/api/sa/api".to_owned());
    world.admit(&caller);
    // What the API server said of the token says nothing of the next connection.
    world.core.connection.peer_uri = None;
    assert_eq!(world.by(&caller), Outcome::Refused(Reason::WrongPeer));
}

#[test]
fn shadow_mode_and_open_paths_wait_for_no_review() {
    let mut world = configured(json!({}), json!({ "mode": "shadow" }));
    let caller = world.caller("api");
    match world.by(&caller) {
        Outcome::Shadowed(Reason::ReviewUnavailable, edits) => {
            assert!(edits.set().next().is_none())
        }
        other => panic!("{other:?}"),
    }
    // It is asked all the same, so that the next request has its answer.
    world.answer(caller.vouched());
    assert!(world.passes(&caller));

    let rules = json!({ "rules": [
        { "paths": ["/healthz"], "allow": "anyone" },
        { "allow": "authenticated" },
    ] });
    let mut world = configured(json!({}), rules);
    let caller = world.caller("api");
    match world.core.outcome(&caller.get("/healthz")) {
        Outcome::Passed(edits) => assert!(edits.set().next().is_none(), "nobody was confirmed"),
        other => panic!("{other:?}"),
    }
    assert!(world.core.paused().is_empty());
    assert_eq!(world.by(&caller), HELD);
}

#[test]
fn a_request_that_no_rule_would_let_in_is_reviewed_all_the_same_and_then_forbidden() {
    let mut world = configured(json!({}), json!({ "rules": [{ "allow": ["web/web"] }] }));
    let caller = world.caller("api");
    let outcome = world.answered(&caller, caller.vouched());
    assert_eq!(outcome, Outcome::Refused(Reason::Forbidden));
}

/// Well-shaped, and signed by nobody.
pub(super) fn junk(number: usize) -> Caller {
    let claims = shaped().claim("jti", json!(number.to_string())).claims().clone();
    let token = assemble(r#"{"alg":"ES256","kid":"junk"}"#, &claims.to_string(), |_| vec![7; 64]);
    Caller { token, claims }
}

#[test]
fn a_thousand_junk_tokens_are_no_call_after_verification() {
    let World { mut core, .. } = verifying(json!({}));
    for number in 0..1000 {
        let outcome = core.outcome(&get("/", &junk(number).token));
        assert_eq!(outcome, Outcome::Refused(Reason::UnknownKey));
    }
    assert!(core.calls().is_empty());
}
