//! Measures what a cached answer of Kubernetes RBAC costs.

use std::fs;
use std::time::Duration;

use crate::support::Gate;
use crate::support::reviews::{outcome, reviewer};
use crate::support::services::shipped;
use anyhow::{Context, Result, ensure};
use envoy_test::load::Steady;
use envoy_test::{EnvoySetup, Request, Token, poll};
use serde_json::{Value, json};

/// The CPU time of a process in nanoseconds.
fn cpu(pid: u32) -> Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        total += text.split(' ').next().context("a number")?.parse::<u64>()?;
    }
    Ok(total)
}

/// The CPU time of one of many requests on one connection.
async fn cost(gate: &Gate, request: &Request) -> Result<f64> {
    let (pid, before) = (gate.envoy.pid(), cpu(gate.envoy.pid())?);
    let load = Steady::sending(gate.envoy.port(), request.clone());
    let done = async || Ok((load.sent() >= ROUND).then_some(()));
    poll::until_within(Duration::from_secs(300), "the requests of a round", done).await?;
    let report = load.stop().await?;
    ensure!(report.refused.is_empty(), "{:?}", report.refused.first());
    Ok((cpu(pid)? - before) as f64 / report.sent as f64)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures CPU time: needs a machine without much other load"]
async fn cached_answer_of_kubernetes_rbac_costs_little() -> Result<()> {
    let api_server = reviewer().await?;
    api_server.apply_rbac(ROLES)?;
    let token =
        Token::for_service_account("monitoring", "prometheus").audience("metrics").pod("p-0");
    let token = api_server.mint(token);
    let request = Request::get("/metrics").bearer(&token);
    let with_rule = |allow: Value| -> Result<Value> {
        let mut config = shipped("kubernetes-rbac")?;
        if allow.is_array()
            && let Some(issuer) = config["issuers"][0].as_object_mut()
        {
            issuer.remove("subjectAccessReview");
        }
        config["rules"][0]["allow"] = allow;
        Ok(config)
    };
    let rbac = json!({ "kubernetesRBAC": { "nonResource": {} } });
    let mut gates = Vec::new();
    for allow in [json!(["monitoring/prometheus"]), rbac] {
        let setup = EnvoySetup::new().api_server(&api_server).concurrency(1);
        let gate = Gate::start(setup.plugin_config(with_rule(allow)?)).await?;
        let response = request.send(gate.envoy.port()).await?;
        ensure!(outcome(&response) == "200", "{}", outcome(&response));
        gates.push(gate);
    }
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (gate, costs) in gates.iter().zip(&mut costs) {
            costs.push(cost(gate, &request).await? / 1000.0);
        }
    }
    let [list, rbac] = costs.map(median);
    println!(
        "CPU time of a request: {list:.1} us with a list, {rbac:.1} us with Kubernetes RBAC, {:.3}",
        rbac / list
    );
    ensure!(rbac / list < 1.15, "{:.3}", rbac / list);
    Ok(())
}

const ROUND: usize = 800;
const ROUNDS: usize = 9;

const ROLES: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: metrics }
rules:
- nonResourceURLs: [/metrics]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: metrics }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: metrics }
subjects:
- { kind: ServiceAccount, name: prometheus, namespace: monitoring }
"#;
