//! SubjectAccessReviews are answered from RBAC objects.

use super::*;

const PATH: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

const ROLES: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: { name: ignored }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: metrics }
rules:
- nonResourceURLs: [/metrics, "/debug/*"]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: metrics }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: metrics }
subjects:
- { kind: ServiceAccount, name: prometheus, namespace: monitoring }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: proxy, namespace: demo }
rules:
- apiGroups: [""]
  resources: [services/proxy]
  resourceNames: [app]
  verbs: ["*"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: proxy, namespace: demo }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: proxy }
subjects:
- { kind: Group, name: "system:serviceaccounts:monitoring" }
"#;

/// The status of a review of `monitoring/<name>`.
async fn status(api_server: &ApiServer, name: &str, attributes: Value) -> Value {
    api_server.grant_auth_delegator("demo", "reviewer");
    let reviewer = own_token(api_server, "reviewer");
    let mut spec = attributes;
    spec["user"] = json!(format!("system:serviceaccount:monitoring:{name}"));
    spec["groups"] = json!(["system:serviceaccounts:monitoring", "system:authenticated"]);
    let body = json!({ "spec": spec }).to_string();
    let answered = ask(api_server, "POST", PATH, Some(&reviewer), None, &body).await.unwrap();
    assert_eq!(answered.status, 201, "{}", answered.body);
    answered.json()["status"].clone()
}

fn path(path: &str, verb: &str) -> Value {
    json!({ "nonResourceAttributes": { "path": path, "verb": verb } })
}

fn service(namespace: &str, name: &str) -> Value {
    json!({ "resourceAttributes": {
        "namespace": namespace, "verb": "get", "resource": "services", "subresource": "proxy", "name": name,
    } })
}

#[tokio::test]
async fn roles_and_bindings_decide() {
    let api_server = start().await;
    assert_eq!(api_server.apply_rbac(ROLES).unwrap(), 4);
    let by = "RBAC: allowed by ClusterRoleBinding \"metrics\" of ClusterRole \"metrics\" to ServiceAccount \"prometheus/monitoring\"";
    let allowed = json!({ "allowed": true, "reason": by });
    assert_eq!(status(&api_server, "prometheus", path("/metrics", "get")).await, allowed);
    let no = json!({ "allowed": false });
    for (name, attributes, expected) in [
        ("prometheus", path("/debug/pprof", "get"), true),
        ("prometheus", path("/debug", "get"), false),
        ("prometheus", path("/metrics", "post"), false),
        ("prometheus", path("/metrics", ""), false),
        ("other", path("/metrics", "get"), false),
        ("other", path("/healthz", "get"), true),
        ("other", path("/api/v1/x", "get"), true),
        ("other", service("demo", "app"), true),
        ("other", service("demo", "db"), false),
        ("other", service("demo", ""), false),
        ("other", service("web", "app"), false),
        ("other", service("", "app"), false),
    ] {
        let found = status(&api_server, name, attributes.clone()).await;
        assert_eq!(found["allowed"], expected, "{name}: {attributes}");
        assert!(expected || found == no, "{found}");
    }
    assert!(api_server.delete_rbac("ClusterRoleBinding", "", "metrics"));
    assert_eq!(status(&api_server, "prometheus", path("/metrics", "get")).await, no);
}

#[tokio::test]
async fn missing_role_is_named_in_the_reason() {
    let api_server = start().await;
    api_server.apply_rbac(ROLES).unwrap();
    assert!(api_server.delete_rbac("ClusterRole", "", "metrics"));
    let reason = "RBAC: clusterrole.rbac.authorization.k8s.io \"metrics\" not found";
    let expected = json!({ "allowed": false, "reason": reason });
    assert_eq!(status(&api_server, "prometheus", path("/metrics", "get")).await, expected);
}

#[tokio::test]
async fn reviewer_without_permission_and_contradictory_specs_are_rejected() {
    let api_server = start().await;
    let reviewer = own_token(&api_server, "reviewer");
    let body = json!({ "spec": path("/x", "get") }).to_string();
    let post = async |body: &str| {
        ask(&api_server, "POST", PATH, Some(&reviewer), None, body).await.unwrap().status
    };
    assert_eq!(post(&body).await, 403);
    api_server.grant_auth_delegator("demo", "reviewer");
    assert_eq!(post(&body).await, 422, "no user");
    assert_eq!(post(r#"{"spec":{"user":"u"}}"#).await, 422);
    assert_eq!(post("{").await, 400);
}
