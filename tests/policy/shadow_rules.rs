//! Rules with `mode: shadow` record what they would deny, and do not decide if an enforced rule does.

use super::{World, values};
use crate::support::{Core, Outcome, discovered, good, with};
use envoy_test::{KeyKind, SigningKey};
use sa_authn::verdict::Verdict;
use serde_json::{Value, json};

/// The verdict, as [`World::judge`] names it, and the shadow rules that would have denied.
fn judged(world: &mut World, path: &str, caller: &str) -> (String, Vec<String>) {
    let request = world.request("GET", path, caller);
    let finished = world.core.judge(&request).expect("a verdict");
    let shadowed = finished.shadow_denied_by.iter().map(ToString::to_string).collect();
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
fn shadow_rule_does_not_bypass_a_later_rule() {
    let draft = json!({ "name": "draft", "paths": ["/admin/*"], "mode": "shadow",
        "allow": [{ "serviceAccount": "ops/admin", "podBound": true }] });
    let rest = json!({ "name": "rest", "paths": ["/admin/*", "/x/*"], "allow": ["ops/admin"] });
    check(
        json!([draft, rest]),
        &[
            ("/admin/x", "", "missing_token", &["draft"]),
            ("/admin/x", "expired", "expired", &["draft"]),
            ("/admin/x", "web/web", "forbidden", &["draft"]),
            ("/admin/x", "ops/admin", "rest", &["draft"]),
            ("/x/y", "ops/admin", "rest", &[]),
            ("/x/y", "", "missing_token", &[]),
        ],
    );
}

#[test]
fn shadow_allow_does_not_override_a_later_deny() {
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
fn shadow_rules_before_the_deciding_rule_are_evaluated_separately() {
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
fn shadow_rules_after_the_deciding_rule_are_not_evaluated() {
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
fn last_rule_in_shadow_mode_passes_every_request_it_matches() {
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
fn shadow_rules_decide_in_order_if_no_enforced_rule_matches() {
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
        // `Allow` requires an authenticated caller here too.
        assert_eq!(matches!(finished.verdict, Verdict::Allow(..)), caller == "api/api");
    }
}

#[test]
fn shadow_rule_with_only_deny_allows_no_request() {
    let rules = json!([
        { "name": "draft", "deny": ["web/*"], "mode": "shadow" },
        { "name": "x", "paths": ["/x"], "allow": "authenticated" },
    ]);
    check(
        rules,
        &[
            ("/x", "web/web", "x", &["draft"]),
            ("/y", "web/web", "forbidden", &["draft"]),
            ("/y", "api/api", "forbidden", &[]),
            ("/y", "", "missing_token", &["draft"]),
        ],
    );
}

/// `/x%2fy` may be `/x/y`, which the shadow rule covers, or not.
#[test]
fn ambiguous_path_is_shadow_denied_if_only_shadow_rules_decide() {
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
fn shadow_rule_for_every_path_passes_an_ambiguous_path() {
    let every = json!({ "name": "every", "paths": ["/*"], "allow": ["api/*"], "mode": "shadow" });
    let closed = json!({ "name": "closed", "paths": ["/admin/*"], "deny": "anyone" });
    let unclear = |rules: Value| World::new(json!({ "rules": rules })).judge("GET", "/a%2fb", "");
    assert_eq!(unclear(json!([every])), "shadow: ambiguous_path");
    assert_eq!(unclear(json!([closed, every])), "ambiguous_path", "an enforced rule decides");
    assert_eq!(unclear(json!([every, closed])), "ambiguous_path", "also after a shadow rule");
}

/// `/x%2f..%2fsecrets` may be a path that no rule matches: passing it would open every other path.
#[test]
fn ambiguous_path_is_denied_unless_a_shadow_rule_certainly_matches() {
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
    let ambiguous = Outcome::Refused(sa_authn::denial::Reason::AmbiguousPath);
    assert_eq!(with_host(&mut world, "a.example,b.example"), ambiguous);
}

#[test]
fn shadow_rule_does_not_deny_an_ambiguous_path_that_an_enforced_rule_allows() {
    let rest = json!({ "name": "rest", "allow": "authenticated" });
    for draft in [
        json!({ "name": "draft", "mode": "shadow", "paths": ["/x/*"], "deny": "anyone" }),
        json!({ "name": "draft", "mode": "shadow", "paths": ["/x/*"], "allow": "anyone" }),
    ] {
        check(
            json!([draft, rest]),
            &[
                ("/a;b", "api/api", "rest", &["draft"]),
                ("/x%2fy", "api/api", "rest", &["draft"]),
                ("/x%2fy", "", "missing_token", &["draft"]),
                ("/a", "api/api", "rest", &[]),
            ],
        );
    }
}

#[test]
fn shadow_rule_does_not_make_a_later_rule_unreachable() {
    let rules = json!([
        { "name": "draft", "allow": ["api/*"], "mode": "shadow" },
        { "name": "second draft", "deny": "anyone", "mode": "shadow" },
        { "name": "in", "allow": ["api/*"] },
    ]);
    check(rules, &[("/", "api/api", "in", &["second draft"])]);
}

#[test]
fn request_is_not_paused_for_keys_only_a_shadow_rule_needs() {
    let token = good().sign(&SigningKey::generate(KeyKind::P256));
    let shadow = |rule: Value| with(rule, json!({ "name": "draft", "mode": "shadow" }));
    let (deny, allow) = (json!({ "deny": ["batch/*"] }), json!({ "allow": ["api/api"] }));
    let open = json!({ "name": "open", "allow": "anyone" });
    let known = json!({ "name": "known", "allow": "authenticated" });
    for draft in [shadow(deny.clone()), shadow(allow.clone())] {
        let mut core = Core::new(&with(discovered(), json!({ "rules": [draft, open] })));
        assert!(core.bearer(&token).passes(), "{draft}");
        let mut core = Core::new(&with(discovered(), json!({ "rules": [draft, known] })));
        assert_eq!(core.bearer(&token), Outcome::Held, "{draft}");
    }
    let mut core = Core::new(&with(discovered(), json!({ "rules": [shadow(allow)] })));
    assert!(matches!(core.bearer(&token), Outcome::Shadowed(..)));
    let out = json!({ "name": "out", "deny": ["web/*"] });
    let last = json!({ "name": "last", "mode": "shadow", "allow": ["api/api"] });
    let mut core = Core::new(&with(discovered(), json!({ "rules": [out, last] })));
    assert_eq!(core.bearer(&token), Outcome::Held, "an enforced `deny` needs the caller");
}

#[test]
fn method_named_only_by_a_shadow_rule_is_unknown_to_enforced_rules() {
    let read = json!({ "name": "read", "methods": ["GET"], "allow": ["api/api"] });
    let rest = json!({ "name": "rest", "allow": "anyone" });
    let purge =
        json!({ "name": "purge", "methods": ["PURGE"], "allow": ["ops/admin"], "mode": "shadow" });
    let verdict = |rules: Value, method: &str, caller: &str| {
        let mut world = World::new(json!({ "rules": rules }));
        let request = world.request(method, "/", caller);
        let finished = world.core.judge(&request).expect("a verdict");
        let shadowed: Vec<_> = finished.shadow_denied_by.iter().map(ToString::to_string).collect();
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
