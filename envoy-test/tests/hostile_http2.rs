//! Malformed HTTP/2 frames: the filter or Envoy rejects them, and the filter does not crash.

use crate::support::{Case, Gate, Outcome, api, config, rules, with_upgrades};
use anyhow::{Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::{EnvoySetup, KeyKind, Request, SigningKey, jwks};
use serde_json::json;

type Fields = Vec<(&'static str, Vec<u8>)>;

/// The request's fields, of which `path` may be missing.
fn fields(method: &str, path: Option<&str>, more: &[(&'static str, &[u8])]) -> Fields {
    let mut fields = vec![
        (":method", method.into()),
        (":scheme", b"http".to_vec()),
        (":authority", b"a".to_vec()),
    ];
    fields.extend(path.map(|path| (":path", path.into())));
    fields.extend(more.iter().map(|(name, value)| (*name, value.to_vec())));
    fields
}

/// RFC 9113: the preface, SETTINGS, and one request in HEADERS and CONTINUATION.
fn frames(fields: &Fields, end_stream: bool) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // RFC 7541 section 6.2.2: a literal that is not indexed, with a literal name.
        block.push(0);
        for text in [name.as_bytes(), value] {
            integer(&mut block, text.len());
            block.extend(text);
        }
    }
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frames.extend(frame(4, 0, 0, &[]));
    let pieces: Vec<_> = block.chunks(16_000).collect();
    for (at, piece) in pieces.iter().enumerate() {
        let end_headers = if at + 1 == pieces.len() { 4 } else { 0 };
        let (kind, flags) = if at == 0 { (1, u8::from(end_stream)) } else { (9, 0) };
        frames.extend(frame(kind, flags | end_headers, 1, piece));
    }
    frames
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length, [kind, flags].as_slice(), &stream.to_be_bytes(), payload].concat()
}

/// RFC 7541 section 5.1, in a byte of which seven bits are free.
fn integer(block: &mut Vec<u8>, number: usize) {
    let Some(mut rest) = number.checked_sub(127) else { return block.push(number as u8) };
    block.push(127);
    while rest >= 128 {
        block.push((rest & 127) as u8 | 128);
        rest >>= 7;
    }
    block.push(rest as u8);
}

fn case(name: &'static str, fields: Fields, expected: Outcome) -> Case {
    (name, frames(&fields, true), expected)
}

fn without(left_out: &str, mut fields: Fields) -> Fields {
    fields.retain(|(name, _)| *name != left_out);
    fields
}

fn cases(token: &str) -> Vec<Case> {
    let bearer = format!("Bearer {token}");
    let with = |more: &[(&'static str, &[u8])]| {
        fields("GET", Some("/secrets/1"), &[more, &[("authorization", bearer.as_bytes())]].concat())
    };
    let path = |path: &str| fields("GET", Some(path), &[]);
    let authorization =
        |value: String| fields("GET", Some("/secrets/1"), &[("authorization", value.as_bytes())]);
    // A stream that breaks the protocol is reset; the details' second half is each codec's own.
    let reset = || Outcome::envoy(0, "http2.*");
    let ambiguous = || Outcome::refused(400, "ambiguous_path");
    let malformed = || Outcome::refused(401, "malformed_token");
    let missing = || Outcome::refused(401, "missing_token");
    vec![
        case("a good request", with(&[]), Outcome::passes()),
        case("no path", without(":path", with(&[])), reset()),
        case("no method", without(":method", with(&[])), reset()),
        case("no scheme", without(":scheme", with(&[])), reset()),
        case("no authority", without(":authority", with(&[])), reset()),
        case(
            "a host for the authority",
            without(":authority", with(&[("host", b"b")])),
            Outcome::passes(),
        ),
        case("an empty path", path(""), reset()),
        case("two paths", fields("GET", Some("/public/1"), &[(":path", b"/secrets/1")]), reset()),
        case("a path without a slash", path("public/1"), reset()),
        case("a URL as the path", path("http://a/public/1"), reset()),
        case("a path with a space", path("/public/a b"), reset()),
        case("a path with a NUL", path("/public/\0"), reset()),
        case("a path with a line end", path("/public/ HTTP/1.1\r\nx-sa-name: x"), reset()),
        case("a path beyond ASCII", path("/public/\u{fc}"), ambiguous()),
        case("an escaped slash", path("/public/a%2fb"), ambiguous()),
        case("a fragment", path("/public/a#b"), Outcome::envoy(400, "path_normalization_failed")),
        case(
            "OPTIONS *",
            fields("OPTIONS", Some("*"), &[]),
            Outcome::envoy(404, "absolute_path_rejected"),
        ),
        case("an unknown pseudo-header", with(&[(":x", b"y")]), reset()),
        case("a name in capitals", with(&[("X-SA-Name", b"admin")]), reset()),
        case("a name with a space", with(&[("x-sa-name ", b"admin")]), reset()),
        case("a name with a colon", with(&[("x-sa-name:", b"admin")]), reset()),
        case("a line end in a value", with(&[("x", b"y\r\nx-sa-name: admin")]), reset()),
        case("a NUL in a value", with(&[("x", b"\0")]), reset()),
        case("connection", with(&[("connection", b"close")]), reset()),
        case("transfer-encoding", with(&[("transfer-encoding", b"chunked")]), reset()),
        case("200 headers", with(&[("x", b"y".as_slice()); 200]), reset()),
        case("a space before the token", authorization(format!("Bearer  {token}")), malformed()),
        case("a space behind the token", authorization(format!("Bearer {token} ")), malformed()),
        case("a space before the scheme", authorization(format!(" Bearer {token}")), missing()),
        case("a line end behind the token", authorization(format!("Bearer {token}\n")), reset()),
        case(
            "the same token 90 times",
            with(&[("authorization", bearer.as_bytes()); 90]),
            Outcome::passes(),
        ),
        case(
            "the same invalid token 1,000 times",
            fields("GET", Some("/secrets/1"), &[("authorization", b"Bearer x".as_slice()); 1000]),
            malformed(),
        ),
        case("CONNECT with a path", fields("CONNECT", Some("/secrets/1"), &[]), reset()),
    ]
}

#[tokio::test]
async fn malformed_http2_frames_are_rejected_without_a_crash() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let token = api().sign(&key);
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(rules(&key));
        let setup = setup.normalize_path(false).max_request_headers_kb(8192).patch(with_upgrades);
        let gate = Gate::start(setup).await?;
        let mut cases = cases(&token);
        cases.extend(tunnels(&token));
        let failures = gate.failures(&cases).await?;
        ensure!(failures.is_empty(), "Envoy {version}:\n{}", failures.join("\n"));
        gate.check_alive(&token).await?;
    }
    Ok(())
}

