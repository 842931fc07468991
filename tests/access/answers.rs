//! How the API server's answers are read.

use super::{FORBIDDEN, allowed, answered, created, denied, non_resource, service_proxy, world};
use sa_authn::callout::{MAX_BODY_BYTES, Reply};
use sa_authn::denial::Reason;
use serde_json::json;

const METRICS: &str = "/metrics";

#[test]
fn allowed_access_passes_and_a_no_is_forbidden_with_the_api_servers_reason() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    assert!(world.answered(METRICS, &token, allowed()).passes());
    assert_eq!(world.answered("/other", &token, denied()), FORBIDDEN);
    let (reason, detail) =
        world.denial("/x", &token, created(&json!({ "allowed": false, "reason": "why" })));
    assert_eq!(reason, Reason::Forbidden);
    assert_eq!(detail, "api/api: rule \"rbac\": Kubernetes RBAC denies verb=get path=/x: why");
}

#[test]
fn explicit_denial_wins_over_allowed() {
    for status in [
        json!({ "allowed": false, "denied": true, "reason": "no" }),
        json!({ "allowed": true, "denied": true, "reason": "no" }),
    ] {
        let mut world = world(&non_resource());
        let token = world.token("api");
        let (reason, detail) = world.denial("/x", &token, created(&status));
        assert_eq!(reason, Reason::Forbidden);
        assert!(detail.ends_with("denied explicitly: no"), "{detail}");
    }
}

#[test]
fn evaluation_error_is_unavailable_unless_the_access_is_allowed_beside_it() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    let status = json!({ "allowed": true, "evaluationError": "role \"x\" not found" });
    assert!(world.answered(METRICS, &token, created(&status)).passes());
    let status = json!({ "allowed": false, "evaluationError": "webhook: timeout" });
    let (reason, detail) = world.denial("/x", &token, created(&status));
    assert_eq!(reason, Reason::AuthorizationUnavailable);
    assert_eq!(detail, "evaluationError: webhook: timeout");
}

#[test]
fn failures_are_told_apart_and_none_opens() {
    let review = |body: serde_json::Value| answered(201, &body);
    let api = "authorization.k8s.io/v1";
    for (reply, expected) in [
        (answered(401, &json!({})), "401: the credential that Envoy injects"),
        (answered(403, &json!({})), "is not allowed to create SubjectAccessReviews; bind it to"),
        (answered(404, &json!({})), "there is no SubjectAccessReview API at this address"),
        (answered(429, &json!({})), "429: too many requests"),
        (answered(500, &json!({})), "500: unexpected status"),
        (answered(503, &json!({})), "503: unexpected status"),
        (Reply::Response { status: 503, cache_control: None, retry_after: None,
            body: Some(b"no healthy upstream".to_vec()) }, "no answer (503 no healthy upstream)"),
        (answered(302, &json!({})), "302: unexpected status"),
        (Reply::Reset, "connection reset"),
        (Reply::UnknownCluster, "Envoy has no such cluster"),
        (Reply::NotSent, "Envoy did not send the call"),
        (review(json!([])), "it is a \"\" of"),
        (review(json!("yes")), "it is a \"\" of"),
        (review(json!({ "kind": "TokenReview", "apiVersion": api, "status": { "allowed": true } })),
            "it is a \"TokenReview\""),
        (review(json!({ "kind": "SubjectAccessReview", "apiVersion": "v1beta1", "status": { "allowed": true } })),
            "of \"v1beta1\""),
        (review(json!({ "kind": "SubjectAccessReview", "apiVersion": api })), "it has no status"),
        (created(&json!({})), "status.allowed is missing or not a boolean"),
        (created(&json!({ "allowed": true, "denied": "no" })), "status.denied is missing or not a boolean"),
        (created(&json!({ "allowed": 1 })), "status.allowed is missing or not a boolean"),
        (created(&json!({ "allowed": null })), "status.allowed is missing or not a boolean"),
        (Reply::Response { status: 201, cache_control: None, retry_after: None, body: None },
            &format!("the answer is larger than {MAX_BODY_BYTES} bytes")),
        (Reply::Response { status: 201, cache_control: None, retry_after: None,
            body: Some(br#"{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":false,"allowed":true}}"#.to_vec()) },
            "duplicate member `allowed`"),
    ] {
        let mut world = world(&service_proxy());
        let token = world.token("api");
        world.log();
        let outcome = world.answered(METRICS, &token, reply);
        assert_eq!(outcome, super::UNAVAILABLE, "{expected}");
        let log = world.log();
        let named = log.iter().any(|line| {
            line.contains("issuer \"local\": SubjectAccessReview unavailable:") && line.contains(expected)
        });
        assert!(named, "{expected}: {log:#?}");
        // No answer is cached.
        world.held("GET", METRICS, &token);
    }
}

#[test]
fn long_reason_is_cut_and_escaped() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    let reason = format!("\u{202e}\n{}", "x".repeat(5000));
    let status = json!({ "allowed": false, "reason": reason });
    assert_eq!(world.answered("/x", &token, created(&status)), FORBIDDEN);
    assert!(world.log().iter().all(|line| line.is_ascii() && line.len() < 1000));
}
