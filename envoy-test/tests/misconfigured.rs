//! `root_id: sa-authn:deny-if-misconfigured`: Envoy starts with an invalid configuration, and the filter denies every
//! request.

use std::time::Duration;

use crate::support::command::sa_authn;
use crate::support::listeners;
use crate::support::{Gate, api, check_refused, get, http_options, http_options_of, rules};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::{oldest_and_newest, versions};
use envoy_test::scenarios::{InvalidConfig, invalid_configs};
use envoy_test::{Envoy, EnvoySetup, KeyKind, Request, SigningKey, poll};
use serde_json::{Value, json};

const DENY: &str = "sa-authn:deny-if-misconfigured";

fn setup(version: &str, root_id: &'static str) -> EnvoySetup {
    EnvoySetup::new().version(version).patch(move |tree| {
        let plugin = &mut http_options(tree)["http_filters"][0]["typed_config"]["config"];
        plugin["root_id"] = json!(root_id);
    })
}

/// Requests that an Envoy without the filter would forward.
fn requests(token: &str) -> [Request; 6] {
    [
        get(token),
        Request::get("/secrets/1"),
        Request::get("/public/1"),
        Request::get("/public/1").http2(),
        Request::post("/public/1").body("a body").trailer("x-sa-name", "admin").http2(),
        Request::method("OPTIONS", "/public/1").header("origin", "https://shop.example"),
    ]
}

/// Fails unless each request is denied as misconfigured, with nothing of the problem in the response.
async fn check_closed(gate: &Gate, port: u16, token: &str, problem: &str) -> Result<()> {
    let before = gate.upstream.count();
    for request in requests(token) {
        let response = request.send(port).await?;
        check_refused(&response, 503, "misconfigured")?;
        let body = r#"{"reason":"misconfigured","message":"the request could not be checked"}"#;
        ensure!(response.text() == body, "{}", response.text());
        let leaks = response.headers.iter().any(|(_, value)| contains(value, problem));
        ensure!(!leaks, "{:?}", response.headers);
    }
    let grpc = Request::post("/a.B/C").grpc().send(port).await?;
    ensure!(grpc.grpc_status() == Some(14), "{grpc:?}");
    ensure!(gate.upstream.count() == before, "a request reached the upstream");
    Ok(())
}

fn contains(value: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(value).contains(text)
}

