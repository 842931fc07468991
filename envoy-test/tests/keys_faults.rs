//! Faults of an API server: cached keys remain valid, and the log has the cause.

use crate::support::{Gate, api, config, discovery, get};
use anyhow::Result;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, EnvoySetup, Fault, KeyKind, Rotation, Token, poll,
};
use serde_json::json;

/// A fault of the JWKS endpoint, and its log line.
struct Case {
    name: &'static str,
    fault: Fault,
    log: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |name, fault, log| Case { name, fault, log };
    let body = |text: &str| Fault::Body(text.as_bytes().to_vec());
    vec![
        case("error", Fault::Status(500), "status 500: the server reports an error of its own"),
        case(
            "unauthorized",
            Fault::Status(401),
            "status 401: the credential that Envoy injects is missing, expired or not for the API \
             server's audience; check the cluster's credential_injector and its token file",
        ),
        case(
            "forbidden",
            Fault::Status(403),
            "status 403: this proxy's service account is not allowed to read the keys; inject a \
             ServiceAccount's token into the cluster, and bind ClusterRole \
             system:service-account-issuer-discovery to it",
        ),
        case(
            "missing",
            Fault::Status(404),
            "status 404: there is no such path; check the cluster, the authority and the path",
        ),
        case(
            "redirect",
            Fault::Redirect("https://evil.test/jwks".to_owned()),
            "status 302: redirects are not followed; set the cluster and path of the target",
        ),
        case("garbage", body("<html>"), "not a JWKS: the body is HTML or XML"),
        case(
            "bom",
            body("\u{feff}{\"keys\":[]}"),
            "not a JWKS: the body begins with a byte order mark",
        ),
        case("nothing", body(""), "not a JWKS: the body is empty"),
        case("list", body("[]"), "not a JWKS: expected an object with a list `keys`"),
        case("empty", body("{\"keys\":[]}"), "no supported key"),
        case(
            "symmetric",
            body("{\"keys\":[{\"kty\":\"oct\"}]}"),
            "no supported key; kty \"oct\", expected RSA or EC",
        ),
        case("huge", Fault::Body(vec![b' '; 10_000_000]), "the answer is larger than 262144 bytes"),
        case("truncated", Fault::Truncate, "no answer (connection reset)"),
        case("closed", Fault::Close, "no answer (503 upstream connect error"),
        case("silent", Fault::Stall, "no answer (504 "),
        case("slow", Fault::StallMidBody, "no answer (connection reset)"),
    ]
}

async fn api_server(issuer: &str) -> Result<ApiServer> {
    let options =
        ApiServerOptions { key_kind: KeyKind::P256, ..ApiServerOptions::with_issuer(issuer) };
    let api_server = ApiServer::start(options).await?;
    // The API server must reject an expired credential at once.
    api_server.set_success_cache(false);
    Ok(api_server)
}

fn failed(name: &str, why: &str) -> String {
    format!("issuer {name:?}: cannot fetch keys: GET /openid/v1/jwks: {why}")
}

fn renewed(log: &str, name: &str) -> usize {
    log.matches(&format!("issuer {name:?}: loaded 1 key,")).count()
}

#[tokio::test]
async fn jwks_faults_are_logged_and_cached_keys_remain_valid() -> Result<()> {
    for version in oldest_and_newest() {
        // One issuer for each fault, all in one Envoy, so that they run in parallel.
        let mut setup = EnvoySetup::new().version(&version);
        let (mut issuers, mut servers) = (Vec::new(), Vec::new());
        for case in cases() {
            let issuer = format!("https://{}.test", case.name);
            let server = api_server(&issuer).await?;
            setup = setup.api_server_named(case.name, &server);
            issuers.push(json!({
                "name": case.name,
                "issuer": issuer,
                "audiences": ["secret-store"],
                "keys": {
                    "discovery": { "cluster": case.name, "authority": "kubernetes.default.svc" },
                    "refreshInterval": "1s",
                    "minRefetchInterval": "200ms",
                    "timeout": "1s",
                },
            }));
            servers.push((server.mint(api()), server, case));
        }
        let gate = Gate::start(setup.plugin_config(json!({ "issuers": issuers }))).await?;
        for (token, server, case) in &servers {
            assert_eq!(get(token).send(gate.envoy.port()).await?.status, 200, "{}", case.name);
            server.set_fault(Endpoint::Jwks, Some(case.fault.clone()));
        }
        for (token, server, case) in &servers {
            gate.envoy.wait_log(&failed(case.name, case.log)).await?;
            let response = get(token).send(gate.envoy.port()).await?;
            assert_eq!(response.status, 200, "{}: {}", case.name, response.text());
            server.set_fault(Endpoint::Jwks, None);
        }
        for (_, server, _) in &servers {
            server.rotate(Rotation::KeepOld);
        }
        for (_, server, case) in &servers {
            poll::until(&format!("the new key after {:?}", case.name), async || {
                let response = get(&server.mint(api())).send(gate.envoy.port()).await?;
                Ok((response.status == 200).then_some(()))
            })
            .await?;
        }
        assert_eq!(gate.envoy.vm_failures().await?, [""; 0]);
    }
    Ok(())
}

