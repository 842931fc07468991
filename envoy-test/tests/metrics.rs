//! Envoy's Prometheus endpoint, the log, the access log, and RBAC after the filter.

use std::collections::BTreeMap;

use crate::support::p256_api_server;
use anyhow::Result;
use envoy_test::{
    ApiServer, Envoy, EnvoySetup, Fault, KeyKind, Request, SigningKey, Token, Upstream, jwks, poll,
};
use serde_json::{Value, json};

fn config() -> Value {
    json!({
        "issuers": [{
            "name": "local",
            "issuer": envoy_test::token::DEFAULT_ISSUER,
            "audiences": ["secret-store"],
            "keys": { "discovery": { "cluster": "kube-apiserver", "authority": "kubernetes.default.svc" } },
        }],
        "rules": [
            { "name": "health", "paths": ["/healthz"], "allow": "anyone" },
            { "name": "secrets", "paths": ["/secrets/*"], "allow": ["api/api"] },
            { "name": "draft", "mode": "shadow", "paths": ["/new/*"], "allow": ["api/api"] },
        ],
        "filterState": ["subject", "namespace"],
    })
}

struct World {
    api_server: ApiServer,
    _upstream: Upstream,
    envoy: Envoy,
}

async fn start(workers: u32, patch: impl FnOnce(&mut Value) + Send + 'static) -> Result<World> {
    let (api_server, upstream) = (p256_api_server().await?, Upstream::start().await?);
    let setup = EnvoySetup::new().api_server(&api_server).upstream(&upstream).concurrency(workers);
    let envoy = setup.plugin_config(config()).patch(patch).start().await?;
    Ok(World { api_server, _upstream: upstream, envoy })
}

impl World {
    fn token(&self, namespace: &str, name: &str) -> String {
        self.api_server.mint(Token::for_service_account(namespace, name))
    }

    async fn get(&self, path: &str, token: Option<&str>) -> Result<u16> {
        let request = Request::get(path);
        let request = token.map_or(request.clone(), |token| request.bearer(token));
        Ok(request.send(self.envoy.port()).await?.status)
    }

