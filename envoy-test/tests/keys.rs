//! Key sources, and the effect of key changes on tokens.

use std::collections::HashMap;
use std::time::Instant;

use crate::support::{Gate, api, check_refused, config, discovery, get, listeners};
use anyhow::Result;
use envoy_test::client::Connection;
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, EnvoySetup, KeyKind, Rotation, SigningKey, jwks, poll,
};
use serde_json::{Value, json};

fn options(issuer: &str) -> ApiServerOptions {
    ApiServerOptions {
        key_kind: KeyKind::P256,
        // As in a hardened cluster.
        anonymous_auth: false,
        ..ApiServerOptions::with_issuer(issuer)
    }
}

async fn api_server() -> Result<ApiServer> {
    ApiServer::start(options(envoy_test::token::DEFAULT_ISSUER)).await
}

async fn start(version: &str, api_server: &ApiServer, pace: serde_json::Value) -> Result<Gate> {
    let setup = EnvoySetup::new().version(version).api_server(api_server);
    let gate = Gate::start(setup.plugin_config(config(discovery(pace)))).await?;
    assert_eq!(get(&api_server.mint(api())).send(gate.envoy.port()).await?.status, 200);
    // The tests count what is fetched later, and the main thread's VM fetches too.
    gate.envoy.wait_keys(2).await?;
    Ok(gate)
}

/// The callers of the API server with the number of their requests.
fn callers(api_server: &ApiServer) -> HashMap<Option<String>, usize> {
    let mut callers = HashMap::new();
    for request in api_server.requests() {
        *callers.entry(request.caller).or_default() += 1;
    }
    callers
}

