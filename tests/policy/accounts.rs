//! `allow` and `deny` lists: account names, wildcards and conditions.

use super::World;
use crate::support::{Core, get};
use envoy_test::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER};
use envoy_test::{KeyKind, SigningKey, Token, jwks};
use sa_authn::denial::Reason;
use serde_json::{Value, json};

#[test]
fn allow_entry_matches_only_the_named_accounts() {
    let callers = ["api/api", "api/other", "other/api", "other/other", "api/api.v2", "api-2/api"];
    for (entry, expected) in [
        ("api/api", &["api/api"][..]),
        ("api/*", &["api/api", "api/other", "api/api.v2"]),
        ("*/api", &["api/api", "other/api", "api-2/api"]),
        ("none/here", &[]),
    ] {
        for form in [json!(entry), json!({ "serviceAccount": entry })] {
            let mut world = World::new(rules(json!([form])));
            let passes =
                callers.into_iter().filter(|caller| world.judge("GET", "/", caller) == "r");
            assert_eq!(passes.collect::<Vec<_>>(), expected, "{entry}");
        }
    }
}

#[test]
fn allow_list_matches_if_any_entry_matches() {
    let mut world = World::new(rules(json!(["a/x", "a/y", "*/z", { "serviceAccount": "b/*" }])));
    for (caller, expected) in [
        ("a/x", "r"),
        ("a/y", "r"),
        ("a/z", "r"),
        ("c/z", "r"),
        ("b/anything", "r"),
        ("a/w", "forbidden"),
        ("c/x", "forbidden"),
    ] {
        assert_eq!(world.judge("GET", "/", caller), expected, "{caller}");
    }
}

#[test]
fn list_of_100_000_accounts_matches_exactly() {
    let accounts: Vec<_> = (0..100_000).map(|at| format!("ns-{}/sa-{at}", at % 100)).collect();
    let mut world = World::new(rules(json!(accounts)));
    assert_eq!(world.judge("GET", "/", "ns-42/sa-42"), "r");
    assert_eq!(world.judge("GET", "/", "ns-99/sa-99999"), "r");
    assert_eq!(world.judge("GET", "/", "ns-43/sa-42"), "forbidden");
    assert_eq!(world.judge("GET", "/", "ns-0/sa-100000"), "forbidden");
}

