//! Rules with `mode: shadow`: they record what they would deny, and never decide while an enforced rule does.

use super::{World, values};
use crate::support::{Core, Outcome, discovered, good, with};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::verdict::Verdict;
use serde_json::{Value, json};

/// The verdict, as [`World::judge`] names it, and the shadow rules that would have denied.
fn judged(world: &mut World, path: &str, caller: &str) -> (String, Vec<String>) {
    let request = world.request("GET", path, caller);
    let finished = world.core.judge(&request).expect("a verdict");
    let shadowed = finished.shadowed.iter().map(ToString::to_string).collect();
    (world.judge("GET", path, caller), shadowed)
}

fn check(rules: Value, rows: &[(&str, &str, &str, &[&str])]) {
    let mut world = World::new(json!({ "rules": rules }));
    for (path, caller, verdict, shadowed) in rows {
        let (found, noted) = judged(&mut world, path, caller);
        assert_eq!(found, *verdict, "{path} by {caller:?}");
        assert_eq!(noted, *shadowed, "{path} by {caller:?}");
    }
}

#[test]
fn a_shadow_rule_does_not_open_what_a_later_rule_closes() {
    let trial = json!({ "name": "trial", "paths": ["/admin/*"], "mode": "shadow",
        "allow": [{ "serviceAccount": "ops/admin", "podBound": true }] });
    let rest = json!({ "name": "rest", "paths": ["/admin/*", "/x/*"], "allow": ["ops/admin"] });
    check(
        json!([trial, rest]),
        &[
            ("/admin/x", "", "missing_token", &["trial"]),
            ("/admin/x", "expired", "expired", &["trial"]),
            ("/admin/x", "web/web", "forbidden", &["trial"]),
            ("/admin/x", "ops/admin", "rest", &["trial"]),
            ("/x/y", "ops/admin", "rest", &[]),
            ("/x/y", "", "missing_token", &[]),
        ],
    );
}

#[test]
fn a_shadow_rule_that_would_allow_does_not_allow_what_a_later_rule_denies() {
    let rules = json!([
        { "name": "open", "allow": "anyone", "mode": "shadow" },
        { "name": "out", "paths": ["/secrets/*"], "deny": ["web/*"] },
        { "name": "in", "allow": ["api/api", "web/web"] },
    ]);
    check(
        rules,
        &[
            ("/x", "", "missing_token", &[]),
            ("/x", "b/c", "forbidden", &[]),
            ("/x", "web/web", "in", &[]),
            ("/secrets/1", "web/web", "forbidden", &[]),
        ],
    );
}

#[test]
fn each_shadow_rule_before_the_deciding_rule_is_evaluated_by_itself() {
    let rules = json!([
        { "name": "one", "deny": ["web/*"], "mode": "shadow" },
        { "name": "two", "allow": ["api/*"], "mode": "shadow" },
        { "name": "three", "deny": ["api/old"], "allow": "authenticated", "mode": "shadow" },
        { "name": "in", "allow": "authenticated" },
    ]);
    check(
        rules,
        &[
            ("/", "web/x", "in", &["one", "two"]),
            ("/", "api/x", "in", &[]),
            ("/", "api/old", "in", &["three"]),
            ("/", "", "missing_token", &["one", "two", "three"]),
        ],
    );
}

#[test]
fn a_shadow_rule_behind_the_deciding_rule_is_not_evaluated() {
    let rules = json!([
        { "name": "out", "deny": ["web/*"] },
        { "name": "in", "paths": ["/x"], "allow": "authenticated" },
        { "name": "late", "allow": ["ops/*"], "mode": "shadow" },
    ]);
    check(
        rules,
        &[
            ("/x", "api/api", "in", &[]),
            // `deny` decides for these.
            ("/y", "web/x", "forbidden", &[]),
            ("/y", "", "missing_token", &[]),
            ("/y", "api/api", "shadow: forbidden", &[]),
            ("/y", "ops/x", "late", &[]),
        ],
    );
}

#[test]
fn the_last_rule_can_be_rolled_out_in_shadow() {
    let rules = json!([
        { "name": "health", "paths": ["/healthz"], "allow": "anyone" },
        { "name": "last", "allow": ["api/api"], "mode": "shadow" },
    ]);
    check(
        rules.clone(),
        &[
            ("/healthz", "", "health", &[]),
            ("/x", "api/api", "last", &[]),
            ("/x", "b/c", "shadow: forbidden", &[]),
            ("/x", "", "shadow: missing_token", &[]),
            ("/x", "expired", "shadow: expired", &[]),
        ],
    );
    let mut world = World::new(json!({ "rules": rules }));
    let sent = world.request("GET", "/x", "b/c");
    assert_eq!(world.core.judge(&sent).unwrap().rule.as_deref(), Some("last"));
    for caller in ["b/c", "api/api"] {
        let sent = world.request("GET", "/x", caller);
        let seen = world.upstream(&sent);
        assert_eq!(values(&seen, "authorization").len(), 1, "no token is removed: {caller}");
        assert_eq!(values(&seen, "x-sa-namespace"), [caller.split_once('/').unwrap().0]);
    }
}

