//! docs/envoy-gateway.md in a real Envoy Gateway: its commands, and each row of "What can open a route" (H1 to H6), without and with
//! what closes it.

use anyhow::{Context, Result, ensure};
use cluster_test::guide::perform;
use cluster_test::shop::{
    ADMIN_PORT, Account, CALLERS, GUARDED, METRICS_PORT, ORDERS, PASSED, SHOP, Shop, reference,
};
use cluster_test::{Guide, Image, until};
use serde_json::{Value, json};

/// The filter rejects it.
fn misspell(policy: &mut Value) {
    policy["spec"]["wasm"][0]["config"]["issuers"][0]["audience"] = json!("orders");
}

/// Without the root ID, Envoy rejects the listener with a configuration that the filter rejects.
fn without_root_id(policy: &mut Value) {
    policy["spec"]["wasm"][0].as_object_mut().expect("a filter").remove("rootID");
}

/// No account may call the application any more.
fn deny_everyone(policy: &mut Value) {
    policy["spec"]["wasm"][0]["config"]["rules"][0]["allow"] = json!(["no-such/account"]);
}

/// A module that cannot be had, and a filter that then lets everything pass.
fn fail_open(policy: &mut Value) {
    let filter = &mut policy["spec"]["wasm"][0];
    filter["failOpen"] = json!(true);
    filter["code"]["image"]["url"] =
        json!(reference(&Image::missing().expect("an image")).expect("a reference"));
}

