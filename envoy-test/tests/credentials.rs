//! The credential that Envoy adds to the filter's calls: missing, invalid, and rotating.

use crate::support::{Gate, api, check_refused, config, discovery, get};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{ApiServer, ApiServerOptions, EnvoySetup, KeyKind, Token, poll, unix_now};
use serde_json::{Value, json};

const UNAUTHORIZED: &str = "status 401: the credential that Envoy \
    injects is missing, expired or not for the API server's audience; check the cluster's \
    credential_injector and its token file";
const FORBIDDEN: &str = "status 403: this proxy's service account is \
    not allowed to read the keys; inject a ServiceAccount's token into the cluster, and bind ClusterRole \
    system:service-account-issuer-discovery to it";
const NOT_SENT: &str = "Envoy did not send the call";

async fn api_server(anonymous_auth: bool) -> Result<ApiServer> {
    let key_kind = KeyKind::P256;
    ApiServer::start(ApiServerOptions { key_kind, anonymous_auth, ..ApiServerOptions::default() })
        .await
}

/// Short intervals between fetches, and a short timeout of paused requests.
fn impatient() -> Value {
    let pace = json!({ "refreshInterval": "1s", "minRefetchInterval": "1s" });
    let mut config = config(discovery(pace));
    config["limits"] = json!({ "waitTimeout": "500ms" });
    config
}

fn setup(version: &str, api_server: &ApiServer) -> EnvoySetup {
    EnvoySetup::new().version(version).api_server(api_server).plugin_config(impatient())
}

/// A token for Envoy, of this service account.
fn own(api_server: &ApiServer, name: &str) -> Token {
    Token::for_service_account("envoy-system", name).audience(&api_server.audience())
}

/// Replaces the token's file as the kubelet does.
fn put(gate: &Gate, api_server: &ApiServer, token: &str) -> Result<()> {
    let files = [("token", token), ("ca.crt", api_server.ca_pem())];
    gate.envoy.credential("kube-apiserver").update(&files)
}

