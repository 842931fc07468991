//! What a caller cannot change in the question.

use super::{AMBIGUOUS, HELD, non_resource, spec, world, world_with};
use crate::support::{Outcome, pairs};
use sa_authn::denial::Reason;
use serde_json::json;

#[test]
fn headers_of_a_caller_do_not_change_what_is_asked() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    let (plain, key) = (world.asked("GET", "/secrets/db", &token), world.key.clone());
    for (name, value) in [
        ("impersonate-user", "system:admin"),
        ("impersonate-group", "system:masters"),
        ("impersonate-uid", "1"),
        ("impersonate-extra-scopes", "all"),
        ("x-remote-user", "system:admin"),
        ("x-remote-group", "system:masters"),
        ("x-remote-extra-a", "b"),
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x-original-url", "/public"),
        ("x-rewrite-url", "/public"),
        ("x-envoy-original-path", "/public"),
        ("x-forwarded-uri", "/public"),
    ] {
        let mut world = world_with(&key, &non_resource());
        let bearer = format!("Bearer {token}");
        let request = pairs(&[
            (":method", "GET"),
            (":path", "/secrets/db"),
            ("authorization", &bearer),
            (name, value),
        ]);
        assert_eq!(world.core.outcome(&request), HELD, "{name}");
        assert_eq!(spec(&world.call()), plain, "{name}");
    }
}

#[test]
fn path_that_upstreams_read_differently_asks_nothing() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    for path in [
        "/a/../b",
        "/a/./b",
        "/a/%2e%2e/b",
        "/a%2fb",
        "//a",
        "/a;b",
        "/a\\b",
        "/%252e%252e/a",
        "/a%00",
        "/a#b",
        "a",
        "*",
    ] {
        assert_eq!(world.get(path, &token), Outcome::Refused(Reason::AmbiguousPath), "{path}");
    }
    let long = format!("/{}", "a".repeat(2048));
    assert_eq!(world.get(&long, &token), AMBIGUOUS);
    assert!(world.is_quiet());
}

#[test]
fn every_spelling_of_a_path_asks_about_its_normal_form() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    for path in ["/secrets/db", "/secrets/db?x=/public", "/%73ecrets/d%62?x=/public"] {
        assert_eq!(world.get(path, &token), HELD, "{path}");
    }
    assert_eq!(spec(&world.call())["nonResourceAttributes"]["path"], "/secrets/db");
}

#[test]
fn method_that_servers_read_differently_asks_nothing() {
    let mut world = world(&non_resource());
    let token = world.token("api");
    for method in ["get", "Get", "GETX", "FROB", "DELETE "] {
        let outcome = world.outcome(method, "/metrics", &token);
        assert_eq!(outcome, Outcome::Refused(Reason::UnknownMethod), "{method}");
    }
    assert!(world.is_quiet());
}

#[test]
fn name_from_a_segment_with_tricky_encodings_is_its_normal_form_or_asks_nothing() {
    let rbac = json!({ "resource": { "resource": "secrets", "namespace": { "segment": 2 }, "name": { "segment": 4 } } });
    let mut world = world(&rbac);
    let token = world.token("api");
    for path in [
        "/ns/a/secrets/%2a",
        "/ns/a/secrets/*",
        "/ns/a/secrets/",
        "/ns/a/secrets",
        "/ns/a/secrets/b%20",
        "/ns/a/secrets/%ef%bc%8e",
        "/ns/a/secrets/a,b",
        "/ns/a/secrets/a%25",
        "/ns/a/secrets/...",
        "/ns/a/secrets/a=b",
        "/ns/a/secrets/a&name=b",
    ] {
        assert_eq!(world.get(path, &token), AMBIGUOUS, "{path}");
    }
    for path in [
        "/ns/a/secrets/b%2fc",
        "/ns/a//secrets/b",
        "/ns/a/secrets/b;c",
        "/ns/a/secrets/%252e",
        "/ns/a/secrets/..",
        "/ns/x/../a/secrets/b",
    ] {
        assert_eq!(world.get(path, &token), Outcome::Refused(Reason::AmbiguousPath), "{path}");
    }
    assert!(world.is_quiet());
    for path in ["/ns/%61/secrets/%62", "/ns/a/secrets/b?name=c&namespace=d"] {
        assert_eq!(world.get(path, &token), HELD, "{path}");
    }
    let attributes = &spec(&world.call())["resourceAttributes"];
    assert_eq!((&attributes["namespace"], &attributes["name"]), (&json!("a"), &json!("b")));
}

#[test]
fn query_parameter_in_two_readings_asks_nothing() {
    let mut world = world(
        &json!({ "resource": { "resource": "pods", "namespace": { "query": "namespace" } } }),
    );
    let token = world.token("api");
    for query in [
        "",
        "?namespace",
        "?namespace=",
        "?namespace=a&Namespace=b",
        "?namespace=a&namespace[]=b",
        "?namespace=a;namespace=b",
        "?namespace=a%2526namespace=b",
        "?namespace=a%26namespace%3db",
        "?namespace=../kube-system",
        "?namespace=%00",
    ] {
        assert_eq!(world.get(&format!("/x{query}"), &token), AMBIGUOUS, "{query}");
    }
    assert!(world.is_quiet());
}
