//! Kubernetes RBAC decides (SubjectAccessReview): the example of kube-rbac-proxy's README with real processes, removed
//! bindings, outages, and many requests.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::Gate;
use crate::support::reviews::{outcome, reviewer};
use crate::support::services::{self, How, Service, shipped};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::load::Steady;
use envoy_test::{ApiServer, Endpoint, EnvoySetup, Fault, Request, Token, poll};
use serde_json::{Value, json};

/// The roles and bindings of docs/from-kube-rbac-proxy.md.
fn roles() -> Result<String> {
    let page = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/from-kube-rbac-proxy.md"));
    let page = fs::read_to_string(page)?;
    let (_, rest) = page.split_once("```yaml\n").context("a manifest")?;
    let (manifest, _) = rest.split_once("```").context("its end")?;
    Ok(manifest.to_owned())
}

fn account(namespace: &str, name: &str) -> Token {
    Token::for_service_account(namespace, name).audience("metrics").pod(&format!("{name}-0"))
}

/// The shipped configuration, with these members of `subjectAccessReview`.
fn config(more: Value) -> Result<Value> {
    let mut config = shipped("kubernetes-rbac")?;
    let access = config["issuers"][0]["subjectAccessReview"].as_object_mut();
    if let (Some(access), Value::Object(more)) = (access, more) {
        access.extend(more);
    }
    Ok(config)
}

async fn gate(version: &str, api_server: &ApiServer, config: Value) -> Result<Gate> {
    let setup = EnvoySetup::new().version(version).api_server(api_server);
    Gate::start(setup.plugin_config(config)).await
}

fn metrics(token: &str) -> Request {
    Request::get("/metrics").bearer(token)
}

#[tokio::test]
async fn example_of_kube_rbac_proxy_behaves_as_its_readme_says() -> Result<()> {
    for version in oldest_and_newest() {
        let service = Service::start(&version, config(json!({}))?).await?;
        ensure!(service.api_server.apply_rbac(&roles()?)? == 2, "two objects");
        let prometheus = service.api_server.mint(account("monitoring", "prometheus"));
        let other = service.api_server.mint(account("web", "frontend"));
        let which = || format!("Envoy {version}");
        let mut caller = service.caller(How::Bearer, &prometheus).await?;
        let response = caller.get("/metrics").await?;
        services::check_identity(
            &response,
            &[("x-sa-namespace", "monitoring"), ("x-sa-name", "prometheus")],
        )
        .with_context(which)?;
        assert_eq!(services::outcome(&caller.get("/").await?), "403 forbidden", "{version}");
        let mut caller = service.caller(How::Bearer, &other).await?;
        assert_eq!(services::outcome(&caller.get("/metrics").await?), "403 forbidden", "{version}");
        let asked = service.api_server.count(Endpoint::SubjectAccessReview);
        assert_eq!(asked, 2, "{version}: no rule covers /");
    }
    Ok(())
}

