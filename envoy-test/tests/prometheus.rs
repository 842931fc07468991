//! observability/: promtool accepts the rules, and a real Prometheus that scrapes a running Envoy computes the
//! expected values from the rules and the dashboard.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::support::docker::not_run;
use crate::support::reviews::{reviewed, reviewer};
use crate::support::{Gate, api, get};
use anyhow::{Context, Result, ensure};
use envoy_test::prometheus::{Prometheus, as_sent, is_here, observability, panels, promtool};
use envoy_test::{Endpoint, EnvoySetup, Fault, Request, Response, Token, poll};
use serde_json::{Value, json};

#[test]
fn promtool_accepts_the_rules_and_their_tests() -> Result<()> {
    if !is_here() {
        return not_run("promtool on observability/", "there is no prometheus in the PATH");
    }
    let checked = promtool(&["check", "rules", "prometheus-rules.yaml"])?;
    assert!(checked.contains("SUCCESS: 28 rules found"), "{checked}");
    let tested = promtool(&["test", "rules", "prometheus-rules-test.yaml"])?;
    assert!(tested.contains("SUCCESS"), "{tested}");
    Ok(())
}

/// Debian's Prometheus has no discovery of Kubernetes: promtool checks the rest.
#[test]
fn promtool_accepts_the_scrape_configurations() -> Result<()> {
    if !is_here() {
        return not_run("promtool on observability/", "there is no prometheus in the PATH");
    }
    let text = fs::read_to_string(observability().join("prometheus-scrape.yaml"))?;
    let mut config: Value = serde_saphyr::from_str(&text)?;
    let jobs = config["scrape_configs"].as_array_mut().context("scrape_configs")?;
    let mut discovered = 0;
    for job in jobs.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(pods) = job.remove("kubernetes_sd_configs") {
            assert_eq!(pods, json!([{ "role": "pod" }]));
            discovered += 1;
        }
    }
    assert_eq!(discovered, 2);
    let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    fs::write(file.path(), config.to_string())?;
    let checked = promtool(&["check", "config", &file.path().to_string_lossy()])?;
    assert!(checked.contains("SUCCESS"), "{checked}");
    Ok(())
}

#[test]
fn every_alert_has_a_summary_and_a_remedy() -> Result<()> {
    for rule in rules()?.iter().filter(|rule| rule.get("alert").is_some()) {
        for said in ["summary", "description", "action"] {
            let text = rule["annotations"][said].as_str().unwrap_or_default();
            assert!(text.len() > 12, "{said} of {}", rule["alert"]);
        }
        let name = rule["alert"].as_str().context("a name")?;
        let url = format!("https://docs.example.com/sa-authn/runbook.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"], url);
        assert!(RUNBOOK.contains(&format!("\n## {name}\n")), "no section for {name}");
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["info", "warning", "critical"].contains(&severity), "{}", rule["alert"]);
    }
    Ok(())
}