/// Tokens that the API server rejects with 401.
fn bad(api_server: &ApiServer) -> [(&'static str, String); 3] {
    let expired = own(api_server, "sa-authn").issued_at(unix_now() - 7200).lifetime(3600);
    let foreign = own(api_server, "sa-authn").audience("another-service");
    [
        ("garbage", "not-a-token".to_owned()),
        ("expired", api_server.mint(expired)),
        ("of another audience", api_server.mint(foreign)),
    ]
}

/// Starts with this credential, and waits until the failed fetch is logged.
async fn start_without_keys(
    setup: EnvoySetup,
    api_server: &ApiServer,
    credential: Option<&str>,
    problem: &str,
) -> Result<Gate> {
    let before = api_server.requests().len();
    let gate = Gate::start(setup.credential(credential)).await?;
    let refused = get(&api_server.mint(api())).send(gate.envoy.port()).await?;
    check_refused(&refused, 503, "keys_unavailable")?;
    gate.envoy.wait_log(problem).await?;
    ensure!(gate.upstream.count() == 0, "a request got through");
    let asked = &api_server.requests()[before..];
    ensure!(asked.iter().all(|request| request.caller.is_none()), "{asked:?}");
    Ok(gate)
}

/// Writes a valid credential, after which requests must pass without a restart.
async fn check_recovers(gate: &Gate, api_server: &ApiServer) -> Result<()> {
    put(gate, api_server, &api_server.mint(own(api_server, "sa-authn")))?;
    let token = api_server.mint(api());
    poll::until("a request to pass", async || {
        let response = get(&token).send(gate.envoy.port()).await?;
        if response.status != 200 {
            check_refused(&response, 503, "keys_unavailable")?;
        }
        Ok((response.status == 200).then_some(()))
    })
    .await?;
    gate.check_alive(&token).await
}

#[tokio::test]
async fn rejected_credential_is_logged_and_can_be_replaced_without_a_restart() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = api_server(false).await?;
        for (name, token) in bad(&api_server) {
            let which = || format!("a credential that is {name}, Envoy {version}");
            let setup = setup(&version, &api_server);
            let gate = start_without_keys(setup, &api_server, Some(&token), UNAUTHORIZED).await;
            check_recovers(&gate.with_context(which)?, &api_server).await.with_context(which)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn empty_token_file_is_logged_and_can_be_replaced_without_a_restart() -> Result<()> {
    for version in oldest_and_newest() {
        let which = || format!("Envoy {version}");
        let api_server = api_server(false).await?;
        let gate =
            start_without_keys(setup(&version, &api_server), &api_server, Some(""), NOT_SENT).await;
        // Envoy sends no request with an empty token.
        assert_eq!(api_server.requests().len(), 0, "Envoy {version}");
        check_recovers(&gate.with_context(which)?, &api_server).await.with_context(which)?;
    }
    Ok(())
}

#[tokio::test]
async fn missing_token_file_is_logged_and_found_later_by_newer_envoys() -> Result<()> {
    for version in oldest_and_newest() {
        let which = || format!("Envoy {version}");
        let api_server = api_server(false).await?;
        let gate =
            start_without_keys(setup(&version, &api_server), &api_server, None, NOT_SENT).await;
        let gate = gate.with_context(which)?;
        assert_eq!(api_server.requests().len(), 0, "Envoy {version}");
        let log = gate.envoy.log();
        let file = gate.envoy.credential("kube-apiserver").file("token");
        assert!(log.contains(&format!("Invalid path: {}", file.display())), "{version}: {log}");
        // Envoy 1.36 watches only files it has read before, and needs a restart.
        if !version.starts_with("1.36.") {
            // The kubelet swaps the folder first and then links new files, so Envoy may look
            // between the two: it finds the file with the next swap at the latest.
            put(&gate, &api_server, &api_server.mint(own(&api_server, "sa-authn")))?;
            check_recovers(&gate, &api_server).await.with_context(which)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn cluster_without_a_credential_injector_is_logged() -> Result<()> {
    for version in oldest_and_newest() {
        for (anonymous_auth, problem) in [(true, FORBIDDEN), (false, UNAUTHORIZED)] {
            let api_server = api_server(anonymous_auth).await?;
            let without = setup(&version, &api_server).patch(without_injector);
            let gate = Gate::start(without).await?;
            let refused = get(&api_server.mint(api())).send(gate.envoy.port()).await?;
            check_refused(&refused, 503, "keys_unavailable")?;
            gate.envoy.wait_log(problem).await?;
            assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        }
    }
    Ok(())
}

/// Removes all upstream filters except the codec.
fn without_injector(tree: &mut Value) {
    let filters = "/static_resources/clusters/1/typed_extension_protocol_options\
        /envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters";
    let filters = tree.pointer_mut(filters).and_then(Value::as_array_mut).expect("filters");
    filters.drain(..filters.len() - 1);
}

#[tokio::test]
async fn expired_credential_is_logged_and_cached_keys_remain_valid() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = api_server(false).await?;
        let gate = Gate::start(setup(&version, &api_server)).await?;
        gate.envoy.wait_keys(2).await?;
        let token = api_server.mint(api());
        gate.check_alive(&token).await?;
        let [_, (_, expired), _] = bad(&api_server);
        for (credential, problem) in [(expired.as_str(), UNAUTHORIZED), ("", NOT_SENT)] {
            put(&gate, &api_server, credential)?;
            poll::until(problem, async || {
                gate.check_alive(&token).await?;
                Ok(gate.envoy.log().contains(problem).then_some(()))
            })
            .await
            .with_context(|| format!("Envoy {version}"))?;
            put(&gate, &api_server, &api_server.mint(own(&api_server, "recovered")))?;
            let before = callers(&api_server).len();
            poll::until("keys to be fetched again", async || {
                gate.check_alive(&token).await?;
                Ok(callers(&api_server)[before..].contains(&user("recovered")).then_some(()))
            })
            .await
            .with_context(|| format!("Envoy {version}, after {problem}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn five_credential_rotations_lose_no_fetch_and_no_request() -> Result<()> {
    const WORKERS: u32 = 2;
    const VMS: usize = WORKERS as usize + 1;
    let names = ["sa-authn", "second", "third", "fourth", "fifth", "sixth"];
    for version in oldest_and_newest() {
        let api_server = api_server(false).await?;
        let gate = Gate::start(setup(&version, &api_server).concurrency(WORKERS)).await?;
        gate.envoy.wait_keys(VMS).await?;
        let token = api_server.mint(api());
        gate.check_alive(&token).await?;
        let mut rotated = Vec::new();
        for (number, name) in names.iter().enumerate().skip(1) {
            put(&gate, &api_server, &api_server.mint(own(&api_server, name)))?;
            // Envoy updates its threads one by one, so one may still send the old credential.
            let everywhere = poll::until(&format!("fetches by {name}"), async || {
                gate.check_alive(&token).await?;
                let callers = callers(&api_server);
                Ok(callers.ends_with(&vec![user(name); VMS]).then_some(callers.len()))
            })
            .await
            .with_context(|| format!("Envoy {version}"))?;
            rotated.push((number, everywhere));
        }
        let number = |caller| names.iter().position(|name| user(name) == caller);
        let order: Option<Vec<_>> = callers(&api_server).into_iter().map(number).collect();
        let order = order.with_context(|| format!("an unknown caller, Envoy {version}"))?;
        for (newest, everywhere) in rotated {
            let sent = &order[everywhere..];
            assert!(sent.iter().all(|number| *number >= newest), "Envoy {version}: {order:?}");
        }
        assert!(!gate.envoy.log().contains("cannot fetch keys"), "{}", gate.envoy.log());
    }
    Ok(())
}

fn user(name: &str) -> Option<String> {
    Some(format!("system:serviceaccount:envoy-system:{name}"))
}

/// The callers of the API server, in the order of their requests.
fn callers(api_server: &ApiServer) -> Vec<Option<String>> {
    api_server.requests().into_iter().map(|request| request.caller).collect()
}
