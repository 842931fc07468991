//! Additional requirements of an issuer (`maxLifetime`, `requireBound`, `matchPeer`), and tokens of foreign issuers.

use super::{World, values};
use crate::support::{Core, Outcome, get, inline, pairs};
use envoy_test::{KeyKind, SigningKey, Token, unix_now};
use sa_authn::denial::Reason;
use serde_json::{Value, json};

/// A core whose issuer has an additional requirement.
fn requiring(key: &SigningKey, name: &str, value: Value) -> Core {
    let mut config = inline(&[key]);
    config["issuers"][0][name] = value;
    Core::new(&config)
}

#[test]
fn max_lifetime_is_compared_with_exp_minus_iat() {
    let key = SigningKey::generate(KeyKind::P256);
    let mut core = requiring(&key, "maxLifetime", json!("1h"));
    let plain = || Token::for_service_account("api", "api");
    let too_long = Outcome::Refused(Reason::LifetimeTooLong);
    assert!(core.bearer(&plain().lifetime(3600).sign(&key)).passes());
    assert_eq!(core.bearer(&plain().lifetime(3601).sign(&key)), too_long);
    assert_eq!(core.bearer(&plain().lifetime(365 * 24 * 3600).sign(&key)), too_long);
    let no_iat = plain().without("iat").sign(&key);
    assert_eq!(core.bearer(&no_iat), Outcome::Refused(Reason::MissingClaim));
}

#[test]
fn extended_token_expires_at_warnafter_with_honor_warn_after() {
    let key = SigningKey::generate(KeyKind::P256);
    let year = 365 * 24 * 3600;
    let now = unix_now();
    let token = Token::for_service_account("api", "api").pod("p").lifetime(year);
    let token = token.warn_after(now + 3607).sign(&key);
    let mut config = inline(&[&key]);
    config["issuers"][0]["honorWarnAfter"] = json!(true);
    for (later, passes) in [(0, true), (3607 + 59, true), (3607 + 61, false)] {
        let mut core = Core::at(now + later, &config);
        assert_eq!(core.bearer(&token).passes(), passes, "{later} s later");
    }
    config["issuers"][0]["maxLifetime"] = json!("2h");
    assert!(Core::new(&config).bearer(&token).passes(), "its effective lifetime is one hour");
    let mut plain = Core::at(now + 7200, &inline(&[&key]));
    assert!(plain.bearer(&token).passes(), "without honorWarnAfter, exp applies");
}

#[test]
fn require_bound_rejects_tokens_without_a_pod() {
    let key = SigningKey::generate(KeyKind::P256);
    let mut core = requiring(&key, "requireBound", json!("pod"));
    let plain = || Token::for_service_account("api", "api");
    assert!(core.bearer(&plain().pod("api-1").sign(&key)).passes());
    let not_bound = Outcome::Refused(Reason::NotBound);
    for token in [plain(), plain().node("node-1"), plain().secret("s")] {
        assert_eq!(core.bearer(&token.sign(&key)), not_bound);
    }
}

#[test]
fn match_peer_rejects_tokens_of_another_workload() {
    let key = SigningKey::generate(KeyKind::P256);
    let token = Token::for_service_account("api", "api").sign(&key);
    for (requirement, peer, passes) in [
        (json!(true), "spiffe://cluster.local/ns/api/sa/api", true),
        (json!(true), "spiffe://other.example/ns/api/sa/api", true),
        (json!(true), "spiffe://cluster.local/ns/api/sa/other", false),
        (json!(true), "spiffe://cluster.local/ns/other/sa/api", false),
        (json!(true), "https://cluster.local/ns/api/sa/api", false),
        (json!(true), "", false),
        (json!({ "trustDomain": "cluster.local" }), "spiffe://cluster.local/ns/api/sa/api", true),
        (json!({ "trustDomain": "cluster.local" }), "spiffe://other.example/ns/api/sa/api", false),
        (json!(false), "spiffe://cluster.local/ns/other/sa/other", true),
        (json!(false), "", true),
    ] {
        let mut core = requiring(&key, "matchPeer", requirement.clone());
        let peer_uri = (!peer.is_empty()).then(|| peer.to_owned());
        core.connection.peer_uri = peer_uri;
        let outcome = core.bearer(&token);
        match passes {
            true => assert!(outcome.passes(), "{requirement} {peer:?}: {outcome:?}"),
            false => {
                assert_eq!(outcome, Outcome::Refused(Reason::WrongPeer), "{requirement} {peer:?}")
            }
        }
    }
}

#[test]
fn foreign_tokens_are_ignored_if_configured() {
    let ignoring = json!({ "foreignTokens": "ignore" });
    let mut world = World::new(ignoring);
    let plain = || Token::for_service_account("api", "api");
    let foreign = plain().issuer("https://login.example").sign(&world.key);
    let ours = plain().sign(&world.key);
    for token in [foreign.as_str(), "opaque", "a.b.c"] {
        let outcome = world.core.outcome(&get("/", token));
        assert_eq!(outcome, Outcome::Refused(Reason::MissingToken), "{token}");
    }
    let expired = plain().expires_at(1).sign(&world.key);
    assert_eq!(world.core.outcome(&get("/", &expired)), Outcome::Refused(Reason::Expired));
    let mut both = get("/", &foreign);
    both.extend(pairs(&[("authorization", &format!("Bearer {ours}"))]));
    let seen = world.upstream(&both);
    assert_eq!(values(&seen, "authorization"), [format!("Bearer {foreign}")]);
    assert_eq!(values(&seen, "x-sa-name"), ["api"]);
    let mut strict = World::new(json!({}));
    let foreign = plain().issuer("https://login.example").sign(&strict.key);
    assert_eq!(strict.core.bearer(&foreign), Outcome::Refused(Reason::UnknownIssuer));
}
