//! The proxy's own token, which the kubelet rotates. Takes nine minutes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster_test::{Caller, ControlPlane, Example, until, until_within};
use serde_json::{Value, json};

/// The token ids with which the pod has asked for keys, in their order.
fn logins(control_plane: &ControlPlane, pod: &Value) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for event in control_plane.audit()?.iter().filter(|event| is_of(event, pod)) {
        let id = &event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0];
        let id = id.as_str().context(event.to_string())?.to_owned();
        if ids.last() != Some(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Whether the pod has sent this request.
fn is_of(event: &Value, pod: &Value) -> bool {
    event["user"]["extra"]["authentication.kubernetes.io/pod-name"][0] == pod["metadata"]["name"]
}

#[test]
#[ignore = "takes nine minutes: the shortest lifetime of a token is ten"]
fn proxy_uses_the_token_that_the_kubelet_has_rotated() -> Result<()> {
    let (example, control_plane) = (Example::ready()?, ControlPlane::find()?);
    let service = Example::manifest("example/secret-store.yaml")?;
    let lifetime = "serviceAccountToken: { expirationSeconds: 3600,";
    ensure!(service.contains(lifetime));
    let shortest = "serviceAccountToken: { expirationSeconds: 600,";
    example.kubectl.apply(&service.replace(lifetime, shortest))?;
    example.kubectl.rolled_out(example.namespace(), "secret-store")?;
    until("one pod", || Ok(example.pod().err().map(|error| error.to_string())))?;
    let pod = example.pod()?;
    example.change_plugin(|spec| {
        let keys: &mut Value = &mut spec["pluginConfig"]["issuers"][0]["keys"];
        keys["refreshInterval"] = json!("30s");
    })?;
    example.expect(Caller::Api, "/headers", "200")?;
    until("a fetch", || Ok(logins(&control_plane, &pod)?.is_empty().then(String::new)))?;
    // The kubelet rotates a token when four fifths of its lifetime have passed.
    until_within(Duration::from_secs(660), "another login", || {
        let ids = logins(&control_plane, &pod)?;
        Ok((ids.len() < 2).then(|| format!("{ids:?}")))
    })?;
    println!("{:?}", logins(&control_plane, &pod)?);
    // The fetch with the new token succeeded.
    let fetches = control_plane.audit()?;
    let last = fetches.iter().rfind(|event| is_of(event, &pod)).context("a fetch")?;
    ensure!(last["responseStatus"]["code"] == 200, "{last}");
    assert_eq!(example.ask(Caller::Api, "/headers")?.outcome(), "200");
    Ok(())
}