/// The stream stays open, as for clients that send data.
fn tunnels(token: &str) -> Vec<Case> {
    let bearer = format!("Bearer {token}");
    let bearer: (&str, &[u8]) = ("authorization", bearer.as_bytes());
    let websocket = fields("CONNECT", Some("/secrets/1"), &[]);
    let websocket = [websocket, vec![(":protocol", b"websocket".to_vec())]].concat();
    let connect = |more: &[_]| without(":scheme", fields("CONNECT", None, more));
    let no_path = || Outcome::refused(400, "ambiguous_path");
    vec![
        ("CONNECT", frames(&connect(&[bearer]), false), no_path()),
        ("CONNECT without a token", frames(&connect(&[]), false), no_path()),
        (
            "a WebSocket without a token",
            frames(&websocket, false),
            Outcome::refused(401, "missing_token"),
        ),
    ]
}

#[tokio::test]
async fn identity_headers_that_are_not_text_are_removed() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let config = config(json!({ "inline": jwks(&[&key]) }));
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(config.clone());
        let gate = Gate::start(setup).await?;
        let forged = Request::get("/secrets/1")
            .http2()
            .header("x-sa-name", b"\xff")
            .header("x_sa_name", b"\xfe")
            .header("x-sa-name", "admin")
            .bearer(&api().sign(&key));
        assert_eq!(forged.send(gate.envoy.port()).await?.status, 200, "Envoy {version}");
        let received = gate.upstream.last().unwrap();
        let mut names: Vec<_> =
            received.headers.iter().filter(|(name, _)| name.contains("name")).collect();
        names.sort();
        let expected: [(String, Vec<u8>); 2] =
            ["x-sa-name", "x-sa-namespace"].map(|name| (name.to_owned(), b"api".to_vec()));
        assert_eq!(names, expected.iter().collect::<Vec<_>>(), "Envoy {version}");
        assert_eq!(gate.envoy.vm_failures().await?, [""; 0]);
    }
    Ok(())
}