#[test]
fn allow_entry_with_issuer_name_matches_only_that_issuer() {
    let (east, west) = (SigningKey::generate(KeyKind::P256), SigningKey::generate(KeyKind::P256));
    for (list, expected) in [
        (json!([{ "issuerName": "east" }]), [true, false]),
        (json!([{ "issuerName": "west" }]), [false, true]),
        (json!([{ "serviceAccount": "api/api", "issuerName": "east" }]), [true, false]),
        (json!([{ "serviceAccount": "other/*", "issuerName": "east" }]), [false, false]),
        (json!([{ "serviceAccount": "api/*", "issuerName": "west" }]), [false, true]),
        (json!([{ "issuerName": "east" }, "api/api"]), [true, true]),
        (json!([{ "issuerName": "east" }, { "issuerName": "west" }]), [true, true]),
        (
            json!([
                { "serviceAccount": "api/api", "issuerName": "west" },
                { "serviceAccount": "api/*", "issuerName": "east" },
            ]),
            [true, true],
        ),
        (json!("authenticated"), [true, true]),
    ] {
        let mut core = two_clusters(&east, &west, &list);
        let mut passes = |key: &SigningKey| {
            let token = Token::for_service_account("api", "api").sign(key);
            match core.judge(&get("/", &token)).expect("a verdict").verdict {
                sa_authn::verdict::Verdict::Allow(..) => true,
                sa_authn::verdict::Verdict::Deny(denial) => {
                    assert_eq!(denial.reason(), Reason::Forbidden, "{list}");
                    false
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([passes(&east), passes(&west)], expected, "{list}");
    }
}

#[test]
fn all_conditions_of_an_allow_entry_must_match() {
    let key = SigningKey::generate(KeyKind::P256);
    let plain = || Token::for_service_account("api", "api");
    let callers = [
        plain(),
        plain().pod("api-1"),
        plain().pod("api-1").node("node-1"),
        plain().pod("api-1").node("node-2"),
        plain().audience("second"),
        plain().claim("/kubernetes.io/serviceaccount/uid", json!("recreated")),
        Token::for_service_account("other", "api").pod("api-1"),
    ];
    let uid = plain().claims()["kubernetes.io"]["serviceaccount"]["uid"].clone();
    for (entry, expected) in [
        (json!({ "namespace": "api" }), [true, true, true, true, true, true, false]),
        (json!({ "podBound": true }), [false, true, true, true, false, false, true]),
        (json!({ "node": "node-1" }), [false, false, true, false, false, false, false]),
        (json!({ "audience": "second" }), [false, false, false, false, true, false, false]),
        (json!({ "uid": uid }), [true, true, true, true, true, false, false]),
        (
            json!({ "serviceAccount": "api/*", "podBound": true, "node": "node-2" }),
            [false, false, false, true, false, false, false],
        ),
        (
            json!({ "namespace": "other", "node": "node-1" }),
            [false, false, false, false, false, false, false],
        ),
    ] {
        let issuer = json!({
            "issuer": DEFAULT_ISSUER,
            "audiences": [DEFAULT_AUDIENCE, "second"],
            "keys": { "inline": jwks(&[&key]) },
        });
        let rules = json!([{ "allow": [entry] }]);
        let mut core = Core::new(&json!({ "issuers": [issuer], "rules": rules }));
        let passes: Vec<_> =
            callers.iter().map(|token| core.bearer(&token.clone().sign(&key)).passes()).collect();
        assert_eq!(passes, expected, "{entry}");
    }
}

/// An issuer that accepts two audiences.
fn two_audiences(key: &SigningKey, rules: &Value) -> Core {
    let issuer = json!({
        "issuer": DEFAULT_ISSUER,
        "audiences": [DEFAULT_AUDIENCE, "second"],
        "keys": { "inline": jwks(&[key]) },
    });
    Core::new(&json!({ "issuers": [issuer], "rules": rules }))
}

#[test]
fn audience_condition_matches_any_configured_audience_of_the_token() {
    let key = SigningKey::generate(KeyKind::P256);
    let token = |audiences: &[&str]| {
        Token::for_service_account("api", "api").audiences(audiences.iter().copied()).sign(&key)
    };
    let tokens = [
        token(&[DEFAULT_AUDIENCE]),
        token(&["second"]),
        token(&[DEFAULT_AUDIENCE, "second"]),
        token(&["second", DEFAULT_AUDIENCE]),
        token(&["third", DEFAULT_AUDIENCE]),
    ];
    let second = json!([{ "audience": "second" }]);
    let mut allowing = two_audiences(&key, &json!([{ "allow": second }]));
    let passes: Vec<_> = tokens.iter().map(|token| allowing.bearer(token).passes()).collect();
    assert_eq!(passes, [false, true, true, true, false]);
    let mut denying = two_audiences(&key, &json!([{ "deny": second, "allow": "authenticated" }]));
    let passes: Vec<_> = tokens.iter().map(|token| denying.bearer(token).passes()).collect();
    assert_eq!(passes, [true, false, false, false, true]);
}

/// filter-config/README.md has this table.
#[test]
fn condition_on_a_missing_claim_does_not_match_in_allow_and_matches_in_deny() {
    let key = SigningKey::generate(KeyKind::P256);
    let bare = || Token::for_service_account("api", "api");
    let bound = || bare().pod("api-1").node("node-1");
    let uid = bare().claims()["kubernetes.io"]["serviceaccount"]["uid"].clone();
    // Condition; whether a bare token and a token with pod and node pass with `allow`, and with `deny`.
    for (condition, allowed, not_denied) in [
        (json!({ "serviceAccount": "api/api" }), [true, true], [false, false]),
        (json!({ "serviceAccount": "api/other" }), [false, false], [true, true]),
        (json!({ "namespace": "api" }), [true, true], [false, false]),
        (json!({ "namespace": "other" }), [false, false], [true, true]),
        (json!({ "issuerName": DEFAULT_ISSUER }), [true, true], [false, false]),
        (json!({ "audience": DEFAULT_AUDIENCE }), [true, true], [false, false]),
        (json!({ "audience": "second" }), [false, false], [true, true]),
        (json!({ "uid": uid }), [true, true], [false, false]),
        (json!({ "uid": "another" }), [false, false], [true, true]),
        // The bare token has no node.
        (json!({ "node": "node-1" }), [false, true], [false, false]),
        (json!({ "node": "node-2" }), [false, false], [false, true]),
        (json!({ "namespace": "other", "node": "node-1" }), [false, false], [true, true]),
        // `podBound` matches if the token has a pod.
        (json!({ "podBound": true }), [false, true], [true, false]),
    ] {
        let tokens = [bare().sign(&key), bound().sign(&key)];
        let mut allowing = two_audiences(&key, &json!([{ "allow": [condition] }]));
        let mut denying =
            two_audiences(&key, &json!([{ "deny": [condition], "allow": "authenticated" }]));
        let passes = |core: &mut Core| tokens.each_ref().map(|token| core.bearer(token).passes());
        assert_eq!(passes(&mut allowing), allowed, "allow {condition}");
        assert_eq!(passes(&mut denying), not_denied, "deny {condition}");
    }
}

fn rules(allow: Value) -> Value {
    json!({ "rules": [{ "name": "r", "allow": allow }] })
}

fn two_clusters(east: &SigningKey, west: &SigningKey, allow: &Value) -> Core {
    let issuer = |name: &str, key: &SigningKey| {
        json!({
            "name": name,
            "issuer": DEFAULT_ISSUER,
            "audiences": [DEFAULT_AUDIENCE],
            "keys": { "inline": jwks(&[key]) },
        })
    };
    let issuers = json!([issuer("east", east), issuer("west", west)]);
    Core::new(&json!({ "issuers": issuers, "rules": [{ "allow": allow }] }))
}
