//! TokenReview by the real API server, and the RBAC that it needs.

use anyhow::Result;
use cluster_test::guide::run;
use cluster_test::{Caller, Example, token_review, until};
use serde_json::json;

/// The example with TokenReview, without the permission for it.
fn with_reviews() -> Result<Example> {
    let example = Example::ready()?;
    let kubectl = &example.kubectl;
    kubectl.delete(&Example::manifest("rbac-token-review.yaml")?)?;
    example.change_plugin(|spec| {
        let mut review = token_review();
        // Approvals and rejections are kept for a short time, so that a test sees a change.
        review["cacheTtl"] = json!("1s");
        spec["pluginConfig"]["issuers"][0]["tokenReview"] = review;
    })?;
    Ok(example)
}

#[test]
fn token_review_needs_exactly_the_shipped_permission() -> Result<()> {
    let example = with_reviews()?;
    example.expect(Caller::Api, "/headers", "503 review_unavailable")?;
    let log = example.log()?;
    assert!(log.contains("403"), "the log names the missing permission");
    example.kubectl.apply(&Example::manifest("rbac-token-review.yaml")?)?;
    example.expect(Caller::Api, "/headers", "200")?;
    example.expect(Caller::Web, "/headers", "403 forbidden")?;
    // Sufficient, and not more: the proxy's account may create TokenReviews and nothing else of that group.
    let may = |verb: &str, resource: &str| {
        let account = "--as=system:serviceaccount:sa-authn-secrets:secret-store";
        // Its exit code says no, too.
        run(&format!("kubectl auth can-i {verb} {resource} {account}")).map(|ran| ran.output)
    };
    let answer = may("create", "tokenreviews.authentication.k8s.io")?;
    assert!(answer.starts_with("yes"), "{answer}");
    for (verb, resource) in [
        ("get", "secrets"),
        ("create", "subjectaccessreviews.authorization.k8s.io"),
        ("list", "pods"),
    ] {
        let answer = may(verb, resource)?;
        assert!(answer.starts_with("no"), "{verb} {resource}: {answer}");
    }
    example.kubectl.delete(&Example::manifest("rbac-token-review.yaml")?)?;
    example.expect(Caller::Api, "/headers", "503 review_unavailable")
}

#[test]
fn tokens_of_a_deleted_pod_and_account_are_revoked_even_if_the_names_return() -> Result<()> {
    let example = with_reviews()?;
    let kubectl = &example.kubectl;
    kubectl.apply(&Example::manifest("rbac-token-review.yaml")?)?;
    // Bound to a pod of its own, and to an account of its own, both named as the rule requires.
    let token = |object: &[&str]| {
        let base = ["-n", "sa-authn-api", "create", "token", "api", "--audience", "secret-store"];
        kubectl.run(base.into_iter().chain(object.iter().copied()))
    };
    kubectl.apply(POD)?;
    let bound = token(&["--bound-object-kind", "Pod", "--bound-object-name", "bound"])?;
    expect_token(&example, &bound, "200")?;
    kubectl.run(["-n", "sa-authn-api", "delete", "pod", "bound", "--grace-period=0", "--force"])?;
    expect_token(&example, &bound, "401 revoked")?;
    kubectl.apply(POD)?;
    until("the pod", || {
        let found = kubectl.run(["-n", "sa-authn-api", "get", "pod", "bound", "-o", "name"])?;
        Ok(found.is_empty().then_some(found))
    })?;
    for _ in 0..5 {
        assert_eq!(
            example.ask_with(Caller::Web, "/headers", Some(&bound))?.outcome(),
            "401 revoked"
        );
    }
    kubectl.run(["-n", "sa-authn-api", "delete", "pod", "bound", "--grace-period=0", "--force"])?;

    let of_account = token(&[])?;
    expect_token(&example, &of_account, "200")?;
    kubectl.run(["-n", "sa-authn-api", "delete", "serviceaccount", "api"])?;
    expect_token(&example, &of_account, "401 revoked")?;
    kubectl.run(["-n", "sa-authn-api", "create", "serviceaccount", "api"])?;
    let renewed = token(&[])?;
    expect_token(&example, &renewed, "200")?;
    for _ in 0..5 {
        assert_eq!(
            example.ask_with(Caller::Web, "/headers", Some(&of_account))?.outcome(),
            "401 revoked"
        );
    }
    // The caller's pod has a token of the old account.
    kubectl.run(["-n", "sa-authn-api", "rollout", "restart", "deployment/api"])?;
    kubectl.rolled_out("sa-authn-api", "api")
}

fn expect_token(example: &Example, token: &str, outcome: &str) -> Result<()> {
    until(outcome, || {
        let seen = example.ask_with(Caller::Web, "/headers", Some(token))?.outcome();
        Ok((seen != outcome).then_some(seen))
    })
}

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: bound, namespace: sa-authn-api, labels: { sidecar.istio.io/inject: "false" } }
spec:
  serviceAccountName: api
  containers: [{ name: bound, image: "docker.io/curlimages/curl:8.11.1", command: [sleep, infinity] }]
"#;