/// The filter for all routes of the Gateway.
fn gateway_wide(policy: &mut Value) {
    policy["spec"]["targetRefs"] =
        json!([{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shop" }]);
}

/// A policy without a filter, for a tenant's own route.
fn empty_policy(route: &str, namespace: &str) -> String {
    json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyExtensionPolicy",
        "metadata": { "name": "empty", "namespace": namespace },
        "spec": { "targetRefs": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": route }] },
    })
    .to_string()
}

/// Makes a change, and waits until Envoy has rejected the listener with it.
fn rejected(shop: &Shop, change: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = shop.rejected_listeners()?;
    change()?;
    until("Envoy rejects the listener", || {
        let rejected = shop.rejected_listeners()?;
        Ok((rejected == before).then(|| format!("{rejected} rejected listeners")))
    })
}

/// H1 and then H2: a policy that Envoy rejects for a new route, and another one that denies every account on the first route.
fn reject_two_policies(shop: &Shop) -> Result<()> {
    shop.add_route("invoices")?;
    rejected(shop, || {
        shop.add_policy("invoices", |policy| {
            without_root_id(policy);
            misspell(policy);
        })
    })?;
    rejected(shop, || {
        shop.change_policy(|policy| {
            without_root_id(policy);
            deny_everyone(policy);
        })
    })
}

#[test]
fn guide_installs_and_removes_the_filter_and_changes_under_load_lose_no_request() -> Result<()> {
    let (first, second) = (Image::push("1")?, Image::push("2")?);
    let shop = Shop::ready(&first)?;
    let kubectl = &shop.kubectl;
    let folder = shop.file("").display().to_string();
    let guide = Guide::read(
        "docs/envoy-gateway.md",
        &[
            (" envoy-gateway/", &format!(" {folder}")),
            ("\nenvoy-gateway/", &format!("\n{folder}")),
            ("label namespace shop ", &format!("label --overwrite namespace {SHOP} ")),
            ("--namespace web create token", &format!("--namespace {CALLERS} create token")),
            // The application has no such path.
            ("\n200\n", &format!("\n{PASSED}\n")),
        ],
    )?;

    // Install, up to the requests, for which the proxy must be there.
    let mut steps = guide.steps("Install")?;
    let requests = steps.iter().position(|step| step.command.contains("curl "));
    let mut requests = steps.split_off(requests.context("a request")?);
    perform(&steps)?;
    shop.protected(ORDERS)?;
    for step in &mut requests {
        // The cluster's addresses cannot be reached from here.
        let inside = format!("kubectl -n {CALLERS} exec deploy/web -- curl ");
        step.command = step.command.replace("curl ", &inside).replace("GATEWAY", &shop.address()?);
    }
    perform(&requests)?;

    // The filter reports its counters some seconds later.
    until("metrics with labels", || {
        let metrics = shop.page(METRICS_PORT, "/stats/prometheus")?;
        let found: Vec<_> = metrics.lines().filter(|line| line.contains("sa_authn_")).collect();
        let denied = r#"sa_authn_requests{verdict="denied",reason="missing_token","#;
        let is_there = found.iter().any(|line| line.starts_with(denied));
        Ok((!is_there).then(|| found.join("\n")))
    })?;

    // Another rule, and another image, under load.
    let load = shop.load()?;
    load.continue_for(kubectl, 300)?;
    for (image, path) in
        [(&first, "/status/201"), (&second, "/status/202"), (&first, "/status/203")]
    {
        shop.change_policy(|policy| {
            let filter = &mut policy["spec"]["wasm"][0];
            filter["code"]["image"]["url"] = json!(reference(image).expect("a reference"));
            let rules = filter["config"]["rules"].as_array_mut().expect("rules");
            // The guard passes it only with an identity, so it tells by its reason that the change has arrived.
            rules.push(
                json!({ "name": "other", "paths": [path], "allow": [format!("{CALLERS}/other")] }),
            );
        })?;
        let request = shop.request(ORDERS, Account::Other)?.replace("/orders/1", path);
        let status = path.rsplit('/').next().unwrap_or_default();
        until("the new rule", || {
            let seen = shop.send(&request)?;
            Ok((seen != status).then_some(seen))
        })?;
        load.continue_for(kubectl, 300)?;
    }
    let counts = load.stop(kubectl)?;
    println!("new rules and images: {counts:?}");
    ensure!(counts.keys().eq(["forged 401", "none 401", &format!("token {PASSED}")]), "{counts:?}");

    // Without the filter, the guard denies every request.
    kubectl.run(["-n", SHOP, "delete", "envoyextensionpolicy", "sa-authn"])?;
    shop.expect(ORDERS, Account::Web, GUARDED)
}

#[test]
fn token_review_rejects_the_token_of_a_deleted_account() -> Result<()> {
    let shop = Shop::ready(&Image::push("1")?)?;
    let kubectl = &shop.kubectl;
    shop.guarded()?;
    let guide = Guide::read(
        "docs/envoy-gateway.md",
        &[("-namespace=shop,", &format!("-namespace={SHOP},"))],
    )?;
    for kind in ["clusterrole", "clusterrolebinding"] {
        kubectl.run(["delete", kind, "sa-authn-gateway-token-reviews", "--ignore-not-found"])?;
    }
    perform(&guide.steps("TokenReview")?)?;
    shop.change_policy(|policy| {
        policy["spec"]["wasm"][0]["config"]["issuers"][0]["tokenReview"] =
            json!({ "cluster": "kube-apiserver", "authority": "kubernetes.default.svc", "cacheTtl": "1s" });
    })?;
    shop.protected(ORDERS)?;
    kubectl.run(["-n", CALLERS, "create", "serviceaccount", "short"])?;
    let token = kubectl.token(CALLERS, "short", "orders")?;
    let none = shop.request(ORDERS, Account::None)?;
    let request = format!("-H 'Authorization: Bearer {token}' {none}");
    ensure!(shop.send(&request)? == "403 forbidden");
    kubectl.run(["-n", CALLERS, "delete", "serviceaccount", "short"])?;
    until("401 revoked", || {
        let seen = shop.send(&request)?;
        Ok((seen != "401 revoked").then_some(seen))
    })
}

#[test]
fn refused_configuration_opens_its_route_and_stops_all_changes() -> Result<()> {
    let shop = Shop::ready(&Image::push("1")?)?;
    shop.open()?;
    shop.change_policy(without_root_id)?;
    shop.protected(ORDERS)?;
    reject_two_policies(&shop)?;
    // H1.
    shop.expect("invoices", Account::None, PASSED)?;
    let status = shop.status()?;
    let (open, closed) = (r#"NO  routes    "#, "httproute/sa-authn-eg/orders/");
    ensure!(!status.succeeded && status.output.contains(open), "{status:?}");
    ensure!(status.output.contains("httproute/sa-authn-eg/invoices/"), "{status:?}");
    ensure!(!status.output.contains(closed), "{status:?}");
    // H2: the account is no longer allowed.
    ensure!(shop.ask(ORDERS, Account::Web)? == PASSED);
    // Envoy rejects the guard too: it must be there before.
    rejected(&shop, || shop.apply(&["guard.yaml"]))?;
    ensure!(shop.ask("invoices", Account::None)? == PASSED);
    // The correction.
    shop.add_policy("invoices", without_root_id)?;
    shop.protected("invoices")?;
    shop.expect(ORDERS, Account::Web, "403 forbidden")
}

#[test]
fn filter_that_denies_if_misconfigured_keeps_the_route_closed_and_lets_changes_arrive() -> Result<()>
{
    let shop = Shop::ready(&Image::push("1")?)?;
    shop.open()?;
    shop.change_policy(|_| ())?;
    shop.protected(ORDERS)?;
    // H1.
    shop.add_policy("invoices", misspell)?;
    shop.add_route("invoices")?;
    shop.expect("invoices", Account::None, "503 misconfigured")?;
    shop.expect("invoices", Account::Web, "503 misconfigured")?;
    ensure!(shop.log()?.contains("issuers[0].audience: unknown field `audience`"));
    // H2.
    shop.change_policy(deny_everyone)?;
    shop.expect(ORDERS, Account::Web, "403 forbidden")?;
    // The correction.
    shop.add_policy("invoices", |_| ())?;
    shop.protected("invoices")?;
    ensure!(shop.rejected_listeners()? == 0);
    Ok(())
}

#[test]
fn route_is_open_while_the_module_is_fetched_and_without_it() -> Result<()> {
    let shop = Shop::ready(&Image::push("1")?)?;
    shop.open()?;
    // H3.
    let load = shop.load()?;
    load.continue_for(&shop.kubectl, 100)?;
    shop.change_policy(|_| ())?;
    shop.protected(ORDERS)?;
    let counts = load.stop(&shop.kubectl)?;
    println!("the first policy on a proxy without the module: {counts:?}");
    // H6.
    shop.change_policy(fail_open)?;
    shop.expect(ORDERS, Account::None, PASSED)?;
    // H5.
    shop.change_policy(gateway_wide)?;
    shop.protected(ORDERS)?;
    shop.add_route("tenant")?;
    // No rule has its host.
    shop.expect("tenant", Account::None, "401 missing_token")?;
    shop.expect("tenant", Account::Web, "403 forbidden")?;
    shop.kubectl.apply(&empty_policy("tenant", SHOP))?;
    shop.expect("tenant", Account::None, PASSED)
}

#[test]
fn guard_keeps_every_route_closed() -> Result<()> {
    let image = Image::push("1")?;
    let shop = Shop::ready(&image)?;
    let kubectl = &shop.kubectl;
    shop.guarded()?;
    // H3.
    let load = shop.load()?;
    load.continue_for(kubectl, 100)?;
    shop.change_policy(|_| ())?;
    shop.protected(ORDERS)?;
    // H4: not accepted, and accepted again.
    for _ in 0..10 {
        shop.change_policy(|policy| {
            let missing = Image::missing().expect("an image");
            policy["spec"]["wasm"][0]["code"]["image"]["url"] =
                json!(reference(&missing).expect("a reference"));
        })?;
        // The guard denies what Envoy Gateway would answer with 500.
        shop.expect(ORDERS, Account::Web, GUARDED)?;
        shop.change_policy(|_| ())?;
        shop.protected(ORDERS)?;
    }
    // H6.
    shop.change_policy(fail_open)?;
    shop.expect(ORDERS, Account::Web, GUARDED)?;
    let counts = load.stop(kubectl)?;
    println!("H3, H4 and H6 with the guard: {counts:?}");
    let is_open = |kind: &str| counts.contains_key(&format!("{kind} {PASSED}"));
    ensure!(is_open("token") && !is_open("none") && !is_open("forged"), "{counts:?}");
    // H1. The guard does not close H2.
    shop.change_policy(without_root_id)?;
    shop.protected(ORDERS)?;
    reject_two_policies(&shop)?;
    shop.expect("invoices", Account::None, GUARDED)?;
    shop.expect("invoices", Account::Web, GUARDED)?;
    ensure!(shop.ask(ORDERS, Account::Web)? == PASSED);
    kubectl.run(["-n", SHOP, "delete", "httproute,envoyextensionpolicy", "invoices"])?;
    // H5.
    shop.change_policy(gateway_wide)?;
    shop.protected(ORDERS)?;
    shop.add_route("tenant")?;
    shop.kubectl.apply(&empty_policy("tenant", SHOP))?;
    shop.expect("tenant", Account::Web, GUARDED)?;
    shop.expect("tenant", Account::None, GUARDED)
}

#[test]
fn tenants_cannot_take_the_filter_or_the_guard_off_a_route() -> Result<()> {
    let shop = Shop::ready(&Image::push("1")?)?;
    let kubectl = &shop.kubectl;
    shop.apply(&["tenants.yaml"])?;
    // CALLERS has no label.
    let create = |namespace: &str| {
        let policy = empty_policy("tenant", namespace);
        kubectl.with_input(["create", "--dry-run=server", "-f", "-"], &policy)
    };
    until("the admission policy", || {
        Ok(match create(CALLERS) {
            Ok(admitted) => Some(admitted),
            Err(error) => {
                ensure!(
                    format!("{error:#}").contains("this kind can take authentication off a route"),
                    "{error:#}"
                );
                None
            }
        })
    })?;
    kubectl.run(["label", "--overwrite", "namespace", SHOP, "sa-authn/policies=allowed"])?;
    create(SHOP).map(drop)
}

#[test]
fn patch_makes_envoy_reload_a_crashed_filter() -> Result<()> {
    let shop = Shop::ready(&Image::push("1")?)?;
    shop.guarded()?;
    shop.change_policy(|_| ())?;
    shop.protected(ORDERS)?;
    let dump = || shop.page(ADMIN_PORT, "/config_dump?resource=dynamic_listeners");
    ensure!(!dump()?.contains("FAIL_RELOAD"));
    shop.apply(&["reload.yaml"])?;
    until("FAIL_RELOAD in the listener", || {
        Ok((!dump()?.contains("FAIL_RELOAD")).then(|| "not in the dump".to_owned()))
    })?;
    let status = shop.status()?;
    ensure!(status.succeeded && !status.output.contains("FAIL_RELOAD"), "{status:?}");
    shop.protected(ORDERS)
}