    /// The filter's metrics from the Prometheus endpoint.
    async fn stats(&self) -> Result<BTreeMap<String, u64>> {
        let text = self.envoy.prometheus().await?;
        let lines = text.lines().filter(|line| line.starts_with("sa_authn_"));
        let pairs = lines.filter_map(|line| line.rsplit_once(' '));
        Ok(pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    async fn wait_for(&self, expected: &[(&str, u64)]) -> Result<()> {
        poll::until(&format!("{expected:?} in Envoy's stats"), async || {
            let stats = self.stats().await?;
            let there = expected.iter().all(|(name, value)| stats.get(*name) == Some(value));
            Ok(there.then_some(()))
        })
        .await
    }
}

#[tokio::test]
async fn metrics_are_correct_with_one_and_four_workers() -> Result<()> {
    for workers in [1, 4] {
        let world = start(workers, |_| {}).await?;
        // A shadow rule does not wait for keys, so it would count requests before the first keys.
        world.envoy.wait_keys(workers as usize + 1).await?;
        let (api, web) = (world.token("api", "api"), world.token("web", "web"));
        for _ in 0..20 {
            assert_eq!(world.get("/secrets/1", Some(&api)).await?, 200);
        }
        for _ in 0..5 {
            assert_eq!(world.get("/secrets/1", Some(&web)).await?, 403);
            assert_eq!(world.get("/secrets/1", None).await?, 401);
            assert_eq!(world.get("/healthz", Some("a.b.c")).await?, 200);
            assert_eq!(world.get("/new/1", Some(&web)).await?, 200);
        }
        let requests = |verdict: &str, reason: &str, rule: &str, issuer: &str| {
            format!(
                r#"sa_authn_requests{{verdict="{verdict}",reason="{reason}",rule="{rule}",issuer="{issuer}"}}"#
            )
        };
        let names = [
            (requests("allowed", "none", "secrets", "local"), 20),
            (requests("denied", "forbidden", "secrets", "local"), 5),
            (requests("denied", "missing_token", "secrets", "none"), 5),
            (requests("allowed", "malformed_token", "health", "none"), 5),
            (requests("shadow_denied", "forbidden", "draft", "local"), 5),
            (
                r#"sa_authn_key_fetches{outcome="success",issuer="local"}"#.to_owned(),
                u64::from(workers) + 1,
            ),
            (r#"sa_authn_keys_count{issuer="local"}"#.to_owned(), 1),
            (
                format!(
                    "sa_authn_build{{version=\"{}\"}}",
                    env!("CARGO_PKG_VERSION").replace('.', "_")
                ),
                1,
            ),
            ("sa_authn_misconfigured{}".to_owned(), 0),
        ];
        let names: Vec<_> = names.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        world.wait_for(&names).await?;
    }
    Ok(())
}

#[tokio::test]
async fn paused_requests_are_visible_in_the_metrics() -> Result<()> {
    let (api_server, upstream) = (p256_api_server().await?, Upstream::start().await?);
    api_server.set_fault(envoy_test::Endpoint::Jwks, Some(Fault::Stall));
    let setup = EnvoySetup::new().api_server(&api_server).upstream(&upstream);
    let envoy = setup.plugin_config(config()).start().await?;
    let token = api_server.mint(Token::for_service_account("api", "api"));
    let world = World { api_server, _upstream: upstream, envoy };
    let port = world.envoy.port();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let request = Request::get("/secrets/1").bearer(&token);
            tokio::spawn(async move { request.send(port).await.map(|response| response.status) })
        })
        .collect();
    world.wait_for(&[("sa_authn_waiting{}", 3)]).await?;
    for request in waiting {
        assert_eq!(request.await??, 503);
    }
    world.wait_for(&[("sa_authn_waiting{}", 0)]).await
}

#[tokio::test]
async fn denial_is_logged_without_the_token() -> Result<()> {
    let world = start(1, |_| {}).await?;
    let token = world.token("web", "web");
    let request = Request::get("/secrets/1").bearer(&token).header("x-request-id", "77a1");
    assert_eq!(request.send(world.envoy.port()).await?.status, 403);
    world.envoy.wait_log("\"reason\":\"forbidden\"").await?;
    let log = world.envoy.log();
    let line =
        log.lines().find(|line| line.contains("\"reason\":\"forbidden\"")).unwrap_or_default();
    let json = line.find('{').map(|at| serde_json::from_str::<Value>(&line[at..]));
    let line = json.transpose()?.unwrap_or_default();
    for (name, expected) in [
        ("verdict", "denied"),
        ("rule", "secrets"),
        ("sub", "system:serviceaccount:web:web"),
        ("issuer", "local"),
        ("aud", "secret-store"),
    ] {
        assert_eq!(line[name], expected, "{line}");
    }
    for part in token.split('.') {
        assert!(!world.envoy.log().contains(part), "a part of the token is in the log");
    }
    Ok(())
}

#[tokio::test]
async fn minimal_answers_hide_the_reason_from_callers_but_not_from_logs() -> Result<()> {
    let upstream = Upstream::start().await?;
    let key = SigningKey::generate(KeyKind::P256);
    let mut config = config();
    config["issuers"][0]["keys"] = json!({ "inline": jwks(&[&key]) });
    config["answers"] = json!({ "realm": "vault", "hideReason": true });
    let envoy = EnvoySetup::new().upstream(&upstream).plugin_config(config).start().await?;
    let token = Token::for_service_account("api", "api").audience("other").sign(&key);
    let response = Request::get("/secrets/1").bearer(&token).send(envoy.port()).await?;
    assert_eq!(response.status, 401);
    assert_eq!(response.text(), r#"{"reason":"unauthorized","message":"unauthorized"}"#);
    assert_eq!(
        response.header("www-authenticate").as_deref(),
        Some(r#"Bearer realm="vault", error="invalid_token", error_description="unauthorized""#)
    );
    let log = envoy.wait_access_log(1).await?;
    assert_eq!(log[0]["details"], "sa_authn.wrong_audience");
    envoy.wait_log("\"reason\":\"wrong_audience\"").await
}

#[tokio::test]
async fn access_log_and_rbac_have_the_caller_of_paused_requests() -> Result<()> {
    for version in envoy_test::envoy::versions() {
        let (api_server, upstream) = (p256_api_server().await?, Upstream::start().await?);
        api_server.set_fault(
            envoy_test::Endpoint::Jwks,
            Some(Fault::Slow(std::time::Duration::from_secs(1))),
        );
        let setup = EnvoySetup::new().version(&version).api_server(&api_server).upstream(&upstream);
        let mut config = config();
        config["rules"] = json!([{ "name": "all", "allow": "authenticated" }]);
        let envoy = setup.plugin_config(config).patch(rbac_for_api).start().await?;
        let world = World { api_server, _upstream: upstream, envoy };
        let (api, web) = (world.token("api", "api"), world.token("web", "web"));
        // The first request is paused for the keys, the second is not.
        for _ in 0..2 {
            assert_eq!(world.get("/", Some(&api)).await?, 200, "Envoy {version}");
        }
        assert_eq!(world.get("/", Some(&web)).await?, 403, "Envoy {version}");
        let log = world.envoy.wait_access_log(3).await?;
        let seen: Vec<_> =
            log.iter().map(|line| (line["subject"].clone(), line["details"].clone())).collect();
        let api = json!("system:serviceaccount:api:api");
        assert_eq!(seen[0], (api.clone(), json!("via_upstream")), "Envoy {version}");
        assert_eq!(seen[1], (api, json!("via_upstream")), "Envoy {version}");
        assert_eq!(seen[2].0, "system:serviceaccount:web:web", "Envoy {version}");
        assert!(
            seen[2].1.as_str().is_some_and(|text| text.starts_with("rbac_access_denied")),
            "{:?}",
            seen[2]
        );
    }
    Ok(())
}

/// Envoy's RBAC filter after the filter: only namespace api.
fn rbac_for_api(tree: &mut Value) {
    let filters =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let rbac = json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": { "action": "ALLOW", "policies": { "api": {
                "permissions": [{ "any": true }],
                "principals": [{ "filter_state": {
                    "key": "wasm.sa_authn.namespace",
                    "string_match": { "exact": "api" },
                } }],
            } } },
        },
    });
    if let Some(filters) = tree.pointer_mut(filters).and_then(Value::as_array_mut) {
        filters.insert(1, rbac);
    }
}
