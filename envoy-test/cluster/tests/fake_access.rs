//! The fake API server of `envoy-test` answers SubjectAccessReviews as the real one, from the same RBAC objects.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cluster_test::{Kubectl, until};
use envoy_test::{ApiServer, ApiServerOptions, Token};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

const PATH: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

const OBJECTS: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: sa-authn-access }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: sa-authn-access }
rules:
- nonResourceURLs: [/metrics, "/debug/*"]
  verbs: [get]
- nonResourceURLs: [/all]
  verbs: ["*"]
- apiGroups: ["metrics.example"]
  resources: ["*"]
  verbs: [get, list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: sa-authn-access }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sa-authn-access }
subjects:
- { kind: ServiceAccount, name: prometheus, namespace: sa-authn-access }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: proxy, namespace: sa-authn-access }
rules:
- apiGroups: [""]
  resources: [services/proxy]
  resourceNames: [app]
  verbs: ["*"]
- apiGroups: [""]
  resources: [pods, "*/log"]
  verbs: [list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: proxy, namespace: sa-authn-access }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: proxy }
subjects:
- { kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:serviceaccounts:sa-authn-access" }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: missing, namespace: sa-authn-access }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: missing }
subjects:
- { kind: ServiceAccount, name: broken, namespace: sa-authn-access }
"#;

fn path(verb: &str, path: &str) -> Value {
    json!({ "nonResourceAttributes": { "verb": verb, "path": path } })
}

fn resource(verb: &str, attributes: Value) -> Value {
    let mut attributes = attributes;
    attributes["verb"] = json!(verb);
    json!({ "resourceAttributes": attributes })
}

/// What is asked about each account.
fn questions() -> Vec<Value> {
    let here = "sa-authn-access";
    let app =
        json!({ "namespace": here, "resource": "services", "subresource": "proxy", "name": "app" });
    let other =
        json!({ "namespace": here, "resource": "services", "subresource": "proxy", "name": "b" });
    let all = json!({ "namespace": here, "resource": "services", "subresource": "proxy" });
    let elsewhere = json!({ "namespace": "default", "resource": "services", "subresource": "proxy", "name": "app" });
    let pods = json!({ "namespace": here, "resource": "pods", "version": "v1" });
    let log = json!({ "namespace": here, "resource": "pods", "subresource": "log", "name": "a" });
    let nodes = json!({ "group": "metrics.example", "resource": "nodes" });
    let of_nodes = json!({ "group": "metrics.example", "resource": "nodes", "subresource": "x" });
    vec![
        path("get", "/metrics"),
        path("", "/metrics"),
        path("head", "/metrics"),
        path("get", "/metrics/"),
        path("get", "/debug/pprof/heap"),
        path("get", "/debug"),
        path("", "/all"),
        path("get", "/healthz"),
        path("get", "/version"),
        path("get", "/api/v1"),
        path("post", "/api/v1"),
        resource("get", app.clone()),
        resource("", app),
        resource("get", other),
        resource("get", all),
        resource("get", elsewhere),
        resource("list", pods.clone()),
        resource("get", pods),
        resource("list", log),
        resource("list", nodes.clone()),
        resource("create", nodes),
        resource("get", of_nodes),
    ]
}

/// `status` of the answer of `kubectl create --raw`; `arguments` name the server.
fn ask(arguments: &[String], spec: &Value) -> Result<Value> {
    let review = json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec });
    let mut kubectl = Command::new("kubectl");
    kubectl.args(arguments).args(["create", "--raw", PATH, "-f", "-"]);
    kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = kubectl.spawn().context("kubectl cannot be started")?;
    running.stdin.take().context("stdin")?.write_all(review.to_string().as_bytes())?;
    let output = running.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    // Two default roles allow some paths, and the API server names the one that it happens to find first.
    let status =
        answer["status"].to_string().replace("system:public-info-viewer", "system:discovery");
    Ok(serde_json::from_str(&status)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn fake_api_server_reviews_access_as_the_real_one() -> Result<()> {
    let kubectl = Kubectl::admin();
    kubectl.apply(OBJECTS)?;
    let fake = ApiServer::start(ApiServerOptions::default()).await?;
    fake.apply_rbac(OBJECTS)?;
    fake.grant_auth_delegator("sa-authn-access", "reviewer");
    let reviewer = Token::for_service_account("sa-authn-access", "reviewer");
    let reviewer = fake.mint(reviewer.audience("https://kubernetes.default.svc.cluster.local"));
    let mut ca = NamedTempFile::new()?;
    ca.write_all(fake.ca_pem().as_bytes())?;
    let to_fake = [
        "--kubeconfig=/dev/null".to_owned(),
        format!("--server=https://127.0.0.1:{}", fake.port()),
        format!("--certificate-authority={}", ca.path().display()),
        "--tls-server-name=kubernetes.default.svc".to_owned(),
        format!("--token={reviewer}"),
    ];
    let account = |name: &str, spec: &Value| {
        let mut spec = spec.clone();
        spec["user"] = json!(format!("system:serviceaccount:sa-authn-access:{name}"));
        spec["groups"] = json!([
            "system:serviceaccounts",
            "system:serviceaccounts:sa-authn-access",
            "system:authenticated"
        ]);
        spec
    };
    until("the roles to be effective", || {
        let status = ask(&[], &account("prometheus", &path("get", "/metrics")))?;
        Ok((status["allowed"] != true).then(|| status.to_string()))
    })?;
    let mut different = Vec::new();
    let mut compared = 0;
    for name in ["prometheus", "other", "broken"] {
        for question in questions() {
            let spec = account(name, &question);
            let (real, fake) = (ask(&[], &spec)?, ask(&to_fake, &spec)?);
            compared += 1;
            if real != fake {
                different.push(format!("{name} {question}:\n real {real}\n fake {fake}"));
            }
        }
    }
    kubectl.delete(OBJECTS)?;
    println!("{compared} answers compared");
    ensure!(
        different.is_empty(),
        "{} of {compared} differ:\n{}",
        different.len(),
        different.join("\n")
    );
    Ok(())
}
