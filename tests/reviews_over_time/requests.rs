//! The contents of a review request, and tokens that cause no review.

use super::{Caller, HELD, START, World, configured, verifying};
use crate::support::{Outcome, get, good, pairs};
use envoy_test::token::{DEFAULT_AUDIENCE, assemble};
use envoy_test::{KeyKind, SigningKey, Token};
use sa_authn::authn::token_review::PATH;
use sa_authn::denial::Reason;
use serde_json::{Value, json};

/// A token with valid claims.
fn shaped() -> Token {
    good().issued_at(START).lifetime(3600)
}

#[test]
fn review_request_contains_the_token_and_the_configured_audiences() {
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
fn unverified_token_is_never_reviewed() {
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

/// The API server would treat these as other tokens, or as none.
#[test]
fn token_with_white_space_or_stray_bits_is_rejected_without_a_review() {
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

/// The same signature with another last character: base64url of 64 bytes leaves four bits unused.
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
fn wrong_peer_is_rejected_without_a_review() {
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
    // A cached approval does not skip the check of the connection.
    world.core.connection.peer_uri = None;
    assert_eq!(world.by(&caller), Outcome::Refused(Reason::WrongPeer));
}

#[test]
fn shadow_mode_and_open_paths_do_not_wait_for_a_review() {
    let mut world = configured(json!({}), json!({ "mode": "shadow" }));
    let caller = world.caller("api");
    match world.by(&caller) {
        Outcome::Shadowed(Reason::ReviewUnavailable, edits) => {
            assert!(edits.set().next().is_none())
        }
        other => panic!("{other:?}"),
    }
    // The review is still sent, so that the next request finds its result.
    world.answer(caller.approved());
    assert!(world.passes(&caller));

    let rules = json!({ "rules": [
        { "paths": ["/healthz"], "allow": "anyone" },
        { "allow": "authenticated" },
    ] });
    let mut world = configured(json!({}), rules);
    let caller = world.caller("api");
    match world.core.outcome(&caller.get("/healthz")) {
        Outcome::Passed(edits) => {
            assert!(edits.set().next().is_none(), "no caller is authenticated")
        }
        other => panic!("{other:?}"),
    }
    assert!(world.core.paused().is_empty());
    assert_eq!(world.by(&caller), HELD);
}

#[test]
fn request_denied_by_the_rules_is_reviewed_first() {
    let mut world = configured(json!({}), json!({ "rules": [{ "allow": ["web/web"] }] }));
    let caller = world.caller("api");
    let outcome = world.answered(&caller, caller.approved());
    assert_eq!(outcome, Outcome::Refused(Reason::Forbidden));
}

/// Valid claims with an invalid signature.
pub(super) fn forged(number: usize) -> Caller {
    let claims = shaped().claim("jti", json!(number.to_string())).claims().clone();
    let token = assemble(r#"{"alg":"ES256","kid":"forged"}"#, &claims.to_string(), |_| vec![7; 64]);
    Caller { token, claims }
}

#[test]
fn invalid_tokens_cause_no_review_after_verification() {
    let World { mut core, .. } = verifying(json!({}));
    for number in 0..1000 {
        let outcome = core.outcome(&get("/", &forged(number).token));
        assert_eq!(outcome, Outcome::Refused(Reason::UnknownKey));
    }
    assert!(core.calls().is_empty());
}