#[tokio::test]
async fn every_request_is_denied_as_misconfigured_from_the_start() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let token = api().sign(&key);
    for version in oldest_and_newest() {
        let invalid = invalid_configs(&rules(&key));
        let texts: Vec<_> = invalid.iter().map(|config| config.text.clone()).collect();
        let setup = setup(&version, DENY).patch(move |tree| listeners::one_for_each(tree, &texts));
        let gate = Gate::start(setup).await?;
        for (number, InvalidConfig { name, problem, .. }) in invalid.iter().enumerate() {
            let port = listeners::port(&gate.envoy, number).await?;
            let closed = check_closed(&gate, port, &token, problem).await;
            closed.with_context(|| format!("Envoy {version}: {name}"))?;
            let log = gate.envoy.log();
            ensure!(log.contains(&format!("configuration: {problem}")), "{name}: {log}");
        }
        // All write one gauge; the next test reads it for each.
        gate.envoy.wait_stat(GAUGE, |level| level == 1).await?;
        assert_eq!(gate.envoy.vm_failures().await?, [""; 0], "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn correct_update_recovers_without_a_restart() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let (token, good) = (api().sign(&key), rules(&key));
    for version in versions() {
        let setup = setup(&version, DENY).dynamic_listener(Duration::from_secs(1));
        let gate = Gate::start(setup.concurrency(2).plugin_config(good.clone())).await?;
        for InvalidConfig { name, text, problem } in invalid_configs(&good) {
            replace(&gate.envoy, &text)?;
            until_all(&gate.envoy, &token, 503).await.context(name)?;
            gate.envoy.wait_stat(GAUGE, |level| level == 1).await.context(name)?;
            let closed = check_closed(&gate, gate.envoy.port(), &token, problem).await;
            closed.with_context(|| format!("Envoy {version}: {name}"))?;
            replace(&gate.envoy, &good.to_string())?;
            until_all(&gate.envoy, &token, 200).await.context(name)?;
            gate.envoy.wait_stat(GAUGE, |level| level == 0).await?;
        }
        gate.check_alive(&token).await?;
        let refused = Request::get("/secrets/1").send(gate.envoy.port()).await?;
        check_refused(&refused, 401, "missing_token")?;
        assert_eq!(gate.envoy.stat(REJECTED).await?, 0, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn unknown_mode_in_the_root_id_denies_every_request() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    for version in oldest_and_newest() {
        let setup = setup(&version, "sa-authn:deny-if-misconfiged").plugin_config(rules(&key));
        let gate = Gate::start(setup).await?;
        check_closed(&gate, gate.envoy.port(), &api().sign(&key), "root_id").await?;
        let log = gate.envoy.log();
        ensure!(log.contains("configuration: root_id: unknown mode; "), "{log}");
    }
    Ok(())
}

/// Envoy Gateway has the filter in the listener, off, and each route turns it on. Listeners and routes are updates of
/// their own: where Envoy refuses the listener with a new filter, it takes the route without it.
#[tokio::test]
async fn refused_configuration_opens_a_new_route_and_a_denying_filter_does_not() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let (token, good) = (api().sign(&key), rules(&key));
    let mut bad = good.clone();
    bad["issuers"][0]["audience"] = json!("secret-store");
    for version in oldest_and_newest() {
        for (root_id, expected) in [("sa-authn", 200), (DENY, 503)] {
            let folder = tempfile::tempdir()?;
            let routes = folder.path().join("routes.json");
            write(&routes, &route_table(&["first"]))?;
            let path = routes.clone();
            let setup = setup(&version, root_id).dynamic_listener(Duration::from_secs(1));
            let setup = setup.plugin_config(good.clone()).patch(move |tree| per_route(tree, &path));
            let gate = Gate::start(setup).await?;
            let send = async |host: &str, token: Option<&str>| {
                let request = Request::get("/secrets/1").header("host", host);
                let request = token.into_iter().fold(request, Request::bearer);
                request.send(gate.envoy.port()).await
            };
            assert_eq!(send("first", Some(&token)).await?.status, 200, "Envoy {version}");
            assert_eq!(send("first", None).await?.status, 401, "Envoy {version}");

            // A second route, with a policy of its own.
            gate.envoy.replace_listener(|listener| add_filter(listener, "second", &bad))?;
            write(&routes, &route_table(&["first", "second"]))?;
            poll::until("the second route", async || {
                Ok((send("second", None).await?.status != 404).then_some(()))
            })
            .await?;
            let (counter, count) = if expected == 200 {
                (REJECTED, 1)
            } else {
                ("listener_manager.lds.update_success", 2)
            };
            gate.envoy.wait_stat(counter, |found| found == count).await?;
            poll::until("the outcome on the second route", async || {
                Ok((send("second", None).await?.status == expected).then_some(()))
            })
            .await?;
            for _ in 0..5 {
                assert_eq!(send("second", None).await?.status, expected, "{version} {root_id}");
                assert_eq!(send("first", Some(&token)).await?.status, 200, "{version} {root_id}");
            }
            let admin = format!("http://127.0.0.1:{}", gate.envoy.admin_port());
            let status = sa_authn(&["status", "--admin", &admin]).await?.stdout;
            let open =
                r#": virtual host "second", route "{\"prefix\":\"/\"}" does not run the filter"#;
            assert_eq!(status.contains(open), expected == 200, "{version} {root_id}: {status}");
            assert!(!status.contains(r#"host "first""#), "{version} {root_id}: {status}");

            // While it lasts: the account is taken out of the rules of the first route.
            let mut without = good.clone();
            without["rules"][1]["allow"] = json!(["web/web"]);
            gate.envoy.replace_listener(|listener| {
                filters(listener)[0]["typed_config"]["config"]["configuration"]["value"] =
                    json!(without.to_string());
            })?;
            if expected == 200 {
                gate.envoy.wait_stat(REJECTED, |found| found == 2).await?;
                assert_eq!(send("first", Some(&token)).await?.status, 200, "{version}: H2");
            } else {
                poll::until("the new rules", async || {
                    Ok((send("first", Some(&token)).await?.status == 403).then_some(()))
                })
                .await?;
                assert_eq!(gate.envoy.stat(REJECTED).await?, 0, "Envoy {version}");
            }
        }
    }
    Ok(())
}

/// Has the routes come from a file, and each of them turn its filter on.
fn per_route(tree: &mut Value, routes: &std::path::Path) {
    let http = http_options(tree);
    http["http_filters"][0]["name"] = json!("first");
    http["http_filters"][0]["disabled"] = json!(true);
    let Some(options) = http.as_object_mut() else { return };
    options.remove("route_config");
    options.insert(
        "rds".to_owned(),
        json!({
            "route_config_name": "routes",
            "config_source": { "path_config_source": { "path": routes } },
        }),
    );
}

/// A route for each host, with the filter of its name.
fn route_table(hosts: &[&str]) -> Value {
    let host = |name: &&str| {
        let on = json!({ "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {} });
        json!({
            "name": name,
            "domains": [name],
            "routes": [{
                "match": { "prefix": "/" },
                "route": { "cluster": "upstream" },
                "typed_per_filter_config": { *name: on },
            }],
        })
    };
    let hosts: Vec<_> = hosts.iter().map(host).collect();
    json!({ "resources": [{
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "routes",
        "virtual_hosts": hosts,
    }] })
}

fn filters(listener: &mut Value) -> &mut Vec<Value> {
    let http = http_options_of(listener);
    http["http_filters"].as_array_mut().expect("filters")
}

/// Another filter before the router, in a VM of its own.
fn add_filter(listener: &mut Value, name: &str, config: &Value) {
    let filters = filters(listener);
    let mut filter = filters[0].clone();
    filter["name"] = json!(name);
    let plugin = &mut filter["typed_config"]["config"];
    plugin["name"] = json!(name);
    plugin["vm_config"]["vm_id"] = json!(name);
    plugin["configuration"]["value"] = json!(config.to_string());
    filters.insert(1, filter);
}

fn replace(envoy: &Envoy, text: &str) -> Result<()> {
    envoy.replace_listener(|listener| {
        filters(listener)[0]["typed_config"]["config"]["configuration"]["value"] = json!(text);
    })
}

/// Envoy reads the file as soon as it has its name.
fn write(path: &std::path::Path, content: &Value) -> Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, content.to_string())?;
    Ok(std::fs::rename(&fresh, path)?)
}

/// Waits until each of the two workers answers with this status.
async fn until_all(envoy: &Envoy, token: &str, status: u16) -> Result<()> {
    let mut in_a_row = 0;
    poll::until(&format!("status {status}"), async || {
        let found = get(token).send(envoy.port()).await?.status;
        in_a_row = if found == status { in_a_row + 1 } else { 0 };
        Ok((in_a_row >= 10).then_some(()))
    })
    .await
}

const GAUGE: &str = "wasmcustom.sa_authn.misconfigured";
const REJECTED: &str = "listener_manager.lds.update_rejected";
