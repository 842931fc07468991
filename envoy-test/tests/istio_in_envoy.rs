//! The manifests of istio/ in plain Envoy: their cluster and their plugin configuration, in the form that
//! Istio generates, with addresses and file paths of the test.

use std::fs;
use std::path::Path;

use crate::support::http_options;
use crate::support::istio::{BOOTSTRAP, bootstrap_map, one, text};
use crate::support::services::{check_identity, cluster, outcome};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::{
    ApiServer, Envoy, EnvoySetup, ProjectedVolume, Request, Rotation, Token, Upstream, poll,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A deployment of the filter in a mesh, and a request that its rules allow for api/api.
struct Use {
    name: &'static str,
    host: &'static str,
    path: &'static str,
}

const USES: [Use; 3] = [
    Use { name: "sidecar", host: "secret-store.secrets", path: "/headers" },
    Use { name: "gateway", host: "orders.example.com", path: "/orders/1" },
    Use { name: "waypoint", host: "books.store", path: "/books/1" },
];

/// An Envoy as Istio configures it, with its API server and upstream.
struct Proxy {
    envoy: Envoy,
    api_server: ApiServer,
    upstream: Upstream,
    credential: ProjectedVolume,
    _folder: TempDir,
}

impl Proxy {
    async fn start(version: &str, place: &Use, plugin: Value) -> Result<Self> {
        let (api_server, upstream) = (cluster().await?, Upstream::start().await?);
        let folder = tempfile::tempdir()?;
        let token = login(&api_server, "proxy");
        let files = [("ca.crt", api_server.ca_pem()), ("token", &token)];
        let credential = ProjectedVolume::create(folder.path().join("credential"), &files)?;
        let setup = EnvoySetup::new().version(version).upstream(&upstream);
        let setup = with_cluster(setup, place, folder.path(), api_server.port())?;
        let envoy = setup.patch(move |tree| as_istio_does(tree, plugin)).start().await?;
        Ok(Self { envoy, api_server, upstream, credential, _folder: folder })
    }

    async fn send(&self, place: &Use, token: Option<&str>) -> Result<envoy_test::Response> {
        let request = Request::get(place.path).header("host", place.host);
        let request = token.map_or(request.clone(), |token| request.bearer(token));
        request.send(self.envoy.port()).await
    }
}

/// A token of the proxy's pod.
fn login(api_server: &ApiServer, name: &str) -> String {
    let token = Token::for_service_account("mesh", name).audience(&api_server.audience());
    api_server.mint(token)
}

/// The plugin's configuration from the manifest of this kind.
fn plugin_config(place: &Use, kind: &str) -> Result<Value> {
    let plugin = one(&format!("{}-{}.yaml", kind.to_lowercase(), place.name), kind)?;
    let spec = &plugin.value["spec"];
    let config =
        if kind == "WasmPlugin" { &spec["pluginConfig"] } else { &spec["wasm"]["pluginConfig"] };
    Ok(config.clone())
}

/// The filter as istiod writes it (istio/istio, `pilot/pkg/model/extensions.go`): the configuration is JSON in a StringValue,
/// there is no vm_id, and the agent has the module in a file.
fn as_istio_does(tree: &mut Value, plugin: Value) {
    let config = &mut http_options(tree)["http_filters"][0]["typed_config"]["config"];
    config["name"] = json!("secrets.sa-authn");
    config["configuration"]["value"] = json!(plugin.to_string());
    let vm = &mut config["vm_config"];
    vm.as_object_mut().map(|vm| vm.remove("vm_id"));
    vm["environment_variables"] =
        json!({ "key_values": { "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION": "1" } });
}

/// Adds the manifest's bootstrap as Istio's agent does, and writes its SDS file.
fn with_cluster(setup: EnvoySetup, place: &Use, folder: &Path, port: u16) -> Result<EnvoySetup> {
    let map = bootstrap_map(place.name)?;
    let credential = folder.join("credential").display().to_string();
    let moved = |key: &str| {
        text(&map.value["data"][key])
            .replace("/var/run/secrets/kubernetes.io/serviceaccount", &credential)
            .replace("/etc/istio/custom-bootstrap", &folder.display().to_string())
    };
    let sds = "kube-apiserver-token.yaml";
    fs::write(folder.join(sds), moved(sds))?;
    let mut bootstrap: Value = serde_saphyr::from_str(&moved(BOOTSTRAP))?;
    redirect(&mut bootstrap["static_resources"]["clusters"][0], port);
    // The driver reads every stat. Istio's bootstrap has patterns, to which these are added.
    bootstrap["stats_config"].as_object_mut().map(|stats| stats.remove("stats_matcher"));
    Ok(setup.merge(&bootstrap.to_string()))
}

/// Replaces the address of the API server with the test's.
fn redirect(cluster: &mut Value, port: u16) {
    let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    let address = &mut endpoint["address"]["socket_address"];
    assert_eq!(
        *address,
        json!({ "address": "kubernetes.default.svc.cluster.local", "port_value": 443 })
    );
    *address = json!({ "address": "127.0.0.1", "port_value": port });
}

#[tokio::test]
async fn every_istio_deployment_passes_one_caller_and_rejects_the_other() -> Result<()> {
    for version in versions() {
        for place in &USES {
            let config = plugin_config(place, "WasmPlugin")?;
            let audience = text(&config["issuers"][0]["audiences"][0]).to_owned();
            let which = || format!("{}, Envoy {version}", place.name);
            let proxy = Proxy::start(&version, place, config).await.with_context(which)?;
            check(&proxy, place, &audience).await.with_context(which)?;
        }
    }
    Ok(())
}

async fn check(proxy: &Proxy, place: &Use, audience: &str) -> Result<()> {
    let of = |name: &str| {
        proxy.api_server.mint(Token::for_service_account(name, name).audience(audience))
    };
    let allowed = proxy.send(place, Some(&of("api"))).await?;
    check_identity(&allowed, &[("x-sa-namespace", "api"), ("x-sa-name", "api")])?;
    ensure!(outcome(&proxy.send(place, Some(&of("web"))).await?) == "403 forbidden");
    ensure!(outcome(&proxy.send(place, None).await?) == "401 missing_token");
    let elsewhere =
        proxy.api_server.mint(Token::for_service_account("api", "api").audience("elsewhere"));
    ensure!(outcome(&proxy.send(place, Some(&elsewhere)).await?) == "401 wrong_audience");
    ensure!(proxy.upstream.count() == 1);

    // The proxy authenticated only with the pod's token.
    let callers = proxy.api_server.requests().into_iter().map(|request| request.caller);
    let others: Vec<_> = callers.filter(|caller| caller.as_deref() != Some(PROXY)).collect();
    ensure!(others.is_empty(), "{others:?}");
    Ok(())
}

#[test]
fn traffic_extension_equals_the_wasm_plugin() -> Result<()> {
    for place in &USES {
        let plugin = one(&format!("wasmplugin-{}.yaml", place.name), "WasmPlugin")?;
        let extension = one(&format!("trafficextension-{}.yaml", place.name), "TrafficExtension")?;
        assert_eq!(extension.value["metadata"], plugin.value["metadata"], "{}", place.name);
        let mut flat = extension.value["spec"].clone();
        let wasm = flat.as_object_mut().and_then(|spec| spec.remove("wasm")).context("wasm")?;
        let (Some(flat), Value::Object(wasm)) = (flat.as_object_mut(), wasm) else {
            panic!("objects")
        };
        flat.extend(wasm);
        assert_eq!(Value::Object(flat.clone()), plugin.value["spec"], "{}", place.name);
        assert_eq!(plugin.value["spec"]["failStrategy"], "FAIL_RELOAD", "{}", place.name);
        assert_eq!(plugin.value["spec"]["phase"], "AUTHN", "{}", place.name);
    }
    Ok(())
}

#[test]
fn every_kind_of_proxy_has_the_same_bootstrap() -> Result<()> {
    let [sidecar, gateway, waypoint] =
        USES.map(|place| bootstrap_map(place.name).map(|map| map.value["data"].clone()));
    let sidecar = sidecar?;
    assert!(sidecar[BOOTSTRAP].is_string());
    assert_eq!(sidecar, gateway?);
    assert_eq!(sidecar, waypoint?);
    Ok(())
}

/// The configuration that the agent uses if it cannot pull the module (istio/istio, `pkg/wasm/convert.go`).
#[tokio::test]
async fn requests_are_rejected_if_the_module_cannot_be_pulled() -> Result<()> {
    for version in versions() {
        let upstream = Upstream::start().await?;
        let deny = |tree: &mut Value| {
            http_options(tree)["http_filters"][0] = json!({
                "name": "secrets.sa-authn",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                    "rules": {},
                },
            });
        };
        let envoy =
            EnvoySetup::new().version(&version).upstream(&upstream).patch(deny).start().await?;
        let answer = Request::get("/headers").send(envoy.port()).await?;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (403, "RBAC: access denied"),
            "Envoy {version}"
        );
        assert_eq!(upstream.count(), 0, "Envoy {version}");
    }
    Ok(())
}

