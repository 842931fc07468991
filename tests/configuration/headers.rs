//! Mistakes in `tokenFrom` and `identityHeaders`.

use super::{Row, check, set, without};
use serde_json::json;

const CHARACTERS: &str = "must be letters, digits and dashes";
const NAME: &str = "must be a header's name";
const PSEUDO: &str = "is a pseudo-header";

#[test]
fn a_token_comes_from_a_header_with_a_proper_name() {
    let long = "x".repeat(65);
    let mut rows = vec![
        (set("/tokenFrom", json!([])), vec![("tokenFrom", "must not be empty")]),
        (without("/tokenFrom/1/header"), vec![("tokenFrom[1].header", NAME)]),
    ];
    for (name, piece) in [
        ("", NAME),
        (long.as_str(), NAME),
        (":path", PSEUDO),
        (":authority", PSEUDO),
        ("x_client_id", CHARACTERS),
        ("x client", CHARACTERS),
        ("x-client:", CHARACTERS),
        ("x-cli\u{e9}nt", CHARACTERS),
        ("x\0", CHARACTERS),
        ("authorization", "stands in tokenFrom twice"),
        ("Authorization", "stands in tokenFrom twice"),
    ] {
        rows.push((set("/tokenFrom/1/header", json!(name)), vec![("tokenFrom[1].header", piece)]));
    }
    check(rows);
}

#[test]
fn a_prefix_is_a_scheme_and_one_space() {
    let prefixes =
        ["", " ", "Bearer", "Bearer  ", " Bearer ", "A B ", "Bearer\t", "B\u{e9}arer ", "a,b "];
    let row = |prefix: &str| -> Row {
        let path = "tokenFrom[0].prefix";
        (set("/tokenFrom/0/prefix", json!(prefix)), vec![(path, "must be a scheme and one space")])
    };
    check(prefixes.map(row).into());
}

#[test]
fn a_token_does_not_come_from_a_header_that_means_something_else() {
    for name in ["cookie", "host", "Content-Type", "x-request-id", "x-envoy-peer", "origin"] {
        let other = vec![("tokenFrom[1].header", "use this header for other things")];
        check(vec![(set("/tokenFrom/1/header", json!(name)), other)]);
    }
}

#[test]
fn what_is_done_about_foreign_tokens_is_one_of_two_words() {
    let unknown = vec![("foreignTokens", "expected `refuse` or `ignore`")];
    check(vec![(set("/foreignTokens", json!("drop")), unknown)]);
}

#[test]
fn filter_state_holds_known_fields_once() {
    let at = |names: &[&str]| set("/filterState", json!(names));
    check(vec![
        (at(&["subject", "email"]), vec![("filterState[1]", "is none of subject, namespace")]),
        (at(&["name", "name"]), vec![("filterState[1]", "stands in filterState twice")]),
        (set("/filterState", json!("subject")), vec![("filterState", "expected a sequence")]),
        (at(&[]), vec![]),
        (at(&["subject", "pod.name", "payload"]), vec![]),
    ]);
}

#[test]
fn a_realm_is_text_that_needs_no_escapes() {
    for realm in ["a\"b", "a\\b", "a\nb", "z\u{fc}rich"] {
        let fault = vec![("answers.realm", "must be printable ASCII")];
        check(vec![(set("/answers", json!({ "realm": realm })), fault)]);
    }
    check(vec![
        (set("/answers", json!({ "realm": "secret store", "hideReason": true })), vec![]),
        (set("/answers", json!({ "hidden": true })), vec![("answers.hidden", "unknown field")]),
        (set("/answers", json!(["x", true])), vec![("answers", "invalid type: sequence")]),
    ]);
}

#[test]
fn an_identity_header_means_nothing_else() {
    let other_meaning = "this header another meaning";
    for name in [
        "host",
        "Host",
        "connection",
        "content-length",
        "content-type",
        "cookie",
        "te",
        "upgrade",
        "transfer-encoding",
        "via",
        "x-forwarded-for",
        "proxy-authorization",
        "forwarded",
        "trailer",
    ] {
        named(name, other_meaning);
    }
    // Without tokenFrom reading it.
    let config = super::put(without("/tokenFrom"), "/tokenFrom", json!([{ "header": "x-token" }]));
    let config = super::put(config, "/identityHeaders", json!({ "authorization": "name" }));
    check(vec![(config, vec![("identityHeaders.authorization", other_meaning)])]);
    named("x-client-id", "tokenFrom reads the token from this header");
    named("X-Client-Id", "tokenFrom reads the token from this header");
    for (name, piece) in
        [("x_sa_name", CHARACTERS), ("", NAME), (":path", PSEUDO), ("a b", CHARACTERS)]
    {
        named(name, piece);
    }
}

#[test]
fn an_identity_header_stands_once_in_whatever_case() {
    let config = set("/identityHeaders", json!({ "X-SA-Name": "name", "x-sa-name": "subject" }));
    check(vec![(config, vec![("identityHeaders.x-sa-name", "stands in identityHeaders twice")])]);
}

#[test]
fn an_identity_header_says_something_that_is_known() {
    for field in ["", "Name", "email", "pod", "pod.namespace", "groups", "serviceaccount.name"] {
        let config = set("/identityHeaders", json!({ "x-a": field }));
        let is_none = "is none of subject, namespace, name, uid, pod.name";
        check(vec![(config, vec![("identityHeaders.x-a", is_none)])]);
    }
}

fn named(name: &str, piece: &str) {
    let config = set("/identityHeaders", json!({ name: "name" }));
    super::check_text(&config.to_string(), &[(&format!("identityHeaders.{name}"), piece)]);
}
