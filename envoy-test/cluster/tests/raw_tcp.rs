//! Raw TCP to the service: it bypasses the filter without the AuthorizationPolicy, and never with it.

use anyhow::{Result, ensure};
use cluster_test::{Example, Kubectl, until};

/// A port of the Service: what `kubectl patch` sets, and what an HTTP/1.0 request receives without the policy.
const PORTS: [(&str, &str, bool); 3] = [
    (
        "declared as HTTP",
        r#"{"spec":{"ports":[{"name":"http","port":80,"targetPort":8080}]}}"#,
        false,
    ),
    (
        "with another name",
        r#"{"spec":{"ports":[{"name":"other","port":80,"targetPort":8080}]}}"#,
        true,
    ),
    (
        "that no Service names",
        r#"{"spec":{"ports":[{"name":"http","port":80,"targetPort":9999}]}}"#,
        true,
    ),
];

/// The response to `GET /headers HTTP/1.0` from a pod outside the mesh.
fn from_outside(example: &Example) -> Result<String> {
    let ip = example.pod()?["status"]["podIP"].as_str().unwrap_or_default().to_owned();
    // -i: curl speaks HTTP/1.0, which needs no other program in the image.
    let script = format!("curl -s -i -m 5 --http1.0 http://{ip}:8080/headers");
    example.kubectl.shell(OUTSIDE, "deploy/outside", "outside", &script)
}

/// The response to bytes that are not HTTP, from a pod of the mesh. Its sidecar connects with its certificate and offers
/// only Istio's ALPN for TCP, which the service's sidecar prefers to what the bytes are.
fn from_the_mesh(example: &Example) -> Result<String> {
    let script = format!("printf 'x\\r\\n\\r\\n' | curl -s -m 5 telnet://{HOST}:80");
    example.kubectl.shell("sa-authn-web", "deploy/web", "web", &script)
}

#[test]
fn policy_closes_the_tcp_chain_for_a_workload_with_a_certificate() -> Result<()> {
    let example = Example::ready()?;
    let (_, patch, _) = PORTS[1];
    patch_service(&example.kubectl, example.namespace(), patch)?;
    example.kubectl.run([
        "-n",
        example.namespace(),
        "delete",
        "authorizationpolicy",
        "sa-authn-deny-tcp",
    ])?;
    until("the application's answer without the policy", || {
        let seen = from_the_mesh(&example)?;
        Ok((!seen.contains(BAD_REQUEST)).then_some(seen))
    })?;
    example.kubectl.apply(&example.plugin()?)?;
    until("no answer with the policy", || {
        let seen = from_the_mesh(&example)?;
        Ok((!seen.is_empty()).then_some(seen))
    })?;
    for _ in 0..20 {
        let seen = from_the_mesh(&example)?;
        ensure!(seen.is_empty(), "{seen}");
    }
    patch_service(&example.kubectl, example.namespace(), PORTS[0].1)
}

#[test]
fn policy_closes_the_tcp_chains_of_every_port() -> Result<()> {
    let example = Example::ready()?;
    example.kubectl.apply(OUTSIDE_POD)?;
    example.kubectl.rolled_out(OUTSIDE, "outside")?;
    let policy = ["-n", example.namespace(), "delete", "authorizationpolicy", "sa-authn-deny-tcp"];
    for (port, patch, has_tcp_chain) in PORTS {
        patch_service(&example.kubectl, example.namespace(), patch)?;
        example.kubectl.run(policy)?;
        // 426: Envoy does not accept HTTP/1.0. The application's answer has the request's headers.
        let expected = if has_tcp_chain { "\"headers\"" } else { "426" };
        until(&format!("{expected} from a port {port} without the policy"), || {
            let seen = from_outside(&example)?;
            Ok((!seen.contains(expected)).then_some(seen))
        })?;
        example.kubectl.apply(&example.plugin()?)?;
        let expected = if has_tcp_chain { "" } else { "426" };
        until(&format!("{expected:?} from a port {port} with the policy"), || {
            let seen = from_outside(&example)?;
            let is_expected = if has_tcp_chain { seen.is_empty() } else { seen.contains("426") };
            Ok((!is_expected).then_some(seen))
        })?;
        for _ in 0..20 {
            let seen = from_outside(&example)?;
            ensure!(!seen.contains("\"headers\""), "{port}: {seen}");
        }
    }
    patch_service(&example.kubectl, example.namespace(), PORTS[0].1)
}

fn patch_service(kubectl: &Kubectl, namespace: &str, patch: &str) -> Result<()> {
    // JSON merge: a list is replaced.
    kubectl
        .run(["-n", namespace, "patch", "service", "secret-store", "--type", "merge", "-p", patch])
        .map(|_| ())
}

/// The answer of the application's own HTTP server.
const BAD_REQUEST: &str = "400 Bad Request";
const HOST: &str = "secret-store.sa-authn-secrets";
const OUTSIDE: &str = "sa-authn-outside";
const OUTSIDE_POD: &str = r#"
apiVersion: v1
kind: Namespace
metadata: { name: sa-authn-outside }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: outside, namespace: sa-authn-outside }
spec:
  selector: { matchLabels: { app: outside } }
  template:
    metadata: { labels: { app: outside } }
    spec:
      containers: [{ name: outside, image: "docker.io/curlimages/curl:8.11.1", command: [sleep, infinity] }]
"#;
