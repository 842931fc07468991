//! Errors in `tokenFrom`, `identityHeaders`, `filterState` and `answers`.

use super::{Row, check, set, without};
use serde_json::json;

const CHARACTERS: &str = "must contain only letters, digits and `-`";
const NAME: &str = "must be a header name of 1 to 64 characters";
const PSEUDO: &str = "must not be a pseudo-header";

#[test]
fn token_header_names_must_be_valid() {
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
        ("authorization", "duplicate header \"authorization\""),
        ("Authorization", "duplicate header \"authorization\""),
    ] {
        rows.push((set("/tokenFrom/1/header", json!(name)), vec![("tokenFrom[1].header", piece)]));
    }
    check(rows);
}

#[test]
fn prefix_must_be_a_scheme_and_one_space() {
    let prefixes =
        ["", " ", "Bearer", "Bearer  ", " Bearer ", "A B ", "Bearer\t", "B\u{e9}arer ", "a,b "];
    let row = |prefix: &str| -> Row {
        let path = "tokenFrom[0].prefix";
        (
            set("/tokenFrom/0/prefix", json!(prefix)),
            vec![(path, "must be a scheme followed by one space")],
        )
    };
    check(prefixes.map(row).into());
}

#[test]
fn reserved_token_headers_are_rejected() {
    for name in ["cookie", "host", "Content-Type", "x-request-id", "x-envoy-peer", "origin"] {
        let other = vec![("tokenFrom[1].header", "is reserved by HTTP or Envoy")];
        check(vec![(set("/tokenFrom/1/header", json!(name)), other)]);
    }
}

#[test]
fn foreign_tokens_must_be_refuse_or_ignore() {
    let unknown = vec![("foreignTokens", "expected `refuse` or `ignore`")];
    check(vec![(set("/foreignTokens", json!("drop")), unknown)]);
}

#[test]
fn filter_state_fields_must_be_known_and_unique() {
    let at = |names: &[&str]| set("/filterState", json!(names));
    check(vec![
        (
            at(&["subject", "email"]),
            vec![("filterState[1]", "\"email\": expected one of subject, namespace")],
        ),
        (at(&["name", "name"]), vec![("filterState[1]", "duplicate field \"name\"")]),
        (set("/filterState", json!("subject")), vec![("filterState", "expected a list")]),
        (at(&[]), vec![]),
        (at(&["subject", "pod.name", "payload"]), vec![]),
    ]);
}

#[test]
fn realm_must_not_need_escapes() {
    for realm in ["a\"b", "a\\b", "a\nb", "z\u{fc}rich"] {
        let fault = vec![("answers.realm", "must be printable ASCII")];
        check(vec![(set("/answers", json!({ "realm": realm })), fault)]);
    }
    check(vec![
        (set("/answers", json!({ "realm": "secret store", "hideReason": true })), vec![]),
        (set("/answers", json!({ "hidden": true })), vec![("answers.hidden", "unknown field")]),
        (set("/answers", json!(["x", true])), vec![("answers", "invalid type: list")]),
    ]);
}

#[test]
fn reserved_identity_headers_are_rejected() {
    let reserved = "this header is reserved by HTTP or Envoy";
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
        named(name, reserved);
    }
    // A header that tokenFrom does not use.
    let config = super::put(without("/tokenFrom"), "/tokenFrom", json!([{ "header": "x-token" }]));
    let config = super::put(config, "/identityHeaders", json!({ "authorization": "name" }));
    check(vec![(config, vec![("identityHeaders.authorization", reserved)])]);
    named("x-client-id", "this header is also in tokenFrom");
    named("X-Client-Id", "this header is also in tokenFrom");
    for (name, piece) in
        [("x_sa_name", CHARACTERS), ("", NAME), (":path", PSEUDO), ("a b", CHARACTERS)]
    {
        named(name, piece);
    }
}

#[test]
fn identity_header_names_are_unique_regardless_of_case() {
    let config = set("/identityHeaders", json!({ "X-SA-Name": "name", "x-sa-name": "subject" }));
    check(vec![(config, vec![("identityHeaders.x-sa-name", "duplicate header \"x-sa-name\"")])]);
}

#[test]
fn identity_header_values_must_be_known_fields() {
    for field in ["", "Name", "email", "pod", "pod.namespace", "groups", "serviceaccount.name"] {
        let config = set("/identityHeaders", json!({ "x-a": field }));
        let expected = "expected one of subject, namespace, name, uid, pod.name";
        check(vec![(config, vec![("identityHeaders.x-a", expected)])]);
    }
}

fn named(name: &str, piece: &str) {
    let config = set("/identityHeaders", json!({ name: "name" }));
    super::check_text(&config.to_string(), &[(&format!("identityHeaders.{name}"), piece)]);
}