#[test]
fn where_only_shadow_rules_cover_they_decide_in_their_order() {
    let rules = json!([
        { "name": "out", "deny": ["web/*"], "mode": "shadow" },
        { "name": "first", "allow": ["api/*"], "mode": "shadow" },
        { "name": "second", "allow": ["ops/*"], "mode": "shadow" },
    ]);
    let mut world = World::new(json!({ "rules": rules }));
    for (caller, verdict, rule) in [
        ("api/api", "first", "first"),
        ("web/web", "shadow: forbidden", "out"),
        ("ops/admin", "shadow: forbidden", "first"),
        ("", "shadow: missing_token", "out"),
    ] {
        assert_eq!(judged(&mut world, "/", caller), (verdict.to_owned(), vec![]), "{caller:?}");
        let sent = world.request("GET", "/", caller);
        let finished = world.core.judge(&sent).unwrap();
        assert_eq!(finished.rule.as_deref(), Some(rule), "{caller:?}");
        // `Allow` is by proof also here.
        assert_eq!(matches!(finished.verdict, Verdict::Allow(..)), caller == "api/api");
    }
}

#[test]
fn a_shadow_rule_that_only_denies_opens_nothing() {
    let rules = json!([
        { "name": "trial", "deny": ["web/*"], "mode": "shadow" },
        { "name": "x", "paths": ["/x"], "allow": "authenticated" },
    ]);
    check(
        rules,
        &[
            ("/x", "web/web", "x", &["trial"]),
            ("/y", "web/web", "forbidden", &["trial"]),
            ("/y", "api/api", "forbidden", &[]),
            ("/y", "", "missing_token", &["trial"]),
        ],
    );
}

/// `/x%2fy` may be `/x/y`, which the shadow rule covers, or not.
#[test]
fn an_unclear_path_is_denied_in_shadow_where_only_shadow_rules_decide() {
    let rules = json!([
        { "name": "new", "paths": ["/x/*"], "allow": ["api/api"], "mode": "shadow" },
        { "name": "last", "allow": "authenticated", "mode": "shadow" },
    ]);
    let mut world = World::new(json!({ "rules": rules }));
    for (path, verdict) in [
        ("/x%2fy", "shadow: ambiguous_path"),
        ("/a;b", "shadow: ambiguous_path"),
        ("/x/y", "new"),
        ("/y", "last"),
    ] {
        assert_eq!(judged(&mut world, path, "api/api"), (verdict.to_owned(), vec![]), "{path}");
    }
    let sent = world.request("GET", "/x%2fy", "api/api");
    assert_eq!(world.core.judge(&sent).unwrap().rule.as_deref(), Some("new"));
}

#[test]
fn a_shadow_rule_for_every_path_lets_an_unclear_path_pass() {
    let every = json!({ "name": "every", "paths": ["/*"], "allow": ["api/*"], "mode": "shadow" });
    let closed = json!({ "name": "closed", "paths": ["/admin/*"], "deny": "anyone" });
    let unclear = |rules: Value| World::new(json!({ "rules": rules })).judge("GET", "/a%2fb", "");
    assert_eq!(unclear(json!([every])), "shadow: ambiguous_path");
    assert_eq!(unclear(json!([closed, every])), "ambiguous_path", "an enforced rule decides");
    assert_eq!(unclear(json!([every, closed])), "ambiguous_path", "also behind a shadow rule");
}

/// No rule may cover what `/x%2f..%2fsecrets` really is: passing it would open every other path.
#[test]
fn an_unclear_path_that_no_shadow_rule_covers_for_certain_is_denied() {
    let new = json!({ "name": "new", "paths": ["/x/*"], "allow": "anyone", "mode": "shadow" });
    let host =
        json!({ "name": "host", "hosts": ["a.example"], "allow": "anyone", "mode": "shadow" });
    let port = json!({ "name": "port", "ports": [1], "allow": "anyone", "mode": "shadow" });
    for rules in [json!([new]), json!([new, port])] {
        let mut world = World::new(json!({ "rules": rules }));
        assert_eq!(world.judge("GET", "/x/y", "api/api"), "new");
        assert_eq!(world.judge("GET", "/secrets", "api/api"), "forbidden");
        assert_eq!(world.judge("GET", "/x%2f..%2fsecrets", "api/api"), "ambiguous_path");
    }
    let mut world = World::new(json!({ "rules": [host] }));
    let with_host = |world: &mut World, host: &str| {
        let mut sent = world.request("GET", "/", "api/api");
        sent.push((":authority".to_owned(), host.as_bytes().to_vec()));
        world.core.outcome(&sent)
    };
    assert!(with_host(&mut world, "a.example").passes());
    let ambiguous = Outcome::Refused(sa_authn::verdict::Reason::AmbiguousPath);
    assert_eq!(with_host(&mut world, "a.example,b.example"), ambiguous);
}