#[tokio::test]
async fn prometheus_rules_compute_what_was_sent() -> Result<()> {
    if !is_here() {
        return not_run("Prometheus on a running Envoy", "there is no prometheus in the PATH");
    }
    let world = World::start().await?;
    // Both metrics start in one scrape and in the same proportion, so that Prometheus extrapolates exactly.
    world.sends(3, 1).await?;
    poll::until("the first metrics", async || {
        let text = world.gate.envoy.prometheus().await?;
        Ok((text.contains(ALLOWED_3) && text.contains(FORBIDDEN_1)).then_some(()))
    })
    .await?;
    let target = format!("127.0.0.1:{}", world.gate.envoy.admin_port());
    let prometheus = Prometheus::start(&target, json!({})).await?;
    prometheus.wait_value(r#"sa_authn_requests{reason="forbidden"}"#, 1.0).await?;
    world.sends(150, 50).await?;
    for (expression, expected) in [
        (r#"sa_authn_requests{verdict="allowed"}"#, 153.0),
        (r#"sa_authn_requests{verdict="denied"}"#, 51.0),
        (r#"sa_authn:refusals:ratio_rate5m{reason="forbidden"}"#, 0.25),
        ("sa_authn:token_cache_hits:ratio_rate5m", 1.0),
        // A quarter is denied, but not for ten minutes.
        (r#"ALERTS{alertname="SaAuthnRefusals", alertstate="pending", reason="forbidden"}"#, 1.0),
    ] {
        prometheus.wait_value(expression, expected).await?;
    }
    let age = prometheus.query("sa_authn:keys_age:seconds").await?;
    ensure!(matches!(age[..], [(_, seconds)] if (0.0..60.0).contains(&seconds)), "{age:?}");

    world.causes_a_rejected_update(&prometheus).await?;
    world.causes_a_mismatch(&prometheus).await?;
    world.causes_the_other_metrics(&prometheus).await?;
    check_names(&prometheus).await?;
    check_dashboard(&prometheus).await
}

/// The allowed and the forbidden token are each reviewed once, and cached.
struct World {
    api_server: envoy_test::ApiServer,
    gate: Gate,
    allowed: String,
    forbidden: String,
}

// === impl World ===

impl World {
    async fn start() -> Result<Self> {
        let api_server = reviewer().await?;
        let mut config = reviewed("afterVerification", json!({ "onOutage": "acceptVerified" }));
        config["rules"] = json!([
            { "name": "draft", "mode": "shadow", "paths": ["/new/*"], "deny": "anyone" },
            { "name": "shadow", "mode": "shadow", "paths": ["/try/*"], "allow": ["web/web"] },
            { "name": "health", "paths": ["/healthz"], "allow": "anyone" },
            { "name": "rbac", "paths": ["/rbac/*"], "allow": { "kubernetesRBAC": { "nonResource": {} } } },
            { "name": "secrets", "methods": ["GET"], "allow": ["api/api"] },
        ]);
        config["issuers"][0]["subjectAccessReview"] =
            json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" });
        let setup = EnvoySetup::new().api_server(&api_server).plugin_config(config);
        let setup = setup.dynamic_listener(Duration::from_secs(1));
        let gate = Gate::start(setup).await?;
        let allowed = api_server.mint(api());
        let forbidden = api_server.mint(Token::for_service_account("web", "web"));
        Ok(Self { api_server, gate, allowed, forbidden })
    }

    async fn sends(&self, allowed: usize, forbidden: usize) -> Result<()> {
        for (token, times, status) in
            [(&self.allowed, allowed, 200), (&self.forbidden, forbidden, 403)]
        {
            for _ in 0..times {
                let response = get(token).send(self.gate.envoy.port()).await?;
                ensure!(response.status == status, "{} {}", response.status, response.text());
            }
        }
        Ok(())
    }

    async fn with_a_new_token(&self, path: &str) -> Result<Response> {
        let request = Request::get(path).bearer(&self.api_server.mint(api()));
        request.send(self.gate.envoy.port()).await
    }

    fn fault(&self, fault: Option<Fault>) {
        self.api_server.set_fault(Endpoint::TokenReview, fault);
    }

    /// A new configuration is invalid: Envoy keeps the old one.
    async fn causes_a_rejected_update(&self, prometheus: &Prometheus) -> Result<()> {
        self.gate.envoy.replace_plugin_config(&json!({ "issuers": [] }))?;
        prometheus.wait_value("envoy_listener_manager_lds_update_rejected", 1.0).await?;
        let firing = r#"ALERTS{alertname="SaAuthnUpdateRejected", alertstate="firing"}"#;
        prometheus.wait_value(firing, 1.0).await?;
        self.sends(1, 1).await
    }

    /// The API server approves another identity, which triggers an alert without a delay.
    async fn causes_a_mismatch(&self, prometheus: &Prometheus) -> Result<()> {
        let status = json!({ "authenticated": true, "user": { "username": "system:anonymous" } });
        let review = json!({
            "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status,
        });
        self.fault(Some(Fault::Body(review.to_string().into_bytes())));
        let firing = r#"ALERTS{alertname="SaAuthnReviewMismatch", alertstate="firing"}"#;
        ensure!(prometheus.query(firing).await?.is_empty());
        for count in [1.0, 2.0] {
            let reason = self.with_a_new_token("/secrets/1").await?.reason();
            ensure!(reason.as_deref() == Some("review_mismatch"), "{reason:?}");
            prometheus.wait_value(r#"sa_authn_reviews{outcome="mismatch"}"#, count).await?;
        }
        prometheus.wait_value(firing, 1.0).await
    }

    /// A request without a token; a POST that only a shadow rule matches and would deny; a request that another shadow rule
    /// would deny and that waits for the enforced rule; and a request that passes during a fault of the API
    /// server.
    async fn causes_the_other_metrics(&self, prometheus: &Prometheus) -> Result<()> {
        let port = self.gate.envoy.port();
        let post = Request::post("/try/1").bearer(&self.allowed);
        for request in [Request::get("/healthz"), post] {
            ensure!(request.send(port).await?.status == 200);
        }
        self.fault(Some(Fault::UntilCleared));
        let waiting = self.with_a_new_token("/new/1");
        let recovered = async {
            prometheus.wait_value("sa_authn_waiting", 1.0).await?;
            self.fault(None);
            anyhow::Ok(())
        };
        let (waited, seen) = tokio::join!(waiting, recovered);
        seen?;
        ensure!(waited?.status == 200);
        // No role allows it. The second request has a cached answer, and the last has none.
        let access = Endpoint::SubjectAccessReview;
        for (path, status) in [("/rbac/1", 403), ("/rbac/1", 403), ("/rbac/2", 503)] {
            let fault = (status == 503).then_some(Fault::Status(500));
            self.api_server.set_fault(access, fault);
            let request = Request::get(path).bearer(&self.allowed);
            ensure!(request.send(port).await?.status == status, "{path}");
        }
        self.fault(Some(Fault::Status(500)));
        ensure!(self.with_a_new_token("/secrets/1").await?.status == 200);
        prometheus.wait_value("sa_authn_unreviewed", 1.0).await?;
        prometheus.wait_value(r#"sa_authn_shadow_denied{rule="draft"}"#, 1.0).await?;
        for record in [
            "sa_authn:reviews_unavailable:ratio_rate5m",
            "sa_authn:access_reviews_unavailable:ratio_rate5m",
        ] {
            poll::until("a rate of reviews that fail", async || {
                Ok((!prometheus.query(record).await?.is_empty()).then_some(()))
            })
            .await?;
        }
        Ok(())
    }
}

/// Every metric that rules and panels use exists.
async fn check_names(prometheus: &Prometheus) -> Result<()> {
    let known = prometheus.names().await?;
    let expressions = expressions()?;
    let named: BTreeSet<_> = expressions.iter().flat_map(|text| names(text)).collect();
    let unknown: Vec<_> = named.iter().filter(|name| !known.contains(name.as_str())).collect();
    ensure!(unknown.is_empty(), "unknown metrics {unknown:?}; expected some of {known:?}");
    let ours: Vec<_> = known.iter().filter(|name| name.starts_with("sa_authn_")).collect();
    let unused: Vec<_> = ours.iter().filter(|name| !named.contains(**name)).collect();
    ensure!(unused.is_empty(), "no rule and no panel shows {unused:?}");
    Ok(())
}

/// Each panel's query, as Grafana sends it.
async fn check_dashboard(prometheus: &Prometheus) -> Result<()> {
    for expression in panels()? {
        let expression = as_sent(&expression, "envoy");
        ensure!(!prometheus.query(&expression).await?.is_empty(), "no data: {expression}");
    }
    let reloads = r#"{__name__=~"envoy_wasm_(.+_)?sa_authn(_.+)?_vm_reload"}"#;
    ensure!(fs::read_to_string(observability().join("prometheus-rules.yaml"))?.contains(reloads));
    ensure!(prometheus.query(reloads).await?.len() == 1);
    Ok(())
}

// === the files ===

fn rules() -> Result<Vec<Value>> {
    let text = fs::read_to_string(observability().join("prometheus-rules.yaml"))?;
    let file: Value = serde_saphyr::from_str(&text)?;
    let groups = file["groups"].as_array().context("groups")?.clone();
    Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
}

fn expressions() -> Result<Vec<String>> {
    let rules = rules()?.into_iter();
    let rules = rules.filter_map(|rule| Some(rule["expr"].as_str()?.to_owned()));
    Ok(rules.chain(panels()?).collect())
}

/// The metrics of an expression: names outside of quotes that are not labels.
fn names(expression: &str) -> Vec<String> {
    let bare: Vec<_> = expression.split('"').step_by(2).collect();
    let joined = bare.join(" ");
    let words = joined.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    let metrics = words.filter(|word| word.starts_with("sa_authn") || word.starts_with("envoy_"));
    metrics.map(str::to_owned).collect()
}

const RUNBOOK: &str = include_str!("../../docs/runbook.md");
const ALLOWED_3: &str = r#"verdict="allowed",reason="none",rule="secrets",issuer="local"} 3"#;
const FORBIDDEN_1: &str = r#"verdict="denied",reason="forbidden",rule="secrets",issuer="local"} 1"#;
