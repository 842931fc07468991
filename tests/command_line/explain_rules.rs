//! The authorization steps of `sa-authn explain`.

use super::explain::{Cluster, NOW, api, explain, file};
use envoy_test::token::DEFAULT_ISSUER;
use serde_json::{Value, json};

#[test]
fn host_with_another_port_is_explained_with_the_matching_pattern() {
    let config = json!({
        "issuers": [{
            "issuer": DEFAULT_ISSUER, "audiences": ["x"],
            "keys": { "discovery": { "cluster": "c", "authority": "a" } },
        }],
        "rules": [
            { "name": "exact", "hosts": ["b.test", "api.example"], "allow": "anyone" },
            { "name": "below", "hosts": ["*.example:8080"], "allow": "anyone" },
            { "name": "other", "hosts": ["other.example:*"], "allow": "anyone" },
        ],
    });
    let config = file("ports.json", &config.to_string());
    for (host, lines) in [
        (
            "API.example:9999",
            [
                r#"    host      "api.example:9999" in normal form"#,
                r#"--  rule      "exact" does not cover the request: host "api.example:9999" differs from "api.example" by its port (this port: "api.example:9999", any port: "api.example:*")"#,
                r#"--  rule      "below" does not cover the request: host "api.example:9999" differs from "*.example:8080" by its port (this port: "*.example:9999", any port: "*.example:*")"#,
                r#"--  rule      "other" does not cover the request: host differs"#,
            ],
        ),
        (
            "x.example",
            [
                r#"    host      "x.example" in normal form"#,
                r#"--  rule      "exact" does not cover the request: host differs"#,
                r#"--  rule      "below" does not cover the request: host "x.example" differs from "*.example:8080" by its port (this port: "*.example", any port: "*.example:*")"#,
                r#"--  rule      "other" does not cover the request: host differs"#,
            ],
        ),
    ] {
        let ran = explain(&config, &["--host", host]);
        for line in lines {
            assert!(ran.stdout.lines().any(|found| found == line), "{line}\nin\n{}", ran.stdout);
        }
        assert_eq!(ran.code, 1);
    }
}