#[tokio::test]
async fn methods_tokens_and_permissions_decide() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        api_server.apply_rbac(&roles()?)?;
        let gate = gate(&version, &api_server, config(json!({}))?).await?;
        let token = api_server.mint(account("monitoring", "prometheus"));
        let other = api_server.mint(account("web", "frontend"));
        for (request, expected) in [
            (metrics(&token), "200"),
            (Request::post("/metrics").bearer(&token), "403 forbidden"),
            (Request::method("HEAD", "/metrics").bearer(&token), "403"),
            (metrics(&other), "403 forbidden"),
            (Request::get("/metrics"), "401 missing_token"),
            (Request::get("/metrics/x").bearer(&token), "403 forbidden"),
            (Request::get("/%6detrics?a=b").bearer(&token), "200"),
            (Request::get("/x%2f../metrics").bearer(&token), "400 ambiguous_path"),
        ] {
            let response = request.send(gate.envoy.port()).await?;
            ensure!(
                outcome(&response) == expected,
                "{version}: {} instead of {expected}: {request:?}",
                outcome(&response)
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn removed_binding_is_refused_within_the_lifetime_while_requests_flow() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        api_server.apply_rbac(&roles()?)?;
        let ttl = json!({ "allowedTtl": "2s", "deniedTtl": "1s" });
        let gate = gate(&version, &api_server, config(ttl)?).await?;
        let token = api_server.mint(account("monitoring", "prometheus"));
        let load = Steady::paced(gate.envoy.port(), metrics(&token), Duration::from_millis(20));
        let passed = poll::until("a request to pass", async || {
            Ok((outcome(&metrics(&token).send(gate.envoy.port()).await?) == "200").then_some(()))
        });
        passed.await?;
        ensure!(api_server.delete_rbac("ClusterRoleBinding", "", "metrics"), "a binding");
        let start = Instant::now();
        let refused = poll::until("the caller to be refused", async || {
            let response = metrics(&token).send(gate.envoy.port()).await?;
            Ok((outcome(&response) == "403 forbidden").then(|| start.elapsed()))
        });
        let took = refused.await?;
        ensure!(took < Duration::from_secs(4), "{version}: refused after {took:?}");
        // The binding is back: the caller passes again.
        api_server.apply_rbac(&roles()?)?;
        let back = poll::until("the caller to pass again", async || {
            Ok((outcome(&metrics(&token).send(gate.envoy.port()).await?) == "200").then_some(()))
        });
        back.await?;
        let report = load.stop().await?;
        println!(
            "Envoy {version}: refused {took:.1?} after the binding was removed; {} requests",
            report.sent
        );
    }
    Ok(())
}

#[tokio::test]
async fn outage_leaves_cached_answers_valid_until_they_expire_and_then_denies() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        api_server.apply_rbac(&roles()?)?;
        let gate = gate(&version, &api_server, config(json!({ "allowedTtl": "3s" }))?).await?;
        let token = api_server.mint(account("monitoring", "prometheus"));
        let send =
            async |token: &str| anyhow::Ok(outcome(&metrics(token).send(gate.envoy.port()).await?));
        assert_eq!(send(&token).await?, "200", "{version}");
        let fresh = api_server.mint(account("monitoring", "prometheus"));
        api_server.set_fault(Endpoint::SubjectAccessReview, Some(Fault::Close));
        assert_eq!(send(&token).await?, "200", "{version}");
        assert_eq!(send(&fresh).await?, "503 authorization_unavailable", "{version}");
        let ended = poll::until("the answer to expire", async || {
            let found = send(&token).await?;
            ensure!(
                found == "200" || found == "503 authorization_unavailable",
                "{version}: {found}"
            );
            Ok((found != "200").then_some(()))
        });
        ended.await?;
        gate.envoy.wait_log("issuer \"local\": SubjectAccessReview unavailable").await?;
        api_server.set_fault(Endpoint::SubjectAccessReview, None);
        assert_eq!(send(&token).await?, "200", "{version}");
    }
    Ok(())
}

#[tokio::test]
async fn missing_permission_of_the_proxy_is_named_in_the_log() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = crate::support::p256_api_server().await?;
        let gate = gate(&version, &api_server, config(json!({}))?).await?;
        let token = api_server.mint(account("monitoring", "prometheus"));
        let response = metrics(&token).send(gate.envoy.port()).await?;
        assert_eq!(outcome(&response), "503 authorization_unavailable", "{version}");
        gate.envoy.wait_log("is not allowed to create SubjectAccessReviews; bind it to").await?;
    }
    Ok(())
}

