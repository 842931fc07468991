//! An API server that fails, or a cluster that is set up wrongly: who still passes, and what the log says to do.

mod support;

use anyhow::Result;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, EnvoySetup, Fault, KeyKind, Rotation, Token, poll,
};
use serde_json::json;
use support::{Gate, api, config, discovery, get};

/// A fault of the JWKS endpoint, and how the log speaks of it.
struct Case {
    name: &'static str,
    fault: Fault,
    log: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |name, fault, log| Case { name, fault, log };
    let body = |text: &str| Fault::Body(text.as_bytes().to_vec());
    vec![
        case("error", Fault::Status(500), "status 500: unexpected status, expected 200"),
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
            "status 404: the path does not exist; check `path`, or use `discovery`",
        ),
        case(
            "redirect",
            Fault::Redirect("https://evil.test/jwks".to_owned()),
            "status 302: redirects are not followed; set the cluster and path of the target",
        ),
        case("garbage", body("<html>"), "not a JWKS: expected value at line 1 column 1"),
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
    // A credential that ends must end at once.
    api_server.set_success_cache(false);
    Ok(api_server)
}

fn failed(name: &str, why: &str) -> String {
    format!("issuer {name:?}: cannot fetch keys: {why}")
}

fn renewed(log: &str, name: &str) -> usize {
    log.matches(&format!("keys of {name:?}: 1 usable")).count()
}

#[tokio::test]
async fn whatever_the_jwks_endpoint_answers_good_tokens_pass_on_and_the_log_says_why() -> Result<()>
{
    for version in oldest_and_newest() {
        // One issuer for each fault, all in one Envoy: it takes as long as the slowest of them.
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
async fn a_discovery_document_of_another_issuer_changes_nothing() -> Result<()> {
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
        // Discovery is asked again where its JWKS is gone.
        server.set_fault(Endpoint::Jwks, Some(Fault::Status(404)));
        let why = "discovery document is for issuer \"https://evil.test\"; set `issuer` to this value, or add it to `aliases`";
        gate.envoy.wait_log(&failed("local", why)).await?;
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
        assert_eq!(server.count(Endpoint::Other), 0, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn an_api_server_that_goes_down_is_missed_by_nobody_and_found_again() -> Result<()> {
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
async fn a_credential_that_ended_is_named_and_a_rotated_one_mends_it() -> Result<()> {
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
        let last = server.requests().pop().unwrap();
        let successor = "system:serviceaccount:envoy-system:successor";
        assert_eq!(last.caller.as_deref(), Some(successor), "Envoy {version}");
        assert_eq!(get(&token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
    }
    Ok(())
}
