//! `issuers[].subjectAccessReview`, and `kubernetesRBAC` in rules.

use super::{Row, check, check_form, good, put, schema};
use sa_authn::config::Config;
use serde_json::{Value, json};

/// A configuration with a rule that asks this.
fn asking(rbac: Value) -> Value {
    let plan = json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" });
    let config = put(good(), "/issuers/0/subjectAccessReview", plan);
    put(config, "/rules/1/allow", json!({ "kubernetesRBAC": rbac }))
}

fn non_resource() -> Value {
    asking(json!({ "nonResource": {} }))
}

#[test]
fn valid_questions_are_accepted() {
    for rbac in [
        json!({ "nonResource": {} }),
        json!({ "nonResource": { "verb": "get" } }),
        json!({ "nonResource": {}, "verbs": "kubeRbacProxy" }),
        json!({ "resource": { "resource": "services" }, "verbs": "kubernetes" }),
        json!({ "resource": {
            "apiGroup": "a.example", "apiVersion": "v1", "resource": { "segment": 1 }, "subresource": "proxy",
            "namespace": { "query": "ns" }, "name": { "query": "ns" }, "verb": "use",
        } }),
    ] {
        let config = asking(rbac);
        assert!(Config::parse(config.to_string().as_bytes()).is_ok(), "{config}");
        schema::check_valid(&config);
    }
}

#[test]
fn question_of_the_wrong_form_is_rejected() {
    let (allow, rbac) = ("rules[1].allow", "rules[1].allow.kubernetesRBAC");
    let none = (rbac, "found none");
    check_form(vec![
        (
            put(non_resource(), "/rules/1/allow", json!({ "kubernetesrbac": {} })),
            vec![none, ("rules[1].allow.kubernetesrbac", "unknown field")],
        ),
        (put(non_resource(), "/rules/1/allow", json!({})), vec![none]),
        (put(non_resource(), "/rules/1/allow", json!(1)), vec![(allow, "expected \"anyone\"")]),
        (
            asking(json!({ "nonresource": {} })),
            vec![none, ("rules[1].allow.kubernetesRBAC.nonresource", "unknown field")],
        ),
        (
            asking(json!({ "nonResource": {}, "verbs": "http" })),
            vec![("rules[1].allow.kubernetesRBAC.verbs", "unknown variant")],
        ),
        (
            asking(json!({ "resource": { "resource": "x", "name": 1 } })),
            vec![("rules[1].allow.kubernetesRBAC.resource.name", "expected a string")],
        ),
        (
            asking(json!({ "resource": { "resource": "x", "name": { "header": "x" } } })),
            vec![("rules[1].allow.kubernetesRBAC.resource.name.header", "unknown field")],
        ),
    ]);
}

#[test]
fn question_that_is_incomplete_or_contradicts_itself_is_rejected() {
    let rbac = "rules[1].allow.kubernetesRBAC";
    let rows: Vec<Row> = vec![
        (
            asking(json!({})),
            vec![(rbac, "expected exactly one of nonResource, resource, found none")],
        ),
        (
            asking(json!({ "nonResource": {}, "resource": { "resource": "x" } })),
            vec![(rbac, "found both")],
        ),
        (
            asking(json!({ "resource": {} })),
            vec![("rules[1].allow.kubernetesRBAC.resource.resource", "required")],
        ),
        (
            asking(json!({ "resource": { "resource": "x", "name": "" } })),
            vec![("rules[1].allow.kubernetesRBAC.resource.name", "1 to 253")],
        ),
        (
            asking(json!({ "resource": { "resource": "x", "name": { "segment": 0 } } })),
            vec![("rules[1].allow.kubernetesRBAC.resource.name.segment", "from 1 to 64")],
        ),
        (
            asking(json!({ "resource": { "resource": "x", "name": {} } })),
            vec![("rules[1].allow.kubernetesRBAC.resource.name", "one of segment, query")],
        ),
        (
            asking(json!({ "nonResource": { "verb": "get" }, "verbs": "kubernetes" })),
            vec![("rules[1].allow.kubernetesRBAC.verbs", "not used if `verb` is set")],
        ),
        (
            asking(
                json!({ "resource": { "resource": "x", "name": { "query": "a" }, "namespace": { "query": "b" } } }),
            ),
            vec![(rbac, "only one query parameter")],
        ),
        (
            put(
                non_resource(),
                "/rules/1/deny",
                json!({ "kubernetesRBAC": { "nonResource": {} } }),
            ),
            vec![("rules[1].deny", "only supported in `allow`")],
        ),
    ];
    check(rows);
}

#[test]
fn rule_and_issuer_belong_together() {
    let without = put(good(), "/rules/1/allow", json!({ "kubernetesRBAC": { "nonResource": {} } }));
    let plan = json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" });
    check(vec![
        (
            without,
            vec![("rules[1].allow.kubernetesRBAC", "requires `subjectAccessReview` in an issuer")],
        ),
        (
            put(good(), "/issuers/0/subjectAccessReview", plan),
            vec![("issuers[0].subjectAccessReview", "no rule has `kubernetesRBAC`")],
        ),
    ]);
}

#[test]
fn reviews_need_a_server_and_bounded_times() {
    let at = |field: &str, value: Value| {
        put(non_resource(), &format!("/issuers/0/subjectAccessReview/{field}"), value)
    };
    check(vec![
        (
            at("cluster", json!("")),
            vec![("issuers[0].subjectAccessReview.cluster", "Envoy cluster")],
        ),
        (
            at("authority", json!("a b")),
            vec![("issuers[0].subjectAccessReview.authority", "host name")],
        ),
        (
            at("pathPrefix", json!("k8s")),
            vec![("issuers[0].subjectAccessReview.pathPrefix", "begin with a slash")],
        ),
        (
            at("timeout", json!("0s")),
            vec![("issuers[0].subjectAccessReview.timeout", "must be from 1ms to 60s, found 0s")],
        ),
        (
            at("allowedTtl", json!("61m")),
            vec![(
                "issuers[0].subjectAccessReview.allowedTtl",
                "must be at most 1h, found 61m; a changed role binding",
            )],
        ),
        (
            at("deniedTtl", json!("61m")),
            vec![(
                "issuers[0].subjectAccessReview.deniedTtl",
                "must be at most 1h, found 61m; a changed role binding",
            )],
        ),
    ]);
}
