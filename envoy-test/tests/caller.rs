//! The caller's Envoy: each service gets the token that was made for it, and no other gets any.

mod support;

use anyhow::{Context, Result, ensure};
use envoy_test::envoy::caller::{ORDERS, SECRET_STORE, TELEMETRY};
use envoy_test::envoy::versions;
use envoy_test::upstream::Received;
use envoy_test::{CallerSetup, Envoy, EnvoySetup, Request, Response, Upstream, WorkloadCa, poll};
use serde_json::{Value, json};
use support::services::serving;

/// Two services with TLS, each with its own token, and one that gets none.
struct Town {
    version: String,
    ca: WorkloadCa,
    orders: Upstream,
    secret_store: Upstream,
    telemetry: Upstream,
    fronts: Vec<Envoy>,
}

const ORDERS_TOKEN: &str = "made.for.orders";
const SECRET_STORE_TOKEN: &str = "made.for.the-secret-store";
const ORDERS_SOURCE: &str = "/static_resources/clusters/0/typed_extension_protocol_options/\
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters/0/typed_config/credential/\
    typed_config/credential/sds_config/path_config_source";
const TOKEN_HEADERS: [&str; 3] = ["authorization", "x-client-id", "x-api-token"];

impl Town {
    async fn new(version: &str) -> Result<Self> {
        let ca = WorkloadCa::new()?;
        let (orders, secret_store) = (Upstream::start().await?, Upstream::start().await?);
        let mut fronts = Vec::new();
        for (upstream, name) in [(&orders, "orders"), (&secret_store, "secret-store")] {
            let listen = serving(&ca, &[&format!("{name}.shop.svc")])?;
            fronts.push(front(version, upstream, listen).await?);
        }
        let (version, telemetry) = (version.to_owned(), Upstream::start().await?);
        Ok(Self { version, ca, orders, secret_store, telemetry, fronts })
    }

    /// The same with orders that have moved to telemetry.
    async fn redirecting(version: &str) -> Result<Self> {
        let town = Self::new(version).await?;
        town.orders.answer_with(302, &[("location", "http://telemetry.shop.svc/moved")])?;
        Ok(town)
    }

    /// Path and tokens of each request to telemetry, of which there must be one.
    async fn telemetry_got(&self) -> Result<Vec<(String, Vec<(String, String)>)>> {
        poll::until("a request to telemetry", async || {
            Ok((!self.telemetry.received().is_empty()).then_some(()))
        })
        .await?;
        let received = self.telemetry.received();
        Ok(received.iter().map(|request| (request.path.clone(), tokens(request))).collect())
    }

    /// The caller's Envoy, without tokens.
    fn caller(&self) -> CallerSetup {
        CallerSetup::new(&self.ca)
            .version(&self.version)
            .destination(ORDERS, self.fronts[0].port())
            .destination(SECRET_STORE, self.fronts[1].port())
            .destination(TELEMETRY, self.telemetry.port())
    }

    async fn caller_with_tokens(&self) -> Result<Envoy> {
        with_tokens(self.caller()).start().await
    }

    /// Everything that reached anybody.
    fn all(&self) -> [Vec<Received>; 3] {
        [&self.orders, &self.secret_store, &self.telemetry].map(Upstream::received)
    }
}

/// A service's own Envoy, with TLS.
async fn front(
    version: &str,
    upstream: &Upstream,
    listen: impl FnOnce(&mut Value) + Send + 'static,
) -> Result<Envoy> {
    let setup = EnvoySetup::new().version(version).without_filter().upstream(upstream);
    setup.patch(listen).start().await
}

fn with_tokens(setup: CallerSetup) -> CallerSetup {
    setup.token(ORDERS, ORDERS_TOKEN).token(SECRET_STORE, SECRET_STORE_TOKEN)
}

fn to(service: &str) -> Request {
    Request::get("/1").header("host", format!("{service}.shop.svc"))
}

