//! Requests with missing, duplicate or non-text parts.

use super::{Forge, MALFORMED, claims};
use crate::support::{Core, Outcome, get, inline, pairs, with};
use envoy_test::Pairs;
use sa_authn::denial::Reason;
use serde_json::json;

const AMBIGUOUS: Outcome = Outcome::Refused(Reason::AmbiguousPath);

#[test]
fn request_without_method_or_path_is_rejected() {
    let mut forge = Forge::new();
    let bearer = format!("Bearer {}", forge.sign(&forge.header(), &claims("")));
    for authorization in [bearer.as_str(), "Bearer x", "Basic x", ""] {
        for present in [
            &[(":method", "CONNECT"), (":authority", "h:443")][..],
            &[(":method", "GET")],
            &[(":path", "/")],
            &[],
        ] {
            let headers = [present, &[("authorization", authorization)]].concat();
            assert_eq!(forge.core.outcome(&pairs(&headers)), AMBIGUOUS, "{present:?}");
        }
    }
}

#[test]
fn empty_header_map_is_rejected() {
    let mut forge = Forge::new();
    assert_eq!(forge.core.request_of(Vec::new()).arrives(&mut forge.core), AMBIGUOUS);
    assert_eq!(forge.core.request_of(vec![0; 4]).arrives(&mut forge.core), AMBIGUOUS);
}

#[test]
fn duplicate_pseudo_header_makes_the_request_unreadable() {
    let mut forge = Forge::new();
    let token = forge.sign(&forge.header(), &claims(""));
    for duplicate in [(":path", "/"), (":path", "/other"), (":method", "GET"), (":method", "POST")]
    {
        let mut headers = get("/", &token);
        headers.extend(pairs(&[duplicate]));
        let denial = forge.core.denial(&headers);
        assert_eq!(denial.reason(), Reason::Internal, "{duplicate:?}");
        assert_eq!(denial.detail(), "the request's headers cannot be read");
    }
}

#[test]
fn token_with_bytes_that_are_not_text_is_malformed() {
    let mut forge = Forge::new();
    let good = forge.sign(&forge.header(), &claims(""));
    let cut = |at: usize, bytes: &[u8]| {
        [b"Bearer ", &good.as_bytes()[..at], bytes, &good.as_bytes()[at..]].concat()
    };
    for value in [
        b"Bearer \xff".to_vec(),
        b"Bearer \xff.\xfe.\xfd".to_vec(),
        b"Bearer \xc3\x28".to_vec(),
        b"Bearer \0".to_vec(),
        b"Bearer a\0b.c.d".to_vec(),
        cut(0, b"\xef\xbb\xbf"),
        cut(10, b"\xff"),
        cut(10, b"\0"),
        cut(10, b"\xe2\x80\x8b"),
        cut(good.len(), b"\0"),
        cut(good.len(), b"\r\n"),
    ] {
        assert_eq!(forge.core.outcome(&authorized(&value)), MALFORMED, "{value:?}");
    }
}

#[test]
fn scheme_must_be_bearer_and_one_space() {
    let mut forge = Forge::new();
    let good = forge.sign(&forge.header(), &claims(""));
    for scheme in
        ["Bearer", "Bearer\t", "Bearer\u{a0}", " Bearer ", "Bear\u{435}r ", "Bearer: ", "JWT "]
    {
        let value = format!("{scheme}{good}");
        let expected = Outcome::Refused(Reason::MissingToken);
        assert_eq!(forge.core.outcome(&authorized(value.as_bytes())), expected, "{scheme:?}");
    }
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR "] {
        let value = format!("{scheme}{good}");
        assert!(forge.core.outcome(&authorized(value.as_bytes())).passes(), "{scheme:?}");
    }
    for scheme in ["Bearer  ", "Bearer \t", "Bearer \"", "Bearer Bearer "] {
        let value = format!("{scheme}{good}");
        assert_eq!(forge.core.outcome(&authorized(value.as_bytes())), MALFORMED, "{scheme:?}");
    }
}

#[test]
fn empty_parts_and_dots_are_malformed() {
    let mut forge = Forge::new();
    for token in
        ["", ".", "..", "...", "....", "a", "a.", ".a", "a.b", "a..b", ".a.b", "a.b.", "a.b.c.d"]
    {
        assert_eq!(forge.core.bearer(token), MALFORMED, "{token:?}");
    }
    assert_eq!(forge.core.outcome(&authorized(b"Bearer")), MALFORMED);
}

#[test]
fn path_with_unusual_bytes_is_ambiguous_only_if_a_rule_has_paths() {
    let forge = Forge::new();
    let token = forge.sign(&forge.header(), &claims(""));
    let rules = json!({ "rules": [{ "paths": ["/*"], "allow": "authenticated" }] });
    let mut with_paths = Core::new(&with(inline(&[&forge.key]), rules));
    let mut without_rules = Core::new(&inline(&[&forge.key]));
    for path in [&b"/\xff"[..], b"", b"*", b"/a\0b", b"/a%2fb", b"/..;/", b"http://h/", b"/\x7f"] {
        let mut headers = get("/", &token);
        headers[1].1 = path.to_vec();
        assert_eq!(with_paths.outcome(&headers), AMBIGUOUS, "{path:?}");
        assert!(without_rules.outcome(&headers).passes(), "{path:?}");
    }
}

#[test]
fn unknown_method_is_rejected_only_if_a_rule_has_methods() {
    let forge = Forge::new();
    let token = forge.sign(&forge.header(), &claims(""));
    let rules = json!({ "rules": [{ "methods": ["GET"], "allow": "authenticated" }] });
    let mut core = Core::new(&with(inline(&[&forge.key]), rules));
    assert!(core.outcome(&get("/", &token)).passes());
    let mut without_rules = Core::new(&inline(&[&forge.key]));
    for (method, reason) in [
        (&b"\xff"[..], Reason::UnknownMethod),
        (b"get", Reason::UnknownMethod),
        (b"GET ", Reason::UnknownMethod),
        (b"GET\0", Reason::UnknownMethod),
        (b"GETX", Reason::UnknownMethod),
        (b"HEAD", Reason::Forbidden),
    ] {
        let mut headers = get("/", &token);
        headers[0].1 = method.to_vec();
        assert_eq!(core.outcome(&headers), Outcome::Refused(reason), "{method:?}");
        assert!(without_rules.outcome(&headers).passes(), "{method:?}: no rule has methods");
    }
}

fn authorized(value: &[u8]) -> Pairs {
    let mut headers = pairs(&[(":method", "GET"), (":path", "/")]);
    headers.push(("authorization".to_owned(), value.to_vec()));
    headers
}
