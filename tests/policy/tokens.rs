//! Token sources, and removal of tokens from the request.

use super::{World, values};
use crate::support::{Outcome, pairs, with};
use envoy_test::{Pairs, Token};
use sa_authn::denial::Reason;
use serde_json::{Value, json};

#[test]
fn token_is_read_only_from_configured_headers() {
    let mut world = World::new(sources());
    let token = token(&world);
    for (name, value, found) in [
        ("authorization", format!("Bearer {token}"), true),
        ("authorization", format!("bearer {token}"), true),
        ("authorization", token.clone(), false),
        ("x-client-id", token.clone(), true),
        ("x-token", format!("Token {token}"), true),
        ("x-token", format!("TOKEN {token}"), true),
        ("x-token", format!("Bearer {token}"), false),
        ("x_client_id", token.clone(), false),
        ("cookie", format!("token={token}"), false),
        ("x-other", token.clone(), false),
    ] {
        let outcome = world.core.outcome(&request(&[(name, &value)]));
        match found {
            true => assert!(outcome.passes(), "{name}: {outcome:?}"),
            false => assert_eq!(outcome, Outcome::Refused(Reason::MissingToken), "{name}"),
        }
    }
    let outcome = world.core.outcome(&request(&[("x-client-id", &format!("Bearer {token}"))]));
    assert_eq!(outcome, Outcome::Refused(Reason::MalformedToken), "the whole value is the token");
}

#[test]
fn token_is_removed_from_every_configured_header() {
    let mut world = World::new(sources());
    let token = token(&world);
    let bearer = format!("Bearer {token}");
    for (sent, left) in [
        (vec![("authorization", bearer.clone())], vec![]),
        (vec![("x-client-id", token.clone())], vec![]),
        (
            vec![
                ("authorization", bearer.clone()),
                ("x-client-id", token.clone()),
                ("x-token", format!("Token {token}")),
            ],
            vec![],
        ),
        (vec![("authorization", bearer.clone()), ("authorization", bearer.clone())], vec![]),
        (vec![("authorization", format!("{bearer},{bearer}"))], vec![]),
        (vec![("x-client-id", format!("{token},{token}"))], vec![]),
        (vec![("x-client-id", token.clone()), ("x-client-id", token.clone())], vec![]),
        (vec![("x-client-id", token.clone()), ("x-client-id", String::new())], vec![]),
    ] {
        assert_eq!(left_of(&mut world, &sent), left, "{sent:?}");
    }
}

#[test]
fn other_credentials_are_forwarded_unchanged() {
    let mut world = World::new(sources());
    let token = token(&world);
    let bearer = format!("Bearer {token}");
    for (sent, left) in [
        (
            vec![("authorization", "Basic YTpi".to_owned()), ("x-client-id", token.clone())],
            vec![("authorization", "Basic YTpi")],
        ),
        (
            vec![("authorization", format!("Basic YTpi,{bearer}"))],
            vec![("authorization", "Basic YTpi")],
        ),
        (
            vec![("authorization", format!("{bearer}, Basic YTpi, Digest x"))],
            vec![("authorization", "Basic YTpi, Digest x")],
        ),
        (
            vec![("authorization", "Basic YTpi".to_owned()), ("authorization", bearer.clone())],
            vec![("authorization", "Basic YTpi")],
        ),
        (
            vec![
                ("authorization", "Basic YTpi".to_owned()),
                ("authorization", bearer.clone()),
                ("authorization", "Digest x".to_owned()),
            ],
            vec![("authorization", "Basic YTpi, Digest x")],
        ),
        (
            vec![("authorization", bearer.clone()), ("cookie", format!("t={token}"))],
            vec![("cookie", "cookie")],
        ),
        (
            vec![("authorization", bearer.clone()), ("x-token", "Bearer of news".to_owned())],
            vec![("x-token", "Bearer of news")],
        ),
    ] {
        let cookie = format!("t={token}");
        let left: Vec<_> = left
            .into_iter()
            .map(|(name, value)| (name, if value == "cookie" { cookie.as_str() } else { value }))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(left_of(&mut world, &sent), left, "{sent:?}");
    }
}

#[test]
fn forward_token_keeps_the_token_in_every_header() {
    let mut world = World::new(with(sources(), json!({ "forwardToken": true })));
    let token = token(&world);
    let sent =
        [("authorization", format!("Bearer {token}, Basic x")), ("x-client-id", token.clone())];
    let left: Vec<_> = sent.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    assert_eq!(left_of(&mut world, &sent), left);
}

#[test]
fn open_path_removes_invalid_tokens_of_configured_issuers_and_keeps_foreign_tokens() {
    let mut world = World::new(json!({ "rules": [{ "allow": "anyone" }] }));
    let foreign = world.key.clone();
    let ours = |token: Token| token.sign(&foreign);
    let plain = || Token::for_service_account("api", "api");
    let good = ours(plain());
    for (token, stays) in [
        (good.clone(), false),
        (ours(plain().expires_at(1)), false),
        (ours(plain().audience("other")), false),
        (format!("{}AAAA", &good[..good.len() - 4]), false),
        (ours(plain().header("kid", json!("x"))), false),
        (ours(Token::legacy_secret("api", "api", "s")), false),
        (ours(plain().issuer("https://login.example")), true),
        (ours(plain().without("iss")), true),
        ("not-a-jwt".to_owned(), true),
    ] {
        let bearer = format!("Bearer {token}");
        let left = left_of(&mut world, &[("authorization", bearer.clone())]);
        assert_eq!(!left.is_empty(), stays, "{token}");
    }
}

