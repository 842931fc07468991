//! What is asked: user, verb, path and resource attributes.

use super::{AMBIGUOUS, START, World, non_resource, service_proxy, world, world_of};
use envoy_test::Token;
use serde_json::{Value, json};

/// The attributes that a request asks about.
fn attributes(world: &mut World, method: &str, path: &str) -> Value {
    let token = world.token("api");
    let spec = world.asked(method, path, &token);
    let resource = spec.get("resourceAttributes");
    resource.or_else(|| spec.get("nonResourceAttributes")).expect("attributes").clone()
}

#[test]
fn user_is_sent_as_the_api_server_derives_it_from_the_token() {
    let mut world = world(&non_resource());
    let token = Token::for_service_account("demo", "app").pod("app-1").node("node-1");
    let claims = token.claims().clone();
    let token = world.sign(token);
    let private = &claims["kubernetes.io"];
    let key = |name: &str| format!("authentication.kubernetes.io/{name}");
    assert_eq!(
        world.asked("GET", "/metrics", &token),
        json!({
            "nonResourceAttributes": { "path": "/metrics", "verb": "get" },
            "user": "system:serviceaccount:demo:app",
            "uid": private["serviceaccount"]["uid"],
            "groups": ["system:serviceaccounts", "system:serviceaccounts:demo", "system:authenticated"],
            "extra": {
                key("credential-id"): [format!("JTI={}", claims["jti"].as_str().unwrap())],
                key("pod-name"): ["app-1"],
                key("pod-uid"): [private["pod"]["uid"]],
                key("node-name"): ["node-1"],
                key("node-uid"): [private["node"]["uid"]],
            },
        })
    );
}

#[test]
fn token_of_no_pod_has_no_extra_of_a_pod() {
    let mut world = world(&non_resource());
    let token = Token::for_service_account("demo", "app");
    let jti = token.claims()["jti"].as_str().unwrap().to_owned();
    let token = world.sign(token);
    let spec = world.asked("GET", "/", &token);
    let extra = json!({ "authentication.kubernetes.io/credential-id": [format!("JTI={jti}")] });
    assert_eq!(spec["extra"], extra);
}

#[test]
fn token_that_is_signed_as_its_user_says_is_verified_first() {
    let mut world = world(&non_resource());
    let other = envoy_test::SigningKey::generate(envoy_test::KeyKind::P256);
    let forged = Token::for_service_account("kube-system", "admin")
        .issued_at(START)
        .lifetime(3600)
        .sign(&other);
    assert!(!world.get("/metrics", &forged).passes());
    assert!(world.is_quiet());
}

#[test]
fn verbs_of_paths_and_resources_follow_the_chosen_mapping() {
    let resource = json!({ "resource": { "resource": "services", "name": "x" } });
    let proxied = json!({ "nonResource": {}, "verbs": "kubeRbacProxy" });
    for (rbac, expected) in [
        (&non_resource(), ["get", "head", "post", "put", "patch", "delete", "options"]),
        (&resource, ["get", "get", "create", "update", "patch", "delete", ""]),
        (&proxied, ["get", "", "create", "update", "patch", "delete", ""]),
        (&service_proxy(), ["get", "", "create", "update", "patch", "delete", ""]),
    ] {
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
        for (method, verb) in methods.iter().zip(expected) {
            let mut world = world(rbac);
            assert_eq!(attributes(&mut world, method, "/x")["verb"], verb, "{method} {rbac}");
        }
    }
}

#[test]
fn example_of_kube_rbac_proxy_asks_about_its_service() {
    let mut world = world(&service_proxy());
    assert_eq!(
        attributes(&mut world, "GET", "/metrics"),
        json!({
            "namespace": "default", "verb": "get", "version": "v1", "resource": "services",
            "subresource": "proxy", "name": "kube-rbac-proxy",
        })
    );
}

#[test]
fn segments_and_fixed_verb_are_used() {
    let mut world = world(&json!({ "resource": {
        "apiGroup": "example.com", "resource": { "segment": 3 }, "namespace": { "segment": 2 },
        "name": { "segment": 4 }, "verb": "use",
    } }));
    assert_eq!(
        attributes(&mut world, "POST", "/ns/team-a/%73ecrets/db?ns=b"),
        json!({
            "group": "example.com", "resource": "secrets", "namespace": "team-a", "name": "db", "verb": "use",
        })
    );
    let token = world.token("api");
    assert_eq!(world.get("/ns/team-a/secrets", &token), AMBIGUOUS);
    assert_eq!(world.get("/ns/team-a/secrets/", &token), AMBIGUOUS);
}

#[test]
fn each_value_of_the_query_parameter_is_asked_and_all_must_be_allowed() {
    let rewrite = json!({ "resource": {
        "apiVersion": "v1", "resource": "namespace", "subresource": "metrics",
        "namespace": { "query": "namespace" },
    }, "verbs": "kubeRbacProxy" });
    let mut world = world(&rewrite);
    let token = world.token("api");
    let path = "/metrics?namespace=a&x=1&namespace=b&namespace=a";
    let mut request = world.held("GET", path, &token);
    let calls = world.core.calls();
    let namespaces: Vec<_> = calls
        .iter()
        .map(|call| super::spec(call)["resourceAttributes"]["namespace"].clone())
        .collect();
    assert_eq!(namespaces, ["a", "b"]);
    world.core.answer_access(&calls[0], super::allowed()).unwrap();
    assert_eq!(request.wakes(&mut world.core), super::HELD);
    world.core.answer_access(&calls[1], super::allowed()).unwrap();
    assert!(request.wakes(&mut world.core).passes());
    assert!(world.get("/metrics?namespace=b", &token).passes());
    // One no is enough.
    let mut request = world.held("GET", "/metrics?namespace=a&namespace=c", &token);
    let call = world.call();
    world.core.answer_access(&call, super::denied()).unwrap();
    assert_eq!(request.wakes(&mut world.core), super::FORBIDDEN);
    assert_eq!(world.get("/metrics?x=1", &token), AMBIGUOUS);
    assert!(world.is_quiet());
}

#[test]
fn path_prefix_precedes_the_path_of_reviews() {
    let prefix = json!({ "pathPrefix": "/k8s/clusters/c-1" });
    let mut world = world_of(&non_resource(), prefix, json!({}));
    let token = world.token("api");
    world.held("GET", "/metrics", &token);
    let path = "/k8s/clusters/c-1/apis/authorization.k8s.io/v1/subjectaccessreviews";
    assert_eq!(world.call().path, path);
}