async fn send(request: &Request, envoy: &Envoy) -> Result<Response> {
    let response = request.send(envoy.port()).await?;
    ensure!(response.status == 200, "{} {}", response.status, response.text());
    Ok(response)
}

/// Every header that may hold a token, as it arrived.
fn tokens(received: &Received) -> Vec<(String, String)> {
    let named = |name: &str| TOKEN_HEADERS.contains(&name);
    let found = received.headers.iter().filter(|(name, _)| named(name));
    found.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned())).collect()
}

fn pair(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

fn bearer() -> Vec<(String, String)> {
    pair("authorization", &format!("Bearer {ORDERS_TOKEN}"))
}

#[tokio::test]
async fn each_service_gets_its_own_token_and_no_other_gets_any() -> Result<()> {
    for version in versions() {
        let town = Town::new(&version).await?;
        let envoy = town.caller_with_tokens().await?;
        for service in [ORDERS, SECRET_STORE, TELEMETRY] {
            send(&to(service), &envoy).await?;
            send(&to(service).http2(), &envoy).await?;
            send(&Request::get("/1").header("host", format!("{service}.shop.svc:443")), &envoy)
                .await?;
            // As an application sends it that has Envoy for its HTTP_PROXY.
            send(&Request::get(&format!("http://{service}.shop.svc/1")), &envoy).await?;
        }
        let strange = to("unknown").send(envoy.port()).await?;
        assert_eq!(strange.status, 404, "Envoy {version}");
        let [orders, secret_store, telemetry] = town.all();
        let expected = [
            (orders, bearer()),
            (secret_store, pair("x-client-id", SECRET_STORE_TOKEN)),
            (telemetry, Vec::new()),
        ];
        for (received, expected) in expected {
            assert_eq!(received.len(), 4, "Envoy {version}");
            for request in received {
                assert_eq!(tokens(&request), expected, "Envoy {version}");
            }
        }
        let log = format!("{}{:?}", envoy.log(), envoy.wait_access_log(13).await?);
        assert!(!log.contains("made.for"), "Envoy {version}: a token in {log}");
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_the_application_sends_itself_is_replaced_there_and_left_alone_elsewhere()
-> Result<()> {
    for version in versions() {
        let town = Town::new(&version).await?;
        let envoy = town.caller_with_tokens().await?;
        let with_own = |service: &str, name: &str| to(service).header(name, "own");
        for (service, header) in [(ORDERS, "authorization"), (SECRET_STORE, "x-client-id")] {
            send(&with_own(service, header), &envoy).await?;
            send(&with_own(service, header).header(header, "again"), &envoy).await?;
            send(&with_own(TELEMETRY, header), &envoy).await?;
        }
        let [orders, secret_store, telemetry] = town.all();
        for request in orders {
            assert_eq!(tokens(&request), bearer(), "Envoy {version}");
        }
        for request in secret_store {
            let expected = pair("x-client-id", SECRET_STORE_TOKEN);
            assert_eq!(tokens(&request), expected, "Envoy {version}");
        }
        let left: Vec<_> = telemetry.iter().flat_map(tokens).collect();
        let expected = [pair("authorization", "own"), pair("x-client-id", "own")].concat();
        assert_eq!(left, expected, "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn a_mirror_gets_no_token_and_a_redirect_goes_back_to_the_application() -> Result<()> {
    for version in versions() {
        let town = Town::redirecting(&version).await?;
        let envoy = with_tokens(town.caller()).patch(mirrored).start().await?;
        let response = to(ORDERS).send(envoy.port()).await?;
        assert_eq!(response.status, 302, "Envoy {version}");
        assert_eq!(town.telemetry_got().await?, [("/1".to_owned(), Vec::new())], "Envoy {version}");
        assert_eq!(tokens(&town.orders.received()[0]), bearer(), "Envoy {version}");
    }
    Ok(())
}

/// Why the injector does not stand in the listener: there the token goes wherever the request goes.
#[tokio::test]
async fn an_injector_in_the_listener_would_give_the_token_to_the_mirror() -> Result<()> {
    for version in versions() {
        let town = Town::redirecting(&version).await?;
        let setup = with_tokens(town.caller()).patch(mirrored);
        let envoy = setup.patch(move_injector_into_the_listener).start().await?;
        to(ORDERS).send(envoy.port()).await?;
        let leaked = town.telemetry_got().await?;
        assert_eq!(leaked.len(), 1, "Envoy {version}");
        assert!(format!("{leaked:?}").contains(ORDERS_TOKEN), "Envoy {version}: {leaked:?}");
    }
    Ok(())
}

/// Why no route that gets a token has a bare `internal_redirect_policy`.
#[tokio::test]
async fn a_redirect_that_envoy_follows_takes_the_token_along_unless_it_may_not_leave_the_service()
-> Result<()> {
    for version in versions() {
        let town = Town::redirecting(&version).await?;
        let anywhere = with_tokens(town.caller()).patch(|tree| follow_redirects(tree, json!([])));
        let envoy = anywhere.start().await?;
        assert_eq!(to(ORDERS).send(envoy.port()).await?.status, 200, "Envoy {version}");
        let leaked = town.telemetry_got().await?;
        assert!(format!("{leaked:?}").contains(ORDERS_TOKEN), "Envoy {version}: {leaked:?}");

        let only_orders = with_tokens(town.caller()).patch(|tree| {
            follow_redirects(
                tree,
                json!([{
                    "name": "envoy.internal_redirect_predicates.allow_listed_routes",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.internal_redirect.\
                            allow_listed_routes.v3.AllowListedRoutesConfig",
                        "allowed_route_names": [ORDERS],
                    },
                }]),
            );
        });
        let envoy = only_orders.start().await?;
        assert_eq!(to(ORDERS).send(envoy.port()).await?.status, 302, "Envoy {version}");
        assert_eq!(town.telemetry.count(), 1, "Envoy {version}");
    }
    Ok(())
}

/// The route to orders.
fn route(tree: &mut Value) -> &mut Value {
    &mut support::http_options(tree)["route_config"]["virtual_hosts"][0]["routes"][0]
}

fn mirrored(tree: &mut Value) {
    route(tree)["route"]["request_mirror_policies"] = json!([{ "cluster": TELEMETRY }]);
}

fn follow_redirects(tree: &mut Value, predicates: Value) {
    let route = route(tree);
    route["name"] = json!(ORDERS);
    route["route"]["internal_redirect_policy"] = json!({ "predicates": predicates });
}

fn move_injector_into_the_listener(tree: &mut Value) {
    let filters = tree
        .pointer_mut(
            "/static_resources/clusters/0/typed_extension_protocol_options/\
             envoy.extensions.upstreams.http.v3.HttpProtocolOptions/http_filters",
        )
        .and_then(Value::as_array_mut)
        .expect("upstream filters");
    let codec = filters.pop().expect("the codec");
    let injectors = std::mem::replace(filters, vec![codec]);
    let http_filters = support::http_options(tree)["http_filters"].as_array_mut();
    http_filters.expect("filters").splice(0..0, injectors);
}

/// Why the access log does not ask for it: the injector writes into the one set of headers that there is.
#[tokio::test]
async fn an_access_log_that_asks_for_the_header_would_print_the_token() -> Result<()> {
    for version in versions() {
        let town = Town::new(&version).await?;
        let asking = with_tokens(town.caller()).patch(|tree| {
            let log = &mut support::http_options(tree)["access_log"][0]["typed_config"];
            log["log_format"]["json_format"]["token"] = json!("%REQ(AUTHORIZATION)%");
        });
        let envoy = asking.start().await?;
        send(&to(ORDERS), &envoy).await?;
        let log = envoy.wait_access_log(1).await?;
        assert_eq!(log[0]["token"], format!("Bearer {ORDERS_TOKEN}"), "Envoy {version}");
    }
    Ok(())
}

/// Older Envoys need `watched_directory`; these watch the folder of a secret's file by themselves.
#[tokio::test]
async fn a_token_rotates_without_a_watched_directory_too() -> Result<()> {
    for version in versions() {
        let town = Town::new(&version).await?;
        let setup = with_tokens(town.caller()).patch(|tree| {
            let source = tree.pointer_mut(ORDERS_SOURCE).and_then(Value::as_object_mut);
            assert!(source.expect("a source").remove("watched_directory").is_some());
        });
        let envoy = setup.start().await?;
        send(&to(ORDERS), &envoy).await?;
        envoy.credential("tokens").update(&[(ORDERS, "a.fresh.one")])?;
        poll::until("the token to rotate", async || {
            send(&to(ORDERS), &envoy).await?;
            let last = town.orders.last().context("a request")?;
            Ok((tokens(&last) == pair("authorization", "Bearer a.fresh.one")).then_some(()))
        })
        .await
        .with_context(|| format!("Envoy {version}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_until_there_is_one() -> Result<()> {
    for version in versions() {
        let which = || format!("Envoy {version}");
        let town = Town::new(&version).await?;
        let envoy = town.caller().token(ORDERS, "").token(SECRET_STORE, "").start().await?;
        for service in [ORDERS, SECRET_STORE] {
            let refused = to(service).header("authorization", "own").header("x-client-id", "own");
            let refused = refused.send(envoy.port()).await?;
            assert_eq!(refused.status, 401, "Envoy {version}, {service}: {}", refused.text());
            assert_eq!(refused.text(), "Failed to inject credential.", "Envoy {version}");
        }
        let log = envoy.wait_access_log(2).await?;
        for line in &log {
            assert_eq!(line["details"], "failed_to_inject_credential", "Envoy {version}");
        }
        assert_eq!(town.all().map(|received| received.len()), [0, 0, 0], "Envoy {version}");
        envoy.credential("tokens").update(&[(ORDERS, ORDERS_TOKEN)])?;
        poll::until("orders to get its token", async || {
            Ok((to(ORDERS).send(envoy.port()).await?.status == 200).then_some(()))
        })
        .await
        .with_context(which)?;
        assert_eq!(tokens(&town.orders.received()[0]), bearer(), "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_token_file_nothing_is_sent() -> Result<()> {
    for version in versions() {
        let town = Town::new(&version).await?;
        let envoy = town.caller().token(ORDERS, ORDERS_TOKEN).start().await?;
        let refused = to(SECRET_STORE).header("x-client-id", "own").send(envoy.port()).await?;
        assert_eq!(refused.status, 401, "Envoy {version}: {}", refused.text());
        send(&to(TELEMETRY), &envoy).await?;
        assert_eq!(town.all().map(|received| received.len()), [0, 0, 1], "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_gets_no_token() -> Result<()> {
    for version in versions() {
        let town = Town::new(&version).await?;
        let impostors = [
            ("another service", serving(&town.ca, &["secret-store.shop.svc"])?),
            ("another CA", serving(&WorkloadCa::new()?, &["orders.shop.svc"])?),
        ];
        for (who, listen) in impostors {
            let impostor = Upstream::start().await?;
            let front = front(&version, &impostor, listen).await?;
            let caller = town.caller().destination(ORDERS, front.port());
            let envoy = caller.token(ORDERS, ORDERS_TOKEN).start().await?;
            let refused = to(ORDERS).send(envoy.port()).await?;
            assert_eq!(refused.status, 503, "Envoy {version}, {who}");
            let log = envoy.wait_access_log(1).await?;
            let why = log[0]["transport"].as_str().unwrap_or_default();
            assert!(why.contains("CERTIFICATE_VERIFY_FAILED"), "Envoy {version}, {who}: {why}");
            assert_eq!(impostor.count(), 0, "Envoy {version}, {who}");
        }
    }
    Ok(())
}