#[test]
fn shadow_rules_show_what_they_would_deny() {
    let cluster = Cluster::new("shadow-keys");
    let token = cluster.token("shadow-token", api());
    let enforced = json!({ "name": "enforced", "paths": ["/admin/*"], "allow": ["api/api"] });
    let config = |name: &str, rules: Value| {
        let issuer = json!({ "name": "local", "issuer": DEFAULT_ISSUER, "audiences": ["secret-store"],
            "keys": { "inline": serde_json::from_str::<Value>(&cluster.jwks_text()).unwrap() } });
        file(name, &json!({ "issuers": [issuer], "rules": rules }).to_string())
    };
    let draft =
        json!({ "name": "draft", "paths": ["/admin/*"], "mode": "shadow", "allow": ["b/c"] });
    let last = json!({ "name": "last", "mode": "shadow", "allow": "authenticated" });
    let both = config("shadow-both.json", json!([draft, enforced]));
    let alone = config("shadow-alone.json", json!([draft, last]));
    for (config, path, lines) in [
        (
            &both,
            "/admin/x",
            [
                "--  rule      \"draft\" covers the request in shadow mode; allow does not list api/api, or a condition does not match: would deny",
                "ok  rule      \"enforced\" covers the request; allow lists api/api",
                "    VERDICT   ALLOWED by rule \"enforced\"",
                "    shadow    rule \"draft\" would deny the request",
            ],
        ),
        (
            &alone,
            "/admin%2fx",
            [
                "NO  rule      \"draft\" may cover the request in shadow mode; ambiguous_path: would deny",
                "--  rule      \"last\" covers the request in shadow mode; allow matches api/api (authenticated)",
                "    VERDICT   ALLOWED IN SHADOW MODE; would be denied by rule \"draft\"",
                "    upstream  x-sa-name: api",
            ],
        ),
    ] {
        let request = format!("GET {path}");
        let at = NOW.to_string();
        let ran = explain(config, &["--token", &token, "--at", &at, "--request", &request]);
        for line in lines {
            assert!(ran.stdout.lines().any(|found| found == line), "{line:?} in\n{}", ran.stdout);
        }
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
}

/// The filter stops at the rule that denies, so the rules after it decide nothing.
#[test]
fn rule_after_a_rule_that_denies_is_not_evaluated() {
    let cluster = Cluster::new("denied-keys");
    let token = cluster.token("denied-token", api());
    let config = json!({
        "issuers": [{ "issuer": DEFAULT_ISSUER, "audiences": ["secret-store"],
            "keys": { "inline": serde_json::from_str::<Value>(&cluster.jwks_text()).unwrap() } }],
        "rules": [
            { "name": "suspended", "deny": ["api/*"] },
            { "name": "all", "allow": "authenticated" },
        ],
    });
    let config = file("denied.json", &config.to_string());
    let ran = explain(&config, &["--token", &token, "--at", &NOW.to_string()]);
    for line in [
        "NO  rule      \"suspended\" covers the request; deny lists api/api",
        "--  rule      \"all\" not evaluated: an earlier rule decided",
        "    VERDICT   DENIED: forbidden by rule \"suspended\"",
    ] {
        assert!(ran.stdout.lines().any(|found| found == line), "{line:?} in\n{}", ran.stdout);
    }
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}

#[test]
fn question_to_kubernetes_rbac_is_printed_and_its_answer_is_used() {
    let cluster = Cluster::new("rbac-keys");
    let token = cluster.token("rbac-token", api());
    let config = |mode: &str| {
        let server = json!({ "cluster": "c", "authority": "kubernetes.default.svc" });
        let issuer = json!({ "name": "local", "issuer": DEFAULT_ISSUER, "audiences": ["secret-store"],
            "keys": { "inline": serde_json::from_str::<Value>(&cluster.jwks_text()).unwrap() },
            "subjectAccessReview": server });
        let rule = json!({ "name": "rbac", "allow": { "kubernetesRBAC": { "nonResource": {} } } });
        let config = json!({ "issuers": [issuer], "rules": [rule], "mode": mode });
        file(&format!("rbac-{mode}.json"), &config.to_string())
    };
    let answer = |allowed: bool| {
        let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "status": { "allowed": allowed, "reason": "said so" } });
        file(&format!("access-{allowed}.json"), &review.to_string())
    };
    let at = NOW.to_string();
    let request = ["--token", &token, "--request", "GET /metrics", "--at", &at];
    let [yes, no] = [true, false].map(answer);
    for (mode, answer, code, lines) in [
        (
            "enforce",
            None,
            2,
            vec![
                r#"--  rule      "rbac" covers the request; allow asks Kubernetes RBAC about an authenticated caller"#,
                r"    VERDICT   indeterminate",
            ],
        ),
        ("shadow", None, 2, vec![r"    VERDICT   indeterminate"]),
        (
            "enforce",
            Some(&yes),
            0,
            vec![
                r#"ok  rule      "rbac" covers the request; allow asks Kubernetes RBAC"#,
                r#"    VERDICT   ALLOWED by rule "rbac""#,
            ],
        ),
        (
            "enforce",
            Some(&no),
            1,
            vec![
                r#"NO  rule      "rbac" covers the request; allow asks Kubernetes RBAC"#,
                r#"    reason    forbidden: api/api: rule "rbac": Kubernetes RBAC denies verb=get path=/metrics: said so"#,
            ],
        ),
    ] {
        let answer: Vec<&str> =
            answer.into_iter().flat_map(|file| ["--access-review", file]).collect();
        let ran = explain(&config(mode), &[&request[..], &answer].concat());
        for line in lines {
            assert!(ran.stdout.lines().any(|found| found == line), "{line}\nin\n{}", ran.stdout);
        }
        let question = r#"--  access    asks kubernetes.default.svc at /apis/authorization.k8s.io/v1/subjectaccessreviews: {"extra":"#;
        assert!(ran.stdout.lines().any(|line| line.starts_with(question)), "{}", ran.stdout);
        assert!(ran.stdout.contains(r#""nonResourceAttributes":{"path":"/metrics","verb":"get"}"#));
        assert_eq!(ran.code, code, "{}", ran.stdout);
    }
}
