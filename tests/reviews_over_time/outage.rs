//! An API server that does not review: what the log says, and what `onOutage: "deny"` does.

use super::{UNAVAILABLE, answered, millis, reviewing, seconds, verifying};
use sa_authn::callout::Reply;
use sa_authn::verdict::Reason;
use serde_json::json;

fn text(status: u16, body: &str) -> Reply {
    Reply::Response { status, cache_control: None, body: Some(body.into()) }
}

#[test]
fn the_log_says_why_a_review_failed() {
    let unknown =
        "Envoy has no such cluster (yet) as \"kube-apiserver\": check the name under `clusters`";
    let not_sent = "Envoy did not send the call: the cluster has no healthy host (is its name \
                    resolved?), its credential_injector has no credential (is the token file \
                    there?), or its circuit breaker is open";
    let overflow =
        "a proxy before the server dropped the call: its circuit breaker is open (503, overflow)";
    let unauthorized = "the API server answered 401: it does not know who asks: the credential that \
                        Envoy injects is missing, expired or not for the API server's audience \
                        (check the cluster's credential_injector and its token file)";
    let forbidden = "the API server answered 403: who asks may not create TokenReviews: a \
                     ClusterRoleBinding of its service account to ClusterRole system:auth-delegator \
                     is missing";
    for (reply, told) in [
        (Reply::UnknownCluster, unknown),
        (Reply::NotSent, not_sent),
        (text(503, "reset reason: overflow"), overflow),
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
            let denial = settled.settled.reviewed.outcome().expect_err("an outage");
            assert_eq!((denial.reason(), denial.detail()), (Reason::ReviewUnavailable, told));
            assert_eq!(request.reviewed(&mut world.core, &settled), UNAVAILABLE, "{told}");
        }
    }
}

#[test]
fn with_deny_only_reviewed_tokens_pass_until_their_review_ends() {
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