/// The new token is of another account, so that the API server can distinguish the two.
#[tokio::test]
async fn proxy_uses_its_new_token_after_a_rotation() -> Result<()> {
    let [place, ..] = &USES;
    for version in versions() {
        let mut config = plugin_config(place, "WasmPlugin")?;
        config["issuers"][0]["keys"]["minRefetchInterval"] = json!("1s");
        let proxy = Proxy::start(&version, place, config).await?;
        let api_server = &proxy.api_server;
        let token = login(api_server, "second");
        proxy.credential.update(&[("ca.crt", api_server.ca_pem()), ("token", &token)])?;
        let before = api_server.requests().len();
        let logins = || -> Vec<_> {
            let asked = api_server.requests().split_off(before);
            asked.into_iter().map(|request| request.caller.unwrap_or_default()).collect()
        };

        // New keys cause fetches, until three in a row use the new token:
        // Envoy updates its threads one by one, so a call with the old token can follow a call with the new one.
        let mint = || {
            api_server.rotate(Rotation::KeepOld);
            api_server.mint(Token::for_service_account("api", "api").audience("secret-store"))
        };
        let mut caller = mint();
        poll::until("a fetch with the new token", async || {
            let outcome = outcome(&proxy.send(place, Some(&caller)).await?);
            ensure!(outcome == "200" || outcome == "401 unknown_key", "{outcome}, Envoy {version}");
            if logins().ends_with(&[SECOND; 3].map(str::to_owned)) {
                return Ok(Some(()));
            }
            if outcome == "200" {
                caller = mint();
            }
            Ok(None)
        })
        .await?;
        let logins = logins();
        let is_proxy = |login: &String| [PROXY, SECOND].contains(&login.as_str());
        assert!(logins.iter().all(is_proxy), "Envoy {version}: {logins:?}");
    }
    Ok(())
}

const SECOND: &str = "system:serviceaccount:mesh:second";
const PROXY: &str = "system:serviceaccount:mesh:proxy";