#[tokio::test]
async fn discovery_document_of_another_issuer_is_rejected() -> Result<()> {
    for version in oldest_and_newest() {
        let server = api_server(envoy_test::token::DEFAULT_ISSUER).await?;
        let setup = EnvoySetup::new().version(&version).api_server(&server);
        let pace = json!({ "refreshInterval": "1s", "minRefetchInterval": "200ms" });
        let gate = Gate::start(setup.plugin_config(config(discovery(pace)))).await?;
        let token = server.mint(api());
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
        let document =
            json!({ "issuer": "https://evil.test", "jwks_uri": "https://evil.test/jwks" });
        server.set_fault(Endpoint::Discovery, Some(Fault::Body(document.to_string().into_bytes())));
        // A missing JWKS causes a new discovery.
        server.set_fault(Endpoint::Jwks, Some(Fault::Status(404)));
        let why = "discovery document is for issuer \"https://evil.test\"; set `issuer` to this value, or add it to `aliases`";
        let line = format!(
            "issuer \"local\": cannot fetch keys: GET /.well-known/openid-configuration: {why}"
        );
        gate.envoy.wait_log(&line).await?;
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
        assert_eq!(server.count(Endpoint::Other), 0, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn stopped_api_server_does_not_affect_callers_and_recovers() -> Result<()> {
    for version in oldest_and_newest() {
        let server = api_server(envoy_test::token::DEFAULT_ISSUER).await?;
        let setup = EnvoySetup::new().version(&version).api_server(&server);
        let pace = json!({ "refreshInterval": "1s", "minRefetchInterval": "200ms" });
        let gate = Gate::start(setup.plugin_config(config(discovery(pace)))).await?;
        let token = server.mint(api());
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
        server.stop().await;
        gate.envoy.wait_log(&failed("local", "no answer (503 upstream connect error")).await?;
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
        let before = renewed(&gate.envoy.log(), "local");
        server.restart().await?;
        poll::until("keys again", async || {
            Ok((renewed(&gate.envoy.log(), "local") > before).then_some(()))
        })
        .await?;
        gate.check_alive(&token).await?;
    }
    Ok(())
}

#[tokio::test]
async fn expired_credential_is_logged_until_it_rotates() -> Result<()> {
    for version in oldest_and_newest() {
        let server = api_server(envoy_test::token::DEFAULT_ISSUER).await?;
        let setup = EnvoySetup::new().version(&version).api_server(&server);
        let pace = json!({ "refreshInterval": "1s", "minRefetchInterval": "200ms" });
        let gate = Gate::start(setup.plugin_config(config(discovery(pace)))).await?;
        let token = server.mint(api());
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
        server.delete_service_account("envoy-system", "sa-authn");
        let why = "status 401: the credential that Envoy injects is missing, expired or not for the \
            API server's audience; check the cluster's credential_injector and its token file";
        gate.envoy.wait_log(&failed("local", why)).await?;
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");

        let fresh = Token::for_service_account("envoy-system", "successor");
        let fresh = server.mint(fresh.audience(&server.audience()));
        let before = renewed(&gate.envoy.log(), "local");
        let files = [("token", fresh.as_str()), ("ca.crt", server.ca_pem())];
        gate.envoy.credential("kube-apiserver").update(&files)?;
        poll::until("keys again", async || {
            Ok((renewed(&gate.envoy.log(), "local") > before).then_some(()))
        })
        .await?;
        // Another thread of Envoy may still send the expired one, which identifies no caller.
        let last = server.requests().into_iter().rev().find_map(|request| request.caller);
        let successor = "system:serviceaccount:envoy-system:successor";
        assert_eq!(last.as_deref(), Some(successor), "Envoy {version}");
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
    }
    Ok(())
}
