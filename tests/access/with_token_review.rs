//! TokenReview and SubjectAccessReview of one request, one after the other.

use super::{Outcome, START, World, allowed, non_resource, plan, rule, spec};
use crate::support::{self, Core, with};
use envoy_test::{KeyKind, SigningKey, Token};
use serde_json::{Value, json};

const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// A core that sends both reviews, with these members of `tokenReview` and of the configuration.
fn both(review: Value, access: Value, more: Value) -> World {
    let key = SigningKey::generate(KeyKind::P256);
    let mut config = support::inline(&[&key]);
    if review["use"] == "instead" {
        config["issuers"][0].as_object_mut().unwrap().remove("keys");
    }
    config["issuers"][0]["tokenReview"] = with(plan(), review);
    config["issuers"][0]["subjectAccessReview"] = with(plan(), access);
    let config = with(with(config, json!({ "rules": [rule(&non_resource())] })), more);
    World { core: Core::at(START, &config), key }
}

/// The approval of `api/api`, with a group and an extra of the API server's own.
fn approval(token: &Token) -> sa_authn::callout::Reply {
    let private = &token.claims()["kubernetes.io"];
    let status = json!({
        "authenticated": true,
        "user": {
            "username": "system:serviceaccount:api:api",
            "uid": private["serviceaccount"]["uid"],
            "groups": ["system:serviceaccounts", "system:serviceaccounts:api", "system:authenticated", "extra-group"],
            "extra": { "example.com/z": ["1", "2"], "example.com/a": ["3"] },
        },
        "audiences": [envoy_test::token::DEFAULT_AUDIENCE],
    });
    super::answered(
        201,
        &json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status,
        }),
    )
}

#[test]
fn what_the_token_review_answered_is_sent_as_user() {
    let mut world = both(json!({ "use": "instead" }), json!({}), json!({}));
    let token = Token::for_service_account("api", "api").issued_at(START).lifetime(3600);
    let text = token.sign(&world.key);
    let mut request = world.held("GET", "/metrics", &text);
    let review = world.call();
    assert_eq!(review.path, TOKEN_REVIEWS);
    world.core.answer_review(&review, approval(&token));
    let call = world.call();
    let spec = spec(&call);
    let groups = json!([
        "system:serviceaccounts",
        "system:serviceaccounts:api",
        "system:authenticated",
        "extra-group"
    ]);
    assert_eq!(
        (&spec["user"], &spec["groups"]),
        (&json!("system:serviceaccount:api:api"), &groups)
    );
    assert_eq!(spec["extra"], json!({ "example.com/a": ["3"], "example.com/z": ["1", "2"] }));
    world.core.answer_access(&call, allowed()).unwrap();
    assert!(request.wakes(&mut world.core).passes());
}

#[test]
fn request_waits_for_both_reviews_even_if_neither_is_cached() {
    let off = json!({ "limits": { "tokenCacheEntries": 0 } });
    let zero = || json!({ "cacheTtl": "0s" });
    let instead = json!({ "cacheTtl": "0s", "use": "instead" });
    for (review, access, more) in [
        (zero(), json!({ "allowedTtl": "0s" }), json!({})),
        (instead, json!({ "allowedTtl": "0s" }), json!({})),
        (json!({}), json!({}), off),
    ] {
        let mut world = both(review, access, more);
        let token = Token::for_service_account("api", "api").issued_at(START).lifetime(3600);
        let text = token.sign(&world.key);
        let mut request = world.held("GET", "/metrics", &text);
        let review = world.call();
        world.core.answer_review(&review, approval(&token));
        assert_eq!(request.wakes(&mut world.core), Outcome::Held);
        let call = world.call();
        world.core.answer_access(&call, allowed()).unwrap();
        assert!(request.wakes(&mut world.core).passes());
        assert!(world.core.paused().is_empty() && world.is_quiet());
    }
}

#[test]
fn deadline_covers_both_reviews() {
    let mut world = both(json!({}), json!({}), json!({}));
    let token = Token::for_service_account("api", "api").issued_at(START).lifetime(3600);
    let text = token.sign(&world.key);
    let mut request = world.held("GET", "/metrics", &text);
    let review = world.call();
    world.wait(super::seconds(3));
    world.core.answer_review(&review, approval(&token));
    assert_eq!(request.wakes(&mut world.core), Outcome::Held);
    world.call();
    let deadline = world.core.paused().deadline(request.id).unwrap();
    assert_eq!(deadline.as_secs(), START + 5);
    assert_eq!(request.gives_up(&mut world.core), super::UNAVAILABLE);
}

#[test]
fn rejected_token_is_not_asked_about() {
    let mut world = both(json!({}), json!({}), json!({}));
    let text = world.token("api");
    let mut request = world.held("GET", "/metrics", &text);
    let review = world.call();
    let ended = world.core.answer_review(
        &review,
        super::answered(
            201,
            &json!({
                "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
                "status": { "user": {}, "error": "gone" },
            }),
        ),
    );
    assert_eq!(
        request.reviewed(&mut world.core, &ended),
        Outcome::Refused(sa_authn::denial::Reason::Revoked)
    );
    assert!(world.is_quiet());
}