/// The filter parses every JWT, so their number must be limited.
#[test]
fn header_with_more_than_16_jwts_is_removed() {
    let mut world = World::new(with(sources(), json!({ "rules": [{ "allow": "anyone" }] })));
    let foreign = Token::for_service_account("api", "api").issuer("https://login.example");
    let foreign = format!("Token {}", foreign.sign(&world.key));
    for (count, stays) in [(1, true), (16, true), (17, false), (300, false)] {
        let sent = [("authorization", vec![foreign.as_str(); count].join(", "))];
        let left = left_of(&mut world, &sent);
        let expected: Vec<_> = sent.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        assert_eq!(left, if stays { expected } else { Vec::new() }, "{count}");
    }
    // The limit applies to each header separately.
    let many = vec![foreign.as_str(); 17].join(", ");
    let sent = [("authorization", many), ("x-token", "Basic x".to_owned())];
    assert_eq!(left_of(&mut world, &sent), [("x-token".to_owned(), "Basic x".to_owned())]);
}

#[test]
fn token_without_the_configured_prefix_is_not_accepted() {
    let mut world = World::new(sources());
    let token = token(&world);
    for value in [format!("Bearer\t{token}"), format!("\"{token}\""), format!("bearer={token}")] {
        let outcome = world.core.outcome(&request(&[("authorization", &value)]));
        assert_eq!(outcome, Outcome::Refused(Reason::MissingToken), "{value}");
    }
    let outcome = world.core.outcome(&request(&[("authorization", &format!("Bearer  {token}"))]));
    assert_eq!(outcome, Outcome::Refused(Reason::MalformedToken));
}

#[test]
fn token_in_another_form_is_removed_together_with_the_accepted_token() {
    let mut world = World::new(sources());
    let (token, other) = (token(&world), token(&world));
    let bearer = format!("Bearer {token}");
    for (sent, left) in [
        (
            vec![("authorization", format!("{bearer}, Basic YTpi, Custom \"{other}\""))],
            vec!["Basic YTpi"],
        ),
        (vec![("authorization", bearer.clone()), ("x-token", format!("Bearer {token}"))], vec![]),
        (vec![("authorization", bearer.clone()), ("x-token", format!("Custom {other}"))], vec![]),
        (
            vec![("authorization", bearer.clone()), ("x-token", "Custom a.b.c".to_owned())],
            vec!["Custom a.b.c"],
        ),
    ] {
        let seen = left_of(&mut world, &sent);
        let seen: Vec<_> = seen.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(seen, left, "{sent:?}");
    }
}

#[test]
fn oversized_token_is_removed_on_open_paths() {
    let more = json!({ "rules": [{ "allow": "anyone" }], "limits": { "maxTokenBytes": 256 } });
    let mut world = World::new(with(sources(), more));
    let sent = [("authorization", format!("Bearer {}", token(&world)))];
    assert_eq!(left_of(&mut world, &sent), []);
}

#[test]
fn forward_token_and_shadow_mode_keep_tokens_in_every_form() {
    for more in [
        json!({ "rules": [{ "allow": "anyone" }], "forwardToken": true }),
        json!({ "rules": [{ "allow": "anyone" }], "mode": "shadow" }),
    ] {
        let mut world = World::new(with(sources(), more));
        let sent = [("authorization", format!("Token {}", token(&world)))];
        assert_eq!(left_of(&mut world, &sent).len(), 1);
    }
}

#[test]
fn different_tokens_in_several_headers_conflict() {
    let mut world = World::new(sources());
    let (one, two) = (token(&world), token(&world));
    let conflict = Outcome::Refused(Reason::ConflictingTokens);
    for sent in [
        vec![("authorization", format!("Bearer {one}")), ("x-client-id", two.clone())],
        vec![("authorization", format!("Bearer {one}")), ("x-client-id", "x".to_owned())],
        vec![("authorization", format!("Bearer {one},Bearer {two}"))],
        vec![("x-client-id", one.clone()), ("x-client-id", two.clone())],
        vec![("x-client-id", one.clone()), ("x-token", format!("Token {two}"))],
        vec![("authorization", "Bearer".to_owned()), ("x-client-id", one.clone())],
    ] {
        assert_eq!(world.core.outcome(&request(&borrowed(&sent))), conflict, "{sent:?}");
    }
}

#[test]
fn authorization_header_is_ignored_if_not_in_token_from() {
    let mut world = World::new(json!({ "tokenFrom": [{ "header": "x-client-id" }] }));
    let (one, two) = (token(&world), token(&world));
    let sent = [("authorization", format!("Bearer {two}")), ("x-client-id", one)];
    let left = left_of(&mut world, &sent);
    assert_eq!(left, [("authorization".to_owned(), format!("Bearer {two}"))]);
}

fn sources() -> Value {
    json!({ "tokenFrom": [
        { "header": "authorization", "prefix": "Bearer " },
        { "header": "x-client-id" },
        { "header": "x-token", "prefix": "Token " },
    ] })
}

fn token(world: &World) -> String {
    Token::for_service_account("api", "api").sign(&world.key)
}

fn borrowed<'h>(headers: &'h [(&'h str, String)]) -> Vec<(&'h str, &'h str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn request(headers: &[(&str, &str)]) -> Pairs {
    pairs(&[&[(":method", "GET"), (":path", "/")], headers].concat())
}

/// The headers that reach the upstream.
fn left_of(world: &mut World, sent: &[(&str, String)]) -> Vec<(String, String)> {
    let seen = world.upstream(&request(&borrowed(sent)));
    assert_eq!(values(&seen, ":path"), ["/"]);
    let left =
        seen.into_iter().filter(|(name, _)| !name.starts_with(':') && !name.starts_with("x-sa-"));
    left.map(|(name, value)| (name, String::from_utf8(value).unwrap())).collect()
}
