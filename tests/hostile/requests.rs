//! Requests that lack something, or hold bytes that are no text.

use super::{Forge, MALFORMED, claims};
use crate::support::{Core, Outcome, get, inline, pairs, with};
use envoy_test::Pairs;
use sa_authn::verdict::Reason;
use serde_json::json;

const AMBIGUOUS: Outcome = Outcome::Refused(Reason::AmbiguousPath);

#[test]
fn a_request_without_method_or_path_is_refused_with_any_token_and_with_none() {
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
fn an_empty_header_map_is_refused() {
    let mut forge = Forge::new();
    assert_eq!(forge.core.request_of(Vec::new()).arrives(&mut forge.core), AMBIGUOUS);
    assert_eq!(forge.core.request_of(vec![0; 4]).arrives(&mut forge.core), AMBIGUOUS);
}

#[test]
fn a_pseudo_header_that_stands_twice_makes_the_request_unreadable() {
    let mut forge = Forge::new();
    let token = forge.sign(&forge.header(), &claims(""));
    for twice in [(":path", "/"), (":path", "/other"), (":method", "GET"), (":method", "POST")] {
        let mut headers = get("/", &token);
        headers.extend(pairs(&[twice]));
        let denial = forge.core.denial(&headers);
        assert_eq!(denial.reason(), Reason::Internal, "{twice:?}");
        assert_eq!(denial.detail(), "the request's headers cannot be read");
    }
}

#[test]
fn bytes_that_are_no_text_make_a_malformed_token() {
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
fn a_scheme_that_is_not_quite_bearer_is_no_token() {
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
fn a_path_of_strange_bytes_is_ambiguous_only_where_a_rule_looks_at_paths() {
    let forge = Forge::new();
    let token = forge.sign(&forge.header(), &claims(""));
    let rules = json!({ "rules": [{ "paths": ["/*"], "allow": "authenticated" }] });
    let mut looking = Core::new(&with(inline(&[&forge.key]), rules));
    let mut blind = Core::new(&inline(&[&forge.key]));
    for path in [&b"/\xff"[..], b"", b"*", b"/a\0b", b"/a%2fb", b"/..;/", b"http://h/", b"/\x7f"] {
        let mut headers = get("/", &token);
        headers[1].1 = path.to_vec();
        assert_eq!(looking.outcome(&headers), AMBIGUOUS, "{path:?}");
        assert!(blind.outcome(&headers).passes(), "{path:?}");
    }
}

#[test]
fn a_method_that_neither_an_rfc_nor_a_rule_names_is_unknown_to_a_rule_that_looks_at_methods() {
    let forge = Forge::new();
    let token = forge.sign(&forge.header(), &claims(""));
    let rules = json!({ "rules": [{ "methods": ["GET"], "allow": "authenticated" }] });
    let mut core = Core::new(&with(inline(&[&forge.key]), rules));
    assert!(core.outcome(&get("/", &token)).passes());
    let mut blind = Core::new(&inline(&[&forge.key]));
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
        assert!(blind.outcome(&headers).passes(), "{method:?}: no rule looks at methods");
    }
}

fn authorized(value: &[u8]) -> Pairs {
    let mut headers = pairs(&[(":method", "GET"), (":path", "/")]);
    headers.push(("authorization".to_owned(), value.to_vec()));
    headers
}
