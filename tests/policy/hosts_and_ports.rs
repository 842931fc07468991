//! Rules with hosts, ports, direction and CORS preflights.

use super::World;
use crate::support::pairs;
use sa_authn::connection::Direction;
use serde_json::json;

#[test]
fn rule_with_hosts_matches_host_and_port() {
    let mut world = World::new(json!({ "rules": [
        { "name": "api", "hosts": ["api.example"], "allow": "anyone" },
        { "name": "below", "hosts": ["*.example", "*.internal:*"], "paths": ["/x"], "allow": "anyone" },
        { "name": "port", "hosts": ["port.test:8080", "[::1]:8080"], "allow": "anyone" },
    ] }));
    for (host, path, expected) in [
        ("api.example", "/y", "api"),
        ("API.EXAMPLE", "/y", "api"),
        ("api.example:8443", "/y", "missing_token"),
        ("api.example:8443", "/x", "missing_token"),
        ("api.example.", "/y", "ambiguous_path"),
        ("api.example:", "/y", "ambiguous_path"),
        ("api.example:0", "/y", "ambiguous_path"),
        ("api.example:0443", "/y", "ambiguous_path"),
        ("api.example:65536", "/y", "ambiguous_path"),
        ("b.example", "/x", "below"),
        ("a.b.example", "/x", "below"),
        ("a.internal:80", "/x", "below"),
        ("a.internal", "/x", "below"),
        ("a.internal.:80", "/x", "ambiguous_path"),
        ("port.test:8080", "/y", "port"),
        ("PORT.test:8080", "/y", "port"),
        ("port.test:8081", "/y", "missing_token"),
        ("port.test", "/y", "missing_token"),
        ("[::1]:8080", "/y", "port"),
        ("[0::1]:8080", "/y", "ambiguous_path"),
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

/// An upstream that ignores the port, or removes everything after the first colon or every final dot, would see the
/// denied host.
#[test]
fn alternative_spellings_of_a_host_do_not_bypass_its_deny_rule() {
    let mut world = World::new(json!({ "rules": [
        { "name": "admin", "hosts": ["admin.example:*"], "deny": "anyone" },
        { "name": "rest", "allow": "anyone" },
    ] }));
    for (host, expected) in [
        ("admin.example", "forbidden"),
        ("ADMIN.example:443", "forbidden"),
        ("admin.example.", "ambiguous_path"),
        ("ADMIN.example.:443", "ambiguous_path"),
        ("admin.example:", "ambiguous_path"),
        ("admin.example:00443", "ambiguous_path"),
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
fn host_and_port_match_correctly_in_10_000_rules() {
    let rules: Vec<_> = (1..10_000_u16)
        .map(|at| json!({ "name": format!("r{at}"), "hosts": [format!("h.example:{at}"), format!("*.h{at}.example:*")], "allow": "anyone" }))
        .collect();
    let mut world = World::new(json!({ "rules": rules }));
    for (host, expected) in [
        ("h.example:1", "r1"),
        ("h.example:9999", "r9999"),
        ("h.example:10000", "missing_token"),
        ("h.example", "missing_token"),
        ("a.h5000.example", "r5000"),
        ("a.h5000.example:3", "r5000"),
        ("h5000.example:3", "missing_token"),
    ] {
        let mut sent = world.request("GET", "/", "");
        sent.extend(pairs(&[(":authority", host)]));
        assert_eq!(judge(&mut world, &sent), expected, "{host}");
    }
}

#[test]
fn invalid_host_is_ambiguous_only_if_a_rule_has_hosts() {
    let mut world = World::new(json!({ "rules": [{ "name": "r", "allow": "anyone" }] }));
    let mut sent = world.request("GET", "/", "");
    sent.extend(pairs(&[(":authority", "a,b")]));
    assert_eq!(judge(&mut world, &sent), "r");
}

#[test]
fn rule_matches_port_and_direction() {
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
fn cors_preflight_requires_options_origin_and_requested_method() {
    let mut world = World::new(json!({ "rules": [
        { "name": "cors", "corsPreflight": true, "allow": "anyone" },
        { "name": "rest", "allow": "authenticated" },
    ] }));
    let (origin, wants) = (("origin", "https://ui"), ("access-control-request-method", "PUT"));
    for (method, headers, expected) in [
        ("OPTIONS", &[origin, wants][..], "cors"),
        ("OPTIONS", &[origin], "missing_token"),
        ("OPTIONS", &[wants], "missing_token"),
        ("OPTIONS", &[], "missing_token"),
        ("GET", &[origin, wants], "missing_token"),
        // A preflight to an upstream that compares methods without regard to case.
        ("options", &[origin, wants], "unknown_method"),
    ] {
        let mut sent = world.request(method, "/", "");
        sent.extend(pairs(headers));
        assert_eq!(judge(&mut world, &sent), expected, "{method} {headers:?}");
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
