//! The API server stops, and comes back with other signing keys and issuers. Only with the cluster of `cargo xtask cluster up`.

use anyhow::{Context, Result, ensure};
use cluster_test::{Caller, ControlPlane, Example, Kubectl, Load, claims, until};
use serde_json::{Value, json};

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

#[test]
fn outage_of_the_api_server_and_a_new_signing_key_lose_no_request() -> Result<()> {
    let (example, control_plane) = (Example::ready()?, ControlPlane::find()?);
    let load = Load::start(&example.kubectl, Caller::Api)?;
    load.continue_for(&example.kubectl, 200)?;
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

#[test]
fn every_algorithm_of_signing_keys_is_verified() -> Result<()> {
    let (example, control_plane) = (Example::ready()?, ControlPlane::find()?);
    example.change_plugin(|spec| {
        spec["pluginConfig"]["issuers"][0]["keys"]["minRefetchInterval"] = json!("1s");
    })?;
    for key in ["rsa4096", "es256", "es384", "es521"] {
        // sa1 signed the tokens of the running pods.
        control_plane.restart_with(&[key, "sa1"], &[ISSUER])?;
        let token = example.kubectl.token("sa-authn-api", "api", "secret-store")?;
        until(&format!("a token that {key} signed"), || {
            let seen = example.ask_with(Caller::Web, "/headers", Some(&token))?.outcome();
            Ok((seen != "200").then_some(seen))
        })?;
    }
    Ok(())
}

#[test]
fn tokens_of_the_previous_issuer_are_accepted_as_an_alias() -> Result<()> {
    let (example, control_plane) = (Example::ready()?, ControlPlane::find()?);
    let old = example.kubectl.token("sa-authn-api", "api", "secret-store")?;
    let new_issuer = "https://issuer.example.com";
    control_plane.restart_with(&["sa1"], &[new_issuer, ISSUER])?;
    let new = example.kubectl.token("sa-authn-api", "api", "secret-store")?;
    assert_eq!(claims(&new)?["iss"], new_issuer);
    let ask = |token: &str| Ok(example.ask_with(Caller::Web, "/headers", Some(token))?.outcome());
    let expect = |token: &str, outcome: &str| {
        until(outcome, || ask(token).map(|seen: String| (seen != outcome).then_some(seen)))
    };
    expect(&new, "401 unknown_issuer")?;
    example.change_plugin(|spec| {
        let issuer = &mut spec["pluginConfig"]["issuers"][0];
        issuer["issuer"] = json!(new_issuer);
        issuer["aliases"] = json!([ISSUER]);
    })?;
    expect(&new, "200")?;
    expect(&old, "200")
}

/// The default token of a pod is valid for a year, and says after which time its use is a mistake.
#[test]
fn default_token_of_a_pod_is_valid_for_a_year_unless_warn_after_is_honored() -> Result<()> {
    let example = Example::ready()?;
    let path = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    let token =
        example.kubectl.shell("sa-authn-api", "deploy/api", "api", &format!("cat {path}"))?;
    let claims = claims(&token)?;
    let at =
        |pointer: &str| claims.pointer(pointer).and_then(Value::as_i64).context(claims.to_string());
    ensure!(at("/exp")? - at("/iat")? == 31_536_000, "{claims}");
    ensure!(at("/kubernetes.io/warnafter")? - at("/iat")? == 3607, "{claims}");
    // Its audience is the API server.
    let outcome = example.ask_with(Caller::Web, "/headers", Some(&token))?.outcome();
    assert_eq!(outcome, "401 wrong_audience");
    example.change_plugin(|spec| {
        let issuer = &mut spec["pluginConfig"]["issuers"][0];
        issuer["audiences"] = json!(["secret-store", ISSUER]);
        issuer["maxLifetime"] = json!("24h");
    })?;
    let expect = |outcome: &str| {
        until(outcome, || {
            let seen = example.ask_with(Caller::Web, "/headers", Some(&token))?.outcome();
            Ok((seen != outcome).then_some(seen))
        })
    };
    expect("401 lifetime_too_long")?;
    example.change_plugin(|spec| {
        let issuer = &mut spec["pluginConfig"]["issuers"][0];
        issuer["audiences"] = json!(["secret-store", ISSUER]);
        issuer["maxLifetime"] = json!("24h");
        issuer["honorWarnAfter"] = json!(true);
    })?;
    expect("200")
}

/// Kubernetes lets every service account read the keys. Without that binding, the shipped one is necessary and sufficient.
#[test]
fn keys_need_the_default_binding_or_the_shipped_one() -> Result<()> {
    let (example, control_plane) = (Example::ready()?, ControlPlane::find()?);
    let kubectl = &example.kubectl;
    kubectl.delete(&Example::manifest("rbac-keys.yaml")?)?;
    let token = kubectl.token("sa-authn-secrets", "secret-store", ISSUER)?;
    let get =
        |token: Option<&str>| Kubectl::with_token(token)?.run(["get", "--raw", "/openid/v1/jwks"]);
    ensure!(get(None).is_err(), "anonymous access is off");
    get(Some(&token)).context("the default binding allows it")?;
    kubectl.run(["delete", "clusterrolebinding", "system:service-account-issuer-discovery"])?;
    let without_the_binding = || -> Result<()> {
        until("the permission is gone", || Ok(get(Some(&token)).ok()))?;
        example.restart()?;
        example.expect(Caller::Api, "/headers", "503 keys_unavailable")?;
        let log = example.log()?;
        ensure!(log.contains("status 403"), "{log}");
        kubectl.apply(&Example::manifest("rbac-keys.yaml")?)?;
        example.expect(Caller::Api, "/headers", "200")?;
        kubectl.delete(&Example::manifest("rbac-keys.yaml")?)
    };
    let outcome = without_the_binding();
    // A start of the API server creates its default bindings again.
    control_plane.kill()?;
    control_plane.start()?;
    until("the default binding", || Ok(get(Some(&token)).err().map(|error| error.to_string())))?;
    outcome
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
