//! Mirrors, redirects and access logs do not leak a caller's token.

use crate::support::destinations::{
    Destinations, ORDERS_TOKEN, bearer, send, to, tokens, with_tokens,
};
use anyhow::Result;
use envoy_test::envoy::caller::{ORDERS, TELEMETRY};
use envoy_test::envoy::versions;
use serde_json::{Value, json};

/// The injector writes into the headers that the access log reads, so the log format must not contain the header.
#[tokio::test]
async fn access_log_of_the_authorization_header_would_contain_the_token() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::new(&version).await?;
        let asking = with_tokens(destinations.caller()).patch(|tree| {
            let log = &mut crate::support::http_options(tree)["access_log"][0]["typed_config"];
            log["log_format"]["json_format"]["token"] = json!("%REQ(AUTHORIZATION)%");
        });
        let envoy = asking.start().await?;
        send(&to(ORDERS), &envoy).await?;
        let log = envoy.wait_access_log(1).await?;
        assert_eq!(log[0]["token"], format!("Bearer {ORDERS_TOKEN}"), "Envoy {version}");
    }
    Ok(())
}

#[tokio::test]
async fn mirror_receives_no_token_and_redirects_are_returned_to_the_application() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::redirecting(&version).await?;
        let envoy = with_tokens(destinations.caller()).patch(mirrored).start().await?;
        let response = to(ORDERS).send(envoy.port()).await?;
        assert_eq!(response.status, 302, "Envoy {version}");
        assert_eq!(
            destinations.telemetry_got().await?,
            [("/1".to_owned(), Vec::new())],
            "Envoy {version}"
        );
        assert_eq!(tokens(&destinations.orders.received()[0]), bearer(), "Envoy {version}");
    }
    Ok(())
}

/// In the listener, the injector would add the token to every copy of the request.
#[tokio::test]
async fn injector_in_the_listener_would_send_the_token_to_the_mirror() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::redirecting(&version).await?;
        let setup = with_tokens(destinations.caller()).patch(mirrored);
        let envoy = setup.patch(move_injector_into_the_listener).start().await?;
        to(ORDERS).send(envoy.port()).await?;
        let leaked = destinations.telemetry_got().await?;
        assert_eq!(leaked.len(), 1, "Envoy {version}");
        assert!(format!("{leaked:?}").contains(ORDERS_TOKEN), "Envoy {version}: {leaked:?}");
    }
    Ok(())
}

/// A route with a token must not have an `internal_redirect_policy` without a predicate.
#[tokio::test]
async fn internal_redirect_forwards_the_token_unless_limited_to_the_service() -> Result<()> {
    for version in versions() {
        let destinations = Destinations::redirecting(&version).await?;
        let anywhere =
            with_tokens(destinations.caller()).patch(|tree| follow_redirects(tree, json!([])));
        let envoy = anywhere.start().await?;
        assert_eq!(to(ORDERS).send(envoy.port()).await?.status, 200, "Envoy {version}");
        let leaked = destinations.telemetry_got().await?;
        assert!(format!("{leaked:?}").contains(ORDERS_TOKEN), "Envoy {version}: {leaked:?}");

        let only_orders = with_tokens(destinations.caller()).patch(|tree| {
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
        assert_eq!(destinations.telemetry.count(), 1, "Envoy {version}");
    }
    Ok(())
}

/// The route to orders.
fn route(tree: &mut Value) -> &mut Value {
    &mut crate::support::http_options(tree)["route_config"]["virtual_hosts"][0]["routes"][0]
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
    let http_filters = crate::support::http_options(tree)["http_filters"].as_array_mut();
    http_filters.expect("filters").splice(0..0, injectors);
}