#[test]
fn a_shadow_rule_denies_no_unclear_path_that_an_enforced_rule_allows() {
    let rest = json!({ "name": "rest", "allow": "authenticated" });
    for trial in [
        json!({ "name": "trial", "mode": "shadow", "paths": ["/x/*"], "deny": "anyone" }),
        json!({ "name": "trial", "mode": "shadow", "paths": ["/x/*"], "allow": "anyone" }),
    ] {
        check(
            json!([trial, rest]),
            &[
                ("/a;b", "api/api", "rest", &["trial"]),
                ("/x%2fy", "api/api", "rest", &["trial"]),
                ("/x%2fy", "", "missing_token", &["trial"]),
                ("/a", "api/api", "rest", &[]),
            ],
        );
    }
}

#[test]
fn a_shadow_rule_does_not_make_a_later_rule_unreachable() {
    let rules = json!([
        { "name": "trial", "allow": ["api/*"], "mode": "shadow" },
        { "name": "second trial", "deny": "anyone", "mode": "shadow" },
        { "name": "in", "allow": ["api/*"] },
    ]);
    check(rules, &[("/", "api/api", "in", &["second trial"])]);
}

#[test]
fn no_request_waits_for_keys_for_a_shadow_rule_alone() {
    let token = good().sign(&SigningKey::generate(KeyKind::P256));
    let shadow = |rule: Value| with(rule, json!({ "name": "trial", "mode": "shadow" }));
    let (deny, allow) = (json!({ "deny": ["batch/*"] }), json!({ "allow": ["api/api"] }));
    let open = json!({ "name": "open", "allow": "anyone" });
    let known = json!({ "name": "known", "allow": "authenticated" });
    for trial in [shadow(deny.clone()), shadow(allow.clone())] {
        let mut core = Core::new(&with(discovered(), json!({ "rules": [trial, open] })));
        assert!(core.bearer(&token).passes(), "{trial}");
        let mut core = Core::new(&with(discovered(), json!({ "rules": [trial, known] })));
        assert_eq!(core.bearer(&token), Outcome::Held, "{trial}");
    }
    let mut core = Core::new(&with(discovered(), json!({ "rules": [shadow(allow)] })));
    assert!(matches!(core.bearer(&token), Outcome::Shadowed(..)));
    let out = json!({ "name": "out", "deny": ["web/*"] });
    let last = json!({ "name": "last", "mode": "shadow", "allow": ["api/api"] });
    let mut core = Core::new(&with(discovered(), json!({ "rules": [out, last] })));
    assert_eq!(core.bearer(&token), Outcome::Held, "an enforced `deny` needs the caller");
}

#[test]
fn a_method_that_only_a_shadow_rule_names_stays_unknown_to_enforced_rules() {
    let read = json!({ "name": "read", "methods": ["GET"], "allow": ["api/api"] });
    let rest = json!({ "name": "rest", "allow": "anyone" });
    let purge =
        json!({ "name": "purge", "methods": ["PURGE"], "allow": ["ops/admin"], "mode": "shadow" });
    let verdict = |rules: Value, method: &str, caller: &str| {
        let mut world = World::new(json!({ "rules": rules }));
        let request = world.request(method, "/", caller);
        let finished = world.core.judge(&request).expect("a verdict");
        let shadowed: Vec<_> = finished.shadowed.iter().map(ToString::to_string).collect();
        (world.judge(method, "/", caller), shadowed)
    };
    for rules in [json!([read, rest]), json!([purge, read, rest]), json!([read, purge, rest])] {
        let (found, _) = verdict(rules.clone(), "PURGE", "ops/admin");
        assert_eq!(found, "unknown_method", "{rules}");
    }
    // The shadow rule itself knows the method.
    let (found, shadowed) = verdict(json!([purge, rest]), "PURGE", "ops/admin");
    assert_eq!((found.as_str(), shadowed), ("rest", vec![]));
    let (found, shadowed) = verdict(json!([purge, rest]), "PURGE", "web/web");
    assert_eq!((found.as_str(), shadowed), ("rest", vec!["purge".to_owned()]));
    assert_eq!(verdict(json!([purge]), "PURGE", "ops/admin").0, "purge");
}
