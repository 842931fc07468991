//! Rules that look at where a request came in, and for which host; and CORS preflights.

use super::World;
use crate::support::pairs;
use sa_authn::authz::rule::Direction;
use serde_json::json;

#[test]
fn a_rule_may_look_at_the_host() {
    let mut world = World::new(json!({ "rules": [
        { "name": "api", "hosts": ["api.example"], "allow": "anyone" },
        { "name": "below", "hosts": ["*.example", "*.internal"], "paths": ["/x"], "allow": "anyone" },
    ] }));
    for (host, path, expected) in [
        ("api.example", "/y", "api"),
        ("API.EXAMPLE", "/y", "api"),
        ("api.example:8443", "/y", "api"),
        ("api.example.", "/y", "api"),
        ("b.example", "/x", "below"),
        ("a.b.example", "/x", "below"),
        ("a.internal:80", "/x", "below"),
        ("example", "/x", "missing_token"),
        ("internal", "/x", "missing_token"),
        ("xexample", "/x", "missing_token"),
        ("b.example", "/y", "missing_token"),
        ("api.example.attacker.net", "/y", "missing_token"),
        ("api.example,b.example", "/x", "ambiguous_path"),
        ("user@api.example", "/y", "ambiguous_path"),
        ("", "/y", "ambiguous_path"),
    ] {
        let mut sent = world.request("GET", path, "");
        sent.extend(pairs(&[(":authority", host)]));
        assert_eq!(judge(&mut world, &sent), expected, "{host} {path}");
    }
    let without = world.request("GET", "/x", "");
    assert_eq!(judge(&mut world, &without), "ambiguous_path");
}

/// An upstream that cuts the first colon, or every final dot, off would see the host that is denied.
#[test]
fn no_spelling_of_a_host_skips_the_rule_that_denies_it() {
    let mut world = World::new(json!({ "rules": [
        { "name": "admin", "hosts": ["admin.example"], "deny": "anyone" },
        { "name": "rest", "allow": "anyone" },
    ] }));
    for (host, expected) in [
        ("admin.example", "forbidden"),
        ("ADMIN.example.:443", "forbidden"),
        ("other.example", "rest"),
        ("[2001:db8::1]:443", "rest"),
        ("admin.example:80:80", "ambiguous_path"),
        ("admin.example:80:", "ambiguous_path"),
        ("admin.example..", "ambiguous_path"),
        ("admin.example.:80.", "ambiguous_path"),
        ("[admin.example]", "ambiguous_path"),
        ("admin..example", "ambiguous_path"),
        (".admin.example", "ambiguous_path"),
        ("admin.example:x", "ambiguous_path"),
    ] {
        let mut sent = world.request("GET", "/", "");
        sent.extend(pairs(&[(":authority", host)]));
        assert_eq!(judge(&mut world, &sent), expected, "{host}");
    }
}

#[test]
fn a_host_is_ambiguous_only_where_some_rule_looks_at_hosts() {
    let mut world = World::new(json!({ "rules": [{ "name": "r", "allow": "anyone" }] }));
    let mut sent = world.request("GET", "/", "");
    sent.extend(pairs(&[(":authority", "a,b")]));
    assert_eq!(judge(&mut world, &sent), "r");
}

#[test]
fn a_rule_may_look_at_port_and_direction() {
    let mut world = World::new(json!({ "rules": [
        { "name": "metrics", "ports": [9090, 9091], "allow": "anyone" },
        { "name": "out", "direction": "outbound", "allow": "anyone" },
        { "name": "rest", "allow": ["ops/admin"] },
    ] }));
    let (inbound, outbound) = (Some(Direction::Inbound), Some(Direction::Outbound));
    for (port, direction, expected) in [
        (Some(9090), inbound, "metrics"),
        (Some(9091), None, "metrics"),
        (Some(8080), outbound, "out"),
        (Some(8080), inbound, "missing_token"),
        (None, None, "missing_token"),
    ] {
        (world.core.connection.port, world.core.connection.direction) = (port, direction);
        assert_eq!(world.judge("GET", "/", ""), expected, "{port:?} {direction:?}");
    }
}

#[test]
fn a_preflight_is_known_by_all_of_its_marks() {
    let mut world = World::new(json!({ "rules": [
        { "name": "cors", "corsPreflight": true, "allow": "anyone" },
        { "name": "rest", "allow": "authenticated" },
    ] }));
    let (origin, wants) = (("origin", "https://ui"), ("access-control-request-method", "PUT"));
    for (method, marks, expected) in [
        ("OPTIONS", &[origin, wants][..], "cors"),
        ("OPTIONS", &[origin], "missing_token"),
        ("OPTIONS", &[wants], "missing_token"),
        ("OPTIONS", &[], "missing_token"),
        ("GET", &[origin, wants], "missing_token"),
        ("options", &[origin, wants], "missing_token"),
    ] {
        let mut sent = world.request(method, "/", "");
        sent.extend(pairs(marks));
        assert_eq!(judge(&mut world, &sent), expected, "{method} {marks:?}");
    }
}

fn judge(world: &mut World, sent: &envoy_test::Pairs) -> String {
    use sa_authn::verdict::Verdict;
    let finished = world.core.judge(sent).expect("a verdict");
    match finished.verdict {
        Verdict::Allow(..) => finished.rule.as_deref().unwrap_or("-").to_owned(),
        Verdict::Deny(denial) => denial.reason().code().to_owned(),
        shadow @ Verdict::Shadow(..) => format!("{shadow:?}"),
    }
}
