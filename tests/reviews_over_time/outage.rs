//! Failed reviews: the cause in the log, and `onOutage: "deny"`.

use super::{UNAVAILABLE, answered, millis, reviewing, seconds, verifying};
use crate::support;
use sa_authn::callout::Reply;
use sa_authn::denial::Reason;
use serde_json::json;

#[test]
fn failed_review_has_its_cause_in_the_detail() {
    let unknown =
        "Envoy has no such cluster (yet) as \"kube-apiserver\": check the name under `clusters`";
    let not_sent = "Envoy did not send the call: the cluster has no healthy host (is its name \
                    resolved?), its credential_injector has no credential (is the token file \
                    there?), or its circuit breaker is open";
    let overflow =
        "a proxy before the server dropped the call: its circuit breaker is open (503, overflow)";
    let unauthorized = "the API server answered 401: the credential that Envoy injects is missing, \
                        expired or not for the API server's audience; check the cluster's \
                        credential_injector and its token file";
    let forbidden = "the API server answered 403: this proxy's service account is not allowed to \
                     create TokenReviews; bind it to ClusterRole system:auth-delegator with a \
                     ClusterRoleBinding";
    for (reply, expected) in [
        (Reply::UnknownCluster, unknown),
        (Reply::NotSent, not_sent),
        (
            support::answered(
                503,
                "upstream connect error or disconnect/reset before headers. reset reason: overflow",
            ),
            overflow,
        ),
        (Reply::Reset, "no answer (connection reset)"),
        (support::answered(503, "no healthy upstream"), "no answer (503 no healthy upstream)"),
        (
            support::answered(504, "upstream request timeout"),
            "no answer (504 upstream request timeout)",
        ),
        (answered(401, &json!({})), unauthorized),
        (answered(403, &json!({})), forbidden),
        (
            answered(404, &json!({})),
            "the API server answered 404: there is no TokenReview API at this address; check that the cluster is an API server",
        ),
        (answered(429, &json!({})), "the API server answered 429: too many requests"),
        (answered(500, &json!({})), "the API server answered 500: unexpected status"),
        (answered(302, &json!({})), "the API server answered 302: unexpected status"),
        (
            Reply::Response { status: 201, cache_control: None, retry_after: None, body: None },
            "the answer is larger than 262144 bytes",
        ),
    ] {
        for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
            let caller = world.caller("api");
            let mut request = world.held(&caller);
            let settled = world.answer(reply.clone());
            let denial = settled.settled.reviewed.outcome().expect_err("an outage");
            assert_eq!((denial.reason(), denial.detail()), (Reason::ReviewUnavailable, expected));
            assert_eq!(request.reviewed(&mut world.core, &settled), UNAVAILABLE, "{expected}");
        }
    }
}

#[test]
fn deny_on_outage_passes_tokens_until_their_approval_expires() {
    for mut world in [verifying(json!({})), reviewing(json!({}), json!({}))] {
        let (known, new) = (world.caller("known"), world.caller("new"));
        world.admit(&known);
        assert_eq!(world.answered(&new, Reply::Reset), UNAVAILABLE);
        world.wait(seconds(24) - millis(1));
        assert!(world.passes(&known));
        world.wait(seconds(6) + millis(1));
        assert_eq!(world.answered(&known, Reply::Reset), UNAVAILABLE);
        // The API server is back.
        world.admit(&new);
        world.admit(&known);
    }
}