#[tokio::test]
async fn many_requests_of_fifty_callers_cost_one_review_for_each_caller_and_path() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        api_server.apply_rbac(MANY)?;
        let mut config = config(json!({}))?;
        config["rules"] =
            json!([{ "name": "all", "allow": { "kubernetesRBAC": { "nonResource": {} } } }]);
        let setup = EnvoySetup::new().version(&version).api_server(&api_server).concurrency(1);
        let gate = Gate::start(setup.plugin_config(config)).await?;
        let tokens: Vec<_> =
            (0..50).map(|at| api_server.mint(account("monitoring", &format!("sa-{at}")))).collect();
        let mut sent = 0;
        for round in 0..8 {
            for (token, path) in
                tokens.iter().flat_map(|token| (0..5).map(move |path| (token, path)))
            {
                let request = Request::get(&format!("/p/{path}?round={round}")).bearer(token);
                let response = request.send(gate.envoy.port()).await?;
                ensure!(response.status == 200, "{version}: {}", outcome(&response));
                sent += 1;
            }
        }
        let reviews = api_server.count(Endpoint::SubjectAccessReview);
        println!("Envoy {version}: {sent} requests, {reviews} reviews");
        assert_eq!(reviews, 250, "{version}");
    }
    Ok(())
}

/// The verdicts are those of kube-rbac-proxy's code (pkg/proxy/proxy.go, pkg/authn, pkg/authz), which does not run here.
#[tokio::test]
async fn conversions_of_kube_rbac_proxy_decide_as_it_does() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = reviewer().await?;
        api_server.apply_rbac(&roles()?)?;
        api_server.apply_rbac(REWRITES)?;
        let mint = |namespace: &str, name: &str| {
            let token = Token::for_service_account(namespace, name);
            api_server.mint(token.audience("kube-rbac-proxy.default.svc").pod(&format!("{name}-0")))
        };
        let (token, other) = (mint("monitoring", "prometheus"), mint("web", "frontend"));
        let elsewhere = api_server.mint(account("monitoring", "prometheus"));
        let get = |path: &str| Request::get(path).bearer(&token);
        let of_path = vec![
            (Request::get("/healthz"), "200"),
            (get("/metrics"), "200"),
            (get("/metrics?a=b"), "200"),
            (Request::post("/metrics").bearer(&token), "403 forbidden"),
            (Request::method("HEAD", "/metrics").bearer(&token), "403"),
            (get("/other"), "403 forbidden"),
            (metrics(&other), "403 forbidden"),
            (metrics(&elsewhere), "401 wrong_audience"),
            (Request::get("/metrics"), "401 missing_token"),
        ];
        let of_namespace = vec![
            (get("/metrics?namespace=default"), "200"),
            (get("/metrics?a=b&namespace=default&namespace=default"), "200"),
            (get("/metrics?namespace=web"), "403 forbidden"),
            (get("/metrics?namespace=default&namespace=web"), "403 forbidden"),
            (get("/metrics"), "400 ambiguous_attributes"),
            (Request::post("/metrics?namespace=default").bearer(&token), "403 forbidden"),
            (Request::get("/metrics?namespace=default").bearer(&other), "403 forbidden"),
            (Request::get("/metrics?namespace=default"), "401 missing_token"),
        ];
        for (name, requests) in
            [("kube-rbac-proxy", of_path), ("kube-rbac-proxy-rewrites", of_namespace)]
        {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/testdata/convert");
            let config = fs::read_to_string(folder.join(format!("{name}.json")))?;
            let gate = gate(&version, &api_server, serde_json::from_str(&config)?).await?;
            for (request, expected) in requests {
                let found = outcome(&request.send(gate.envoy.port()).await?);
                ensure!(
                    found == expected,
                    "{version}: {name}: {found} instead of {expected}: {request:?}"
                );
            }
        }
    }
    Ok(())
}

/// For kube-rbac-proxy's example of rewrites.
const REWRITES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: namespace-metrics, namespace: default }
rules:
- { apiGroups: [""], resources: [namespace/metrics], verbs: [get] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: namespace-metrics, namespace: default }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: namespace-metrics }
subjects:
- { kind: ServiceAccount, name: prometheus, namespace: monitoring }
"#;

/// Every service account of `monitoring` may read `/p/*`.
const MANY: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: many }
rules:
- nonResourceURLs: ["/p/*"]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: many }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: many }
subjects:
- { kind: Group, name: "system:serviceaccounts:monitoring" }
"#;
