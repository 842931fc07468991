//! The configurations of `filter-config/` that no other test runs, in real Envoys: verdicts and
//! identity headers.

use crate::support::listeners;
use crate::support::services::{outcome, shipped};
use anyhow::{Context, Result, ensure};
use envoy_test::envoy::oldest_and_newest;
use envoy_test::{
    ApiServer, ApiServerOptions, Endpoint, EnvoySetup, Request, Token, Upstream, jwks,
};

/// The clusters of the configurations.
struct World {
    local: ApiServer,
    east: ApiServer,
}

/// A request, its expected outcome, and an identity header that the upstream must receive.
type Row = (Request, &'static str, Option<(&'static str, &'static str)>);

#[tokio::test]
async fn every_shipped_configuration_behaves_as_documented() -> Result<()> {
    for version in oldest_and_newest() {
        for names in NAMES {
            run(&version, names).await.with_context(|| format!("Envoy {version}, {names:?}"))?;
        }
    }
    Ok(())
}

/// Each configuration has a listener of one Envoy.
async fn run(version: &str, names: &[&str]) -> Result<()> {
    let first = names.first().context("a configuration")?;
    let (local, other) = options(first);
    let world =
        World { local: ApiServer::start(local).await?, east: ApiServer::start(other).await? };
    if *first == "jwks-server" {
        world.east.publish(&world.local.published_keys());
    }
    world.local.grant_auth_delegator("envoy-system", "sa-authn");
    let mut configs = Vec::new();
    for name in names {
        let mut config = shipped(name)?;
        if *name == "static-keys" {
            // The file contains a placeholder key.
            config["issuers"][0]["keys"]["inline"] = jwks(&[&world.local.signing_key()]);
        }
        configs.push(config.to_string());
    }
    let upstream = Upstream::start().await?;
    let envoy = EnvoySetup::new()
        .version(version)
        .api_server(&world.local)
        .api_server_named("rancher", &world.local)
        .api_server_named("east-keys", &world.east)
        .api_server_named("oidc-issuer", &world.east)
        .upstream(&upstream)
        .patch(move |tree| listeners::one_for_each(tree, &configs))
        .start()
        .await?;
    for (number, name) in names.iter().enumerate() {
        let port = listeners::port(&envoy, number).await?;
        check(rows(name, &world), port, &upstream).await.with_context(|| (*name).to_owned())?;
    }
    ensure!(envoy.is_running(), "Envoy died");
    let asked = world.local.count(Endpoint::Jwks);
    // Each configuration fetches its own keys.
    let as_expected = match *first {
        "jwks-server" | "hosted-issuer" | "static-keys" => asked == 0,
        _ => asked >= names.len(),
    };
    ensure!(as_expected, "{asked} requests for keys");
    Ok(())
}

async fn check(rows: Vec<Row>, port: u16, upstream: &Upstream) -> Result<()> {
    for (number, (request, expected, told)) in rows.into_iter().enumerate() {
        let before = upstream.count();
        let response = request.send(port).await?;
        let found = outcome(&response);
        ensure!(found == expected, "request {number}: {found} instead of {expected}");
        let reached = upstream.count() - before;
        ensure!(reached == usize::from(expected == "200"), "request {number}: reached {reached}");
        if let Some((header, value)) = told {
            let received = upstream.last().context("nothing reached the upstream")?;
            ensure!(
                received.header(header).as_deref() == Some(value),
                "request {number}: {header}"
            );
        }
    }
    Ok(())
}

/// The API servers of a configuration.
fn options(name: &str) -> (ApiServerOptions, ApiServerOptions) {
    let local = match name {
        "external-issuer" => ApiServerOptions {
            jwks_uri: Some(format!("{BUCKET}/openid/v1/jwks")),
            ..ApiServerOptions::with_issuer(BUCKET)
        },
        "jwks-server" => ApiServerOptions {
            jwks_uri: Some("https://oidc.example/clusters/1/keys".to_owned()),
            ..ApiServerOptions::with_issuer("https://oidc.example/clusters/1")
        },
        "rancher" => ApiServerOptions {
            path_prefix: "/k8s/clusters/c-m-1".to_owned(),
            ..ApiServerOptions::default()
        },
        _ => ApiServerOptions::default(),
    };
    let other = match name {
        "hosted-issuer" => ApiServerOptions {
            path_prefix: "/id/8EBD00BAE".to_owned(),
            jwks_path: "/keys".to_owned(),
            jwks_uri: Some(format!("{EKS}/keys")),
            ..ApiServerOptions::with_issuer(EKS)
        },
        "jwks-server" => ApiServerOptions {
            path_prefix: "/clusters/1".to_owned(),
            jwks_path: "/keys".to_owned(),
            ..ApiServerOptions::with_issuer("https://oidc.example/clusters/1")
        },
        _ => ApiServerOptions::with_issuer(EAST),
    };
    (local, other)
}

fn rows(name: &str, world: &World) -> Vec<Row> {
    match name {
        "minimal" => minimal(world),
        "several-clusters" => several_clusters(world),
        "token-review-after-verification" => reviewed(world),
        "static-keys" => static_keys(world),
        "rules" => rules(world),
        "shadow-rollout" => shadow_rollout(world),
        "gateway" => gateway(world),
        "external-issuer" | "jwks-server" => keys_of(&world.local, &world.east),
        "hosted-issuer" => keys_of(&world.east, &world.local),
        "rancher" => reviewed(world),
        other => panic!("{other} has no rows"),
    }
}

fn of(account: &str) -> Token {
    let (namespace, name) = account.split_once('/').expect("namespace/name");
    Token::for_service_account(namespace, name).audience("orders")
}

fn get(path: &str, token: &str) -> Request {
    Request::get(path).bearer(token)
}

fn minimal(world: &World) -> Vec<Row> {
    let good = world.local.mint(of("shop/api").audience("my-service"));
    let other = world.local.mint(of("shop/api"));
    vec![
        (get("/", &good), "200", Some(("x-sa-name", "api"))),
        (get("/", &other), "401 wrong_audience", None),
        (Request::get("/"), "401 missing_token", None),
    ]
}

fn several_clusters(world: &World) -> Vec<Row> {
    let (local, east) = (&world.local, &world.east);
    vec![
        (get("/", &local.mint(of("api/api"))), "200", Some(("x-sa-cluster", "west"))),
        (get("/", &east.mint(of("batch/job").issuer(EAST))), "200", Some(("x-sa-cluster", "east"))),
        (get("/", &east.mint(of("api/api").issuer(EAST))), "403 forbidden", None),
        (get("/", &local.mint(of("batch/job"))), "403 forbidden", None),
    ]
}

/// A token of this API server passes; one with its issuer that another API server has signed does not.
fn keys_of(server: &ApiServer, other: &ApiServer) -> Vec<Row> {
    let good = server.mint(of("shop/api"));
    let foreign = of("shop/api").issuer(server.issuer()).sign(&other.signing_key());
    vec![
        (get("/", &good), "200", Some(("x-sa-name", "api"))),
        (get("/", &foreign), "401 unknown_key", None),
        (Request::get("/"), "401 missing_token", None),
    ]
}

fn reviewed(world: &World) -> Vec<Row> {
    let there = world.local.mint(of("shop/api").pod("api-1"));
    let gone = world.local.mint(of("shop/gone").pod("gone-1"));
    world.local.delete_pod("shop", "gone-1");
    vec![
        (get("/", &there), "200", Some(("x-sa-namespace", "shop"))),
        (get("/", &gone), "401 revoked", None),
    ]
}

fn static_keys(world: &World) -> Vec<Row> {
    let strange = of("shop/api").sign(&world.east.signing_key());
    vec![
        (get("/", &world.local.mint(of("shop/api"))), "200", Some(("x-sa-name", "api"))),
        (get("/", &strange), "401 unknown_key", None),
    ]
}

fn rules(world: &World) -> Vec<Row> {
    let mint = |token: Token| world.local.mint(token);
    let (console, web) = (mint(of("ops/console").pod("console-1")), mint(of("web/web")));
    let (checkout, test) = (mint(of("shop/checkout")), mint(of("test/checkout")));
    let unbound = mint(of("ops/console"));
    vec![
        (Request::get("/healthz"), "200", None),
        (Request::post("/healthz"), "401 missing_token", None),
        (get("/admin/users", &console), "200", Some(("x-sa-name", "console"))),
        (get("/admin", &unbound), "403 forbidden", None),
        (get("/orders/1", &web), "200", Some(("x-sa-name", "web"))),
        (Request::post("/orders/1").bearer(&web), "403 forbidden", None),
        (Request::post("/orders/1").bearer(&checkout), "200", Some(("x-sa-name", "checkout"))),
        (get("/orders/1", &test), "403 forbidden", None),
        (get("/elsewhere", &checkout), "403 forbidden", None),
    ]
}

fn shadow_rollout(world: &World) -> Vec<Row> {
    let (shop, other) = (world.local.mint(of("shop/api")), world.local.mint(of("web/web")));
    let unbound = world.local.mint(of("ops/console"));
    vec![
        // The enforced rule waits for the keys; a shadow rule does not.
        (get("/admin/users", &other), "403 forbidden", None),
        // The shadow rule before the enforced rule does not decide.
        (Request::get("/admin/users"), "401 missing_token", None),
        (get("/admin/users", &unbound), "200", Some(("x-sa-name", "console"))),
        (get("/orders", &shop), "200", Some(("x-sa-name", "api"))),
        // The last rule is a shadow rule: requests it would deny pass, and are counted.
        (get("/orders", &other), "200", Some(("x-sa-name", "web"))),
        (Request::get("/orders"), "200", None),
    ]
}

fn gateway(world: &World) -> Vec<Row> {
    let mint = |account: &str| world.local.mint(of(account).audience("gateway").pod("pod-1"));
    let (shop, batch) = (mint("shop/api"), mint("batch/job"));
    let unbound = world.local.mint(of("shop/api").audience("gateway"));
    let to = |host: &str, token: &str| {
        Request::get("/").header("host", host).header("x-service-token", token)
    };
    vec![
        (to("orders.example", &shop), "200", Some(("x-sa-namespace", "shop"))),
        (to("eu.reports.example", &batch), "200", Some(("x-sa-namespace", "batch"))),
        (to("orders.example:8443", &shop), "200", Some(("x-sa-namespace", "shop"))),
        (to("orders.example.", &shop), "400 bad_request", None),
        (to("orders.example", &batch), "403 forbidden", None),
        // The response has only the status.
        (to("orders.example", &unbound), "401 unauthorized", None),
        (Request::get("/").header("host", "www.example").bearer("a.users.token"), "200", None),
        (Request::get("/").header("host", "www.example:9999"), "401 unauthorized", None),
    ]
}

/// Those with the same API servers are in one Envoy.
const NAMES: [&[&str]; 6] = [
    &[
        "minimal",
        "several-clusters",
        "token-review-after-verification",
        "rules",
        "shadow-rollout",
        "gateway",
    ],
    &["static-keys"],
    &["external-issuer"],
    &["hosted-issuer"],
    &["jwks-server"],
    &["rancher"],
];

const BUCKET: &str = "https://bucket.s3.us-east-1.amazonaws.com/oidc";
const EKS: &str = "https://oidc.eks.us-west-2.amazonaws.com/id/8EBD00BAE";

const EAST: &str = "https://oidc.example/east";
