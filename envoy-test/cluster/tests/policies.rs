//! The filter with Istio's own RequestAuthentication and AuthorizationPolicy.

use anyhow::{Result, ensure};
use cluster_test::{Caller, Example, until};
use serde_json::{Value, json};

/// Waits for these outcomes of api/api, of web/web and without a token.
fn expect(example: &Example, [api, web, none]: [&str; 3]) -> Result<()> {
    example.expect(Caller::Api, "/headers", api)?;
    example.expect(Caller::Web, "/headers", web)?;
    example.expect_without_token("/headers", none)
}

/// An object of Istio for the workload of the example.
fn object(kind: &str, name: &str, mut spec: Value) -> String {
    spec["selector"] = json!({ "matchLabels": { "app": "secret-store" } });
    let metadata = json!({ "name": name, "namespace": "sa-authn-secrets" });
    json!({ "apiVersion": "security.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec })
        .to_string()
}

/// The rollout of docs/from-request-authentication.md.
#[test]
fn request_authentication_is_replaced_by_way_of_shadow_mode() -> Result<()> {
    let example = Example::ready()?;
    let kubectl = &example.kubectl;
    let in_namespace = |arguments: &[&str]| {
        kubectl.run(["-n", "sa-authn-secrets"].iter().chain(arguments).copied())
    };
    let authentication = |name: &str, value: &str| {
        let mut rule = json!({ "issuer": ISSUER, "audiences": ["secret-store"] });
        rule[name] = json!(value);
        object("RequestAuthentication", "secret-store", json!({ "jwtRules": [rule] }))
    };
    in_namespace(&["delete", "wasmplugin", "sa-authn"])?;
    let api = format!("{ISSUER}/system:serviceaccount:sa-authn-api:api");
    let rules = json!([{
        "from": [{ "source": { "requestPrincipals": [api] } }],
        "to": [{ "operation": { "methods": ["GET"], "paths": ["/headers"] } }],
    }]);
    kubectl.apply(&object("AuthorizationPolicy", "secret-store", json!({ "rules": rules })))?;
    // istiod has no credential for the API server's keys.
    let uri = "https://kubernetes.default.svc/openid/v1/jwks";
    kubectl.apply(&authentication("jwksUri", uri))?;
    expect(&example, ["401", "401", "403"])?;
    let keys = kubectl.run(["get", "--raw", "/openid/v1/jwks"])?;
    kubectl.apply(&authentication("jwks", &keys))?;
    expect(&example, ["200", "403", "403"])?;

    example.change_plugin(|spec| spec["pluginConfig"]["mode"] = json!("shadow"))?;
    // As `istioctl proxy-config log --level wasm:info` does. By default the proxy logs warnings only.
    let level = "curl -s -X POST 'http://127.0.0.1:15000/logging?wasm=info'";
    kubectl.shell("sa-authn-secrets", "deploy/secret-store", "istio-proxy", level)?;
    for (caller, reason) in [(Caller::Web, "forbidden"), (Caller::Api, "missing_token")] {
        until(&format!("the filter would deny {caller:?} as {reason}"), || {
            match caller {
                Caller::Web => example.ask(caller, "/headers")?,
                Caller::Api => example.ask_with(caller, "/headers", None)?,
            };
            let log = example.log()?;
            let mut lines = log.lines().filter(|line| line.contains(r#""shadow_denied""#));
            let is_logged = lines.any(|line| line.contains(&format!(r#""reason":"{reason}""#)));
            Ok((!is_logged).then_some(log))
        })?;
    }
    // RequestAuthentication still decides.
    expect(&example, ["200", "403", "403"])?;

    // Both decide.
    example.change_plugin(|spec| spec["pluginConfig"]["forwardToken"] = json!(true))?;
    expect(&example, ["200", "403 forbidden", "401 missing_token"])?;
    in_namespace(&["delete", "authorizationpolicy", "secret-store"])?;
    in_namespace(&["delete", "requestauthentication", "secret-store"])?;
    expect(&example, ["200", "403 forbidden", "401 missing_token"])?;
    kubectl.apply(&example.plugin()?)?;
    expect(&example, ["200", "403 forbidden", "401 missing_token"])
}

#[test]
fn policy_matches_the_identity_that_the_filter_sets_and_never_a_header_of_the_caller() -> Result<()>
{
    let example = Example::ready()?;
    example.change_plugin(|spec| {
        spec["pluginConfig"]["rules"][1]["allow"] = json!(["sa-authn-api/api", "sa-authn-web/web"]);
    })?;
    example.expect(Caller::Web, "/headers", "200")?;
    let header = "request.headers[x-sa-namespace]";
    let rules = json!([{ "when": [{ "key": header, "values": ["sa-authn-web"] }] }]);
    let policy = object("AuthorizationPolicy", "identity", json!({ "rules": rules }));
    example.kubectl.apply(&policy)?;
    example.expect(Caller::Api, "/headers", "403")?;
    // A policy replaces the filter chain, and until the old chain is drained (45 s in Istio), requests on connections
    // that were open before pass it still. A new pod has no such connections.
    example.restart()?;
    expect(&example, ["403", "200", "401 missing_token"])?;
    let denied = example.ask(Caller::Api, "/headers")?;
    ensure!(denied.body == "RBAC: access denied", "{denied:?}");
    // The filter's rule lets everyone in; the policy does not.
    for header in ["", "-H 'x-sa-namespace: sa-authn-web'"] {
        let answer = example.send(Caller::Api, "/status/200", header)?;
        ensure!(
            (answer.status, answer.body.as_str()) == (403, "RBAC: access denied"),
            "{answer:?}"
        );
    }
    Ok(())
}

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