#[tokio::test]
async fn every_key_source_accepts_a_valid_token() -> Result<()> {
    for version in oldest_and_newest() {
        let found = ApiServer::start(options("https://found.test")).await?;
        let named = ApiServer::start(options("https://named.test")).await?;
        let keys = [KeyKind::P384, KeyKind::Rsa2048, KeyKind::P256].map(SigningKey::generate);
        let [inline, pkcs1, spki] = &keys;
        let sources = [
            (
                "found",
                json!({ "discovery": { "cluster": "east", "authority": "kubernetes.default.svc" } }),
            ),
            (
                "named",
                json!({ "jwks": { "cluster": "west", "authority": "kubernetes.default.svc", "path": "/openid/v1/jwks" } }),
            ),
            ("inline", json!({ "inline": jwks(&[inline]) })),
            ("pem", json!({ "pem": [pkcs1.pkcs1_pem(), spki.pem()] })),
        ];
        let issuers = sources.map(|(name, keys)| {
            let issuer = format!("https://{name}.test");
            json!({ "name": name, "issuer": issuer, "audiences": ["secret-store"], "keys": keys })
        });
        let setup = EnvoySetup::new().version(&version).plugin_config(json!({
            "issuers": issuers,
            "identityHeaders": { "x-sa-issuer": "issuer.name" },
        }));
        let setup = setup.api_server_named("east", &found).api_server_named("west", &named);
        let gate = Gate::start(setup).await?;
        let of = |issuer: &str| api().issuer(issuer);
        for (token, issuer) in [
            (found.mint(api()), "found"),
            (named.mint(api()), "named"),
            (of("https://inline.test").sign(inline), "inline"),
            (of("https://pem.test").sign(pkcs1), "pem"),
            (of("https://pem.test").sign(spki), "pem"),
            // Without a kid, the filter tries every key of the algorithm.
            (of("https://pem.test").without_header("kid").sign(spki), "pem"),
        ] {
            let response = get(&token).send(gate.envoy.port()).await?;
            assert_eq!(response.status, 200, "{issuer}, Envoy {version}: {}", response.text());
            let seen = gate.upstream.last().unwrap().header("x-sa-issuer");
            assert_eq!(seen.as_deref(), Some(issuer), "Envoy {version}");
        }
        // A key of one issuer does not verify tokens of another.
        let swapped = of("https://pem.test").sign(inline);
        check_refused(&get(&swapped).send(gate.envoy.port()).await?, 401, "unknown_key")?;

        for (api_server, paths) in [
            (&found, vec!["/.well-known/openid-configuration", "/openid/v1/jwks"]),
            (&named, vec!["/openid/v1/jwks"]),
        ] {
            let me = Some("system:serviceaccount:envoy-system:sa-authn".to_owned());
            let asked = callers(api_server);
            assert_eq!(asked.keys().collect::<Vec<_>>(), [&me], "Envoy {version}");
            let mut seen: Vec<_> =
                api_server.requests().into_iter().map(|request| request.path).collect();
            // Two VMs fetch: the main thread's and the worker's.
            seen.sort();
            seen.dedup();
            assert_eq!(seen, paths, "Envoy {version}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn token_without_kid_is_verified_only_with_a_single_p521_key() -> Result<()> {
    for version in oldest_and_newest() {
        let keys = [KeyKind::P521, KeyKind::P521].map(SigningKey::generate);
        let [one, two] = &keys;
        let configs = [vec![one], vec![one, two]].map(|keys| {
            let pem: Vec<_> = keys.into_iter().map(SigningKey::pem).collect();
            config(json!({ "pem": pem })).to_string()
        });
        let listen = move |tree: &mut Value| listeners::one_for_each(tree, &configs);
        let gate = Gate::start(EnvoySetup::new().version(&version).patch(listen)).await?;
        for (number, statuses) in [[200, 401, 200], [200, 200, 401]].into_iter().enumerate() {
            let port = listeners::port(&gate.envoy, number).await?;
            let without = api().without_header("kid").sign(one);
            for (token, status) in [api().sign(one), api().sign(two), without].iter().zip(statuses)
            {
                let response = get(token).send(port).await?;
                assert_eq!(response.status, status, "Envoy {version}: {}", response.text());
                let reason = (status == 401).then(|| "unknown_key".to_owned());
                assert_eq!(response.reason(), reason, "Envoy {version}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn new_key_is_accepted_on_its_first_request() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = api_server().await?;
        // Only the token causes another fetch.
        let gate = start(&version, &api_server, json!({ "refreshInterval": "1h" })).await?;
        let old = api_server.mint(api());
        let before = api_server.count(Endpoint::Jwks);
        api_server.rotate(Rotation::KeepOld);
        let new = api_server.mint(api());
        let response = get(&new).send(gate.envoy.port()).await?;
        assert_eq!(response.status, 200, "Envoy {version}: {}", response.text());
        assert_eq!(api_server.count(Endpoint::Jwks), before + 1, "Envoy {version}");
        for token in [&old, &new] {
            assert_eq!(get(token).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
        }
        assert_eq!(api_server.count(Endpoint::Jwks), before + 1, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn removed_key_is_rejected_after_the_next_refresh() -> Result<()> {
    for version in oldest_and_newest() {
        let api_server = api_server().await?;
        let pace = json!({ "refreshInterval": "1s", "minRefetchInterval": "500ms" });
        let gate = start(&version, &api_server, pace).await?;
        let old = api_server.mint(api());
        api_server.rotate(Rotation::RemoveOld);
        // The credential for the API server was signed with the old key too.
        let token = envoy_test::Token::for_service_account("envoy-system", "sa-authn");
        let token = api_server.mint(token.audience(&api_server.audience()));
        let files = [("token", token.as_str()), ("ca.crt", api_server.ca_pem())];
        gate.envoy.credential("kube-apiserver").update(&files)?;
        let refused = poll::until("the old key's token to be refused", async || {
            let response = get(&old).send(gate.envoy.port()).await?;
            Ok((response.status != 200).then_some(response))
        });
        check_refused(&refused.await?, 401, "unknown_key")?;
        let new = api_server.mint(api());
        assert_eq!(get(&new).send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn flood_of_unknown_kids_causes_only_rate_limited_refetches() -> Result<()> {
    const BURST: usize = 3;
    for version in oldest_and_newest() {
        let api_server = api_server().await?;
        let pace = json!({ "refreshInterval": "1h", "minRefetchInterval": "1h" });
        let gate = start(&version, &api_server, pace).await?;
        let (unknown_key, good) = (SigningKey::generate(KeyKind::P256), api_server.mint(api()));
        let before = api_server.count(Endpoint::Jwks);
        let mut connection = Connection::http1(gate.envoy.port()).await?;
        let (mut sent, start) = (0, Instant::now());
        // Without pauses, until the refetch limit is reached, and then 300 more.
        let mut denied = 0;
        while denied < 300 {
            sent += 1;
            let token = api().header("kid", json!(format!("kid-{sent}"))).sign(&unknown_key);
            let response = connection.send(&get(&token)).await?;
            match response.status {
                // The key may be a new genuine one, so the status is not 401.
                503 => {
                    check_refused(&response, 503, "keys_unavailable")?;
                    denied += 1;
                }
                _ => check_refused(&response, 401, "unknown_key")?,
            }
            assert!(start.elapsed() < poll::LIMIT, "{denied} of {sent} were denied");
        }
        assert_eq!(
            api_server.count(Endpoint::Jwks) - before,
            BURST,
            "Envoy {version}, {sent} kids"
        );
        assert_eq!(connection.send(&get(&good)).await?.status, 200, "Envoy {version}");
        assert_eq!(gate.upstream.count(), 2, "Envoy {version}");
        assert_eq!(gate.envoy.vm_failures().await?, [""; 0]);
    }
    Ok(())
}
