//! The API server stops, and comes back with other signing keys and issuers. Only with the cluster of `cargo xtask cluster up`.

use anyhow::{Result, ensure};
use cluster_test::{Caller, ControlPlane, Example, Load, until};
use serde_json::json;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

#[test]
fn outage_of_the_api_server_and_a_new_signing_key_lose_no_request() -> Result<()> {
    let (example, control_plane) = (Example::ready()?, ControlPlane::find()?);
    let load = Load::start(&example.kubectl, Caller::Api)?;
    let requests = |at_least: usize| {
        until("requests", || {
            let counts = load.counts(&example.kubectl)?;
            Ok((counts.values().sum::<usize>() < at_least).then(|| format!("{counts:?}")))
        })
    };
    requests(200)?;
    control_plane.kill()?;
    // kubectl exec needs the API server, so the loop counts for itself meanwhile.
    std::thread::sleep(OUTAGE);
    control_plane.set_tokens(&["sa2", "sa1"], &[ISSUER])?;
    control_plane.start()?;
    until("exec after the outage", || {
        Ok(load.counts(&example.kubectl).err().map(|error| error.to_string()))
    })?;
    let token = example.kubectl.token("sa-authn-api", "api", "secret-store")?;
    // The first request with the new key causes a fetch.
    let answer = example.ask_with(Caller::Web, "/headers", Some(&token))?;
    ensure!(answer.outcome() == "200", "{answer:?}");
    let counts = load.stop(&example.kubectl)?;
    println!("{counts:?}");
    let kinds: Vec<_> = counts.keys().map(String::as_str).collect();
    ensure!(kinds == ["none 401", "token 200"], "{counts:?}");
    ensure!(counts.values().sum::<usize>() > 1000, "{counts:?}");
    Ok(())
}

/// 20,000 requests of 50 callers through the mesh, and what the API server was asked.
#[test]
fn no_request_of_fifty_callers_gets_a_wrong_answer() -> Result<()> {
    let (example, control_plane) = (Example::ready()?, ControlPlane::find()?);
    let kubectl = &example.kubectl;
    example.restart()?;
    // 25 accounts that a rule allows, and 25 that no rule allows.
    let mut manifests = String::new();
    for number in 0..50 {
        manifests += &format!(
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{ name: caller-{number}, namespace: sa-authn-web }}\n"
        );
    }
    kubectl.apply(&manifests)?;
    let allowed: Vec<_> = (0..25).map(|number| format!("sa-authn-web/caller-{number}")).collect();
    example.change_plugin(|spec| spec["pluginConfig"]["rules"][1]["allow"] = json!(allowed))?;
    let mut config = String::new();
    for number in 0..50 {
        let token = kubectl.token("sa-authn-web", &format!("caller-{number}"), "secret-store")?;
        // One file of curl's options for each caller; each request prints the caller's number and the status.
        let expected = if number < 25 { "200" } else { "403" };
        config += &format!(
            "cat > /tmp/callers/{number} <<'E'\nheader = \"Authorization: Bearer {token}\"\nwrite-out = \"{expected} %{{http_code}}\\n\"\nE\n"
        );
    }
    let script = format!("rm -rf /tmp/callers; mkdir /tmp/callers\n{config}");
    kubectl.with_input(
        ["-n", "sa-authn-web", "exec", "-i", "deploy/web", "-c", "web", "--", "sh"],
        &script,
    )?;
    until("the rule", || {
        let seen = kubectl.shell(
            "sa-authn-web",
            "deploy/web",
            "web",
            "curl -s -o /dev/null -K /tmp/callers/0 http://secret-store.sa-authn-secrets/headers",
        )?;
        Ok((seen != "200 200").then_some(seen))
    })?;
    let before = control_plane.audit()?.len();
    let run = "for n in $(seq 0 49); do
  curl -s -m 120 -o /dev/null -K /tmp/callers/$n 'http://secret-store.sa-authn-secrets/headers?[1-400]' > /tmp/callers/$n.out &
done; wait
cat /tmp/callers/*.out | sort | uniq -c";
    let start = std::time::Instant::now();
    let seen = kubectl.shell("sa-authn-web", "deploy/web", "web", run)?;
    let seen: Vec<_> = seen.lines().map(str::trim).collect();
    let asked: Vec<_> = control_plane.audit()?.split_off(before);
    println!("{seen:?} in {:?}; the API server was asked {} times", start.elapsed(), asked.len());
    assert_eq!(seen, ["10000 200 200", "10000 403 403"]);
    // Keys only: no request depends on the API server. The refresh interval is ten minutes.
    ensure!(asked.len() <= 12, "{asked:#?}");
    Ok(())
}

/// Longer than any timeout of the filter's calls.
const OUTAGE: std::time::Duration = std::time::Duration::from_secs(15);
