//! Tokens of other issuers are foreign, whatever else they hold.

use super::World;
use crate::support::{Outcome, get, pairs, with};
use envoy_test::Token;
use sa_authn::denial::Reason;
use serde_json::json;

/// A user's token of Entra ID, whose header always has `x5t`. The signature is a placeholder.
const ENTRA: &str = "eyJ0eXAiOiAiSldUIiwgImFsZyI6ICJSUzI1NiIsICJ4NXQiOiAiQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBIiwgImtpZCI6ICJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUEifQ.eyJhdWQiOiAiYXBpOi8vMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwIiwgImlzcyI6ICJodHRwczovL3N0cy53aW5kb3dzLm5ldC8wMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAvIiwgImV4cCI6IDE3OTU3ODM4MDAsICJzdWIiOiAic29tZW9uZSJ9.c2lnbmF0dXJl";

/// A change of a token, with its name.
type Change = (&'static str, fn(Token) -> Token);

/// Changes that the filter accepts in no token of a configured issuer.
fn changes() -> Vec<Change> {
    vec![
        ("x5t", |token| token.header("x5t", json!("AAAA"))),
        ("x5c", |token| token.header("x5c", json!(["AAAA"]))),
        ("jku", |token| token.header("jku", json!("https://login.example/keys"))),
        ("crit", |token| token.header("crit", json!(["x"]))),
        ("typ", |token| token.header("typ", json!("at+jwt"))),
        ("kid", |token| token.header("kid", json!(5))),
        ("no alg", |token| token.header("alg", json!(null))),
        ("exp", |token| token.claim("exp", json!(1_795_783_800.5))),
        ("aud", |token| token.claim("aud", json!({ "a": 1 }))),
    ]
}

fn token(change: fn(Token) -> Token, iss: &str, world: &World) -> String {
    change(Token::for_service_account("api", "api").issuer(iss)).sign(&world.key)
}

#[test]
fn token_of_another_issuer_is_foreign_whatever_it_holds() {
    let mut world = World::new(json!({}));
    let mut tokens = vec![("Entra ID", ENTRA.to_owned())];
    tokens.extend(
        changes()
            .into_iter()
            .map(|(name, change)| (name, token(change, "https://login.example", &world))),
    );
    for (name, token) in tokens {
        let denial = world.core.denial(&get("/", &token));
        assert_eq!(denial.reason(), Reason::UnknownIssuer, "{name}: {}", denial.detail());
        assert!(denial.detail().starts_with("iss \"https://"), "{name}: {}", denial.detail());
    }
}

#[test]
fn token_of_a_configured_issuer_with_the_same_change_is_malformed() {
    for ignoring in [false, true] {
        let more = if ignoring { json!({ "foreignTokens": "ignore" }) } else { json!({}) };
        let mut world = World::new(more);
        for (name, change) in changes() {
            let token = token(change, envoy_test::token::DEFAULT_ISSUER, &world);
            let outcome = world.core.bearer(&token);
            assert_eq!(outcome, Outcome::Refused(Reason::MalformedToken), "{name} {ignoring}");
        }
    }
}

#[test]
fn foreign_tokens_with_strange_headers_are_ignored_if_configured() {
    let rules = json!({
        "foreignTokens": "ignore",
        "rules": [{ "allow": "anyone" }],
    });
    let mut world = World::new(rules);
    let mut tokens = vec![ENTRA.to_owned()];
    tokens.extend(
        changes().into_iter().map(|(_, change)| token(change, "https://login.example", &world)),
    );
    for token in tokens {
        let sent = get("/", &token);
        assert_eq!(world.upstream(&sent), sent, "forwarded unchanged");
    }
}

#[test]
fn what_is_not_a_jwt_is_malformed() {
    let mut world = World::new(json!({}));
    let [header, claims, signature] =
        ENTRA.split('.').collect::<Vec<_>>().try_into().expect("three parts");
    for token in [
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{signature}="),
        format!("{header}=.{claims}.{signature}"),
        format!("AAAA.{claims}.{signature}"),
        format!("{header}.AAAA.{signature}"),
        format!("{header}.e30.{signature}"),
        // {"iss":1}
        format!("{header}.eyJpc3MiOjF9.{signature}"),
        // {"iss":"a","iss":"b"}
        format!("{header}.eyJpc3MiOiJhIiwiaXNzIjoiYiJ9.{signature}"),
    ] {
        let outcome = world.core.outcome(&get("/", &token));
        assert_eq!(outcome, Outcome::Refused(Reason::MalformedToken), "{token}");
    }
}

/// The upstream might use the token that the filter did not check.
#[test]
fn malformed_token_of_a_configured_issuer_conflicts_with_another_token() {
    let sources = json!({
        "foreignTokens": "ignore",
        "tokenFrom": [{ "header": "authorization", "prefix": "Bearer " }, { "header": "x-client-id" }],
    });
    let mut world = World::new(with(json!({}), sources));
    let ours = token(
        |token| token.header("x5t", json!("AAAA")),
        envoy_test::token::DEFAULT_ISSUER,
        &world,
    );
    let good = Token::for_service_account("api", "api").sign(&world.key);
    let mut sent = get("/", &good);
    sent.extend(pairs(&[("x-client-id", &ours)]));
    assert_eq!(world.core.outcome(&sent), Outcome::Refused(Reason::ConflictingTokens));
}
