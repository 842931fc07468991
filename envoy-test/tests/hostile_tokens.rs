//! Large, binary, non-JSON and repeated tokens: the filter rejects each with its reason, and does not crash.

use crate::support::{Case, Gate, Outcome, api, config};
use anyhow::{Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::token::assemble;
use envoy_test::{EnvoySetup, KeyKind, Request, SigningKey, jwks};
use serde_json::{Value, json};

/// The largest request headers that Envoy accepts.
const LARGEST_KB: u32 = 8192;
const MB: usize = 1 << 20;

fn two_sources(key: &SigningKey) -> Value {
    let mut config = config(json!({ "inline": jwks(&[key]) }));
    config["tokenFrom"] =
        json!([{ "header": "authorization", "prefix": "Bearer " }, { "header": "x-client-id" }]);
    config
}

async fn check(config: Value, key: &SigningKey, cases: Vec<Case>) -> Result<()> {
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(config.clone());
        let gate = Gate::start(setup.max_request_headers_kb(LARGEST_KB)).await?;
        let failures = gate.failures(&cases).await?;
        ensure!(failures.is_empty(), "Envoy {version}:\n{}", failures.join("\n"));
        gate.check_alive(&api().sign(key)).await?;
    }
    Ok(())
}

fn request(lines: impl AsRef<[u8]>) -> Vec<u8> {
    let head = b"GET /secrets/1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
    [head, lines.as_ref(), b"\r\n"].concat()
}

fn authorization(value: impl AsRef<[u8]>) -> Vec<u8> {
    request([b"authorization: ", value.as_ref(), b"\r\n"].concat())
}

fn bearer(token: &str) -> Vec<u8> {
    authorization(format!("Bearer {token}"))
}

#[tokio::test]
async fn header_values_of_any_size_and_bytes_are_evaluated_without_a_crash() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let (good, other) =
        (api().sign(&key), envoy_test::Token::for_service_account("api", "other").sign(&key));
    let malformed = || Outcome::refused(401, "malformed_token");
    let missing = || Outcome::refused(401, "missing_token");
    let line = format!("authorization: Bearer {good}\r\n");
    let x = "authorization: Bearer x\r\n";
    let raw = |value: &[u8]| request([b"x-client-id: ", value, b"\r\n"].concat());
    let too_large = || Outcome::refused(401, "token_too_large");
    let cases: Vec<Case> = vec![
        ("a token of 1 MB", bearer(&"a".repeat(MB)), too_large()),
        ("a token of 7 MB", raw(&vec![b'.'; 7 * MB]), too_large()),
        ("a byte more than 16 KiB", bearer(&"a".repeat(16 * 1024 + 1)), too_large()),
        ("16 KiB", bearer(&"a".repeat(16 * 1024)), malformed()),
        ("9 MB", bearer(&"a".repeat(9 * MB)), Outcome::envoy(431, "http1.headers_too_large")),
        ("1 MB of another scheme", authorization("B".repeat(MB)), missing()),
        ("1 MB of commas", authorization(",".repeat(MB)), missing()),
        ("1 MB of dots", bearer(&".".repeat(16 * 1024)), malformed()),
        ("no text", authorization(b"Bearer \xff\xfe.\x80.x"), malformed()),
        ("no text in another header", raw(b"\xff\xfe.\xfd.\xfc"), malformed()),
        ("no text in the scheme", authorization(b"B\xe4rer x"), missing()),
        ("half of a character", raw("\u{20ac}".as_bytes().split_at(2).0), malformed()),
        ("a control character", raw(b"a\x01"), Outcome::envoy(400, "http1.invalid_characters")),
        ("1,000 times the same token", request(line.repeat(1000)), Outcome::passes()),
        ("the same invalid token 1,000 times", request(x.repeat(1000)), malformed()),
        (
            "1,000 tokens, of which one differs",
            request(x.repeat(999) + "authorization: Bearer y\r\n"),
            Outcome::refused(400, "conflicting_tokens"),
        ),
        (
            "the same token in two headers",
            request(format!("{line}x-client-id: {good}\r\n")),
            Outcome::passes(),
        ),
        (
            "another token in the second header",
            request(format!("{line}x-client-id: {other}\r\n")),
            Outcome::refused(400, "conflicting_tokens"),
        ),
        (
            "an identity header that is no text",
            request(format!("x-sa-name: \u{fc}\r\n{line}")),
            Outcome::passes(),
        ),
    ];
    check(two_sources(&key), &key, cases).await
}

#[tokio::test]
async fn white_space_around_a_token_is_removed_by_http_or_malformed() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let good = api().sign(&key);
    let malformed = || Outcome::refused(401, "malformed_token");
    let missing = || Outcome::refused(401, "missing_token");
    let value = |value: String| authorization(value);
    let cases: Vec<Case> = vec![
        // RFC 9112 section 5: surrounding white space is not part of a value.
        ("around the value", value(format!("  \t Bearer {good} \t ")), Outcome::passes()),
        ("a line that is folded", value(format!("Bearer\r\n {good}")), Outcome::passes()),
        ("a second space", value(format!("Bearer  {good}")), malformed()),
        ("a tab for the space", value(format!("Bearer\t{good}")), missing()),
        ("a tab behind the space", value(format!("Bearer \t{good}")), malformed()),
        ("a no-break space", value(format!("Bearer \u{a0}{good}")), malformed()),
        (
            "a form feed",
            authorization(format!("Bearer {good}\x0c")),
            Outcome::envoy(400, "http1.invalid_characters"),
        ),
        ("a word behind the token", value(format!("Bearer {good} x")), malformed()),
        (
            "a token cut in two",
            value(format!("Bearer {}", good.replacen('.', " .", 1))),
            malformed(),
        ),
        ("an empty item before it", value(format!("Bearer {good},")), Outcome::passes()),
        ("nothing behind the scheme", value("Bearer \t ".to_owned()), malformed()),
        ("nothing at all", value(" \t ".to_owned()), missing()),
    ];
    check(two_sources(&key), &key, cases).await
}

#[tokio::test]
async fn json_of_any_size_and_depth_is_evaluated_without_a_crash() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let header = json!({ "alg": key.alg(), "kid": key.kid() }).to_string();
    let claims = api().claims().to_string();
    let sign =
        |header: &str, claims: &str| bearer(&assemble(header, claims, |text| key.sign(text)));
    let with = |member: String| sign(&header, &claims.replacen('{', &format!("{{{member},"), 1));
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    let exp = |number: &str| {
        let mut token = api().without("exp").claims().to_string();
        token.insert_str(1, &format!("\"exp\":{number},"));
        sign(&header, &token)
    };
    let digits = "9".repeat(MB / 2);
    let members: String = (0..40_000).map(|at| format!("\"m{at}\":{at},")).collect();
    let malformed = || Outcome::refused(401, "malformed_token");
    let cases: Vec<Case> = vec![
        ("700 KB of members", with(members.trim_end_matches(',').to_owned()), Outcome::passes()),
        (
            "a claim of 700 KB",
            with(format!("\"m\":\"{}\"", "a".repeat(700_000))),
            Outcome::passes(),
        ),
        ("16 levels", with(format!("\"m\":{}", nested(16))), Outcome::passes()),
        ("17 levels", with(format!("\"m\":{}", nested(17))), malformed()),
        ("300,000 lists", with(format!("\"m\":{}", nested(300_000))), malformed()),
        ("100,000 objects", with(format!("\"m\":{}", objects(100_000))), malformed()),
        ("300,000 lists that never end", sign(&header, &"[".repeat(300_000)), malformed()),
        (
            "300,000 lists in the header",
            sign(&format!("{{\"alg\":\"ES256\",\"m\":{}}}", nested(300_000)), &claims),
            malformed(),
        ),
        ("an unused number", with(format!("\"m\":{digits}")), malformed()),
        ("a small unused number", with("\"m\":1e-999999".to_owned()), Outcome::passes()),
        ("a surrogate without its half", with("\"m\":\"\\ud800\"".to_owned()), malformed()),
        ("a surrogate in a name", with("\"\\udfff\":1".to_owned()), malformed()),
        ("a NUL in a name", with("\"\\u0000\":1".to_owned()), Outcome::passes()),
        ("a byte order mark", sign(&header, &format!("\u{feff}{claims}")), malformed()),
        ("no JSON", sign(&header, "\u{0}"), malformed()),
        ("an exponent in kid", sign("{\"alg\":\"ES256\",\"kid\":1e400}", &claims), malformed()),
        (
            "a kid of 700 KB",
            sign(&json!({ "alg": "ES256", "kid": "k".repeat(700_000) }).to_string(), &claims),
            Outcome::refused(401, "unknown_key"),
        ),
        (
            "an alg of 700 KB",
            sign(&json!({ "alg": "E".repeat(700_000), "kid": key.kid() }).to_string(), &claims),
            Outcome::refused(401, "unsupported_algorithm"),
        ),
        (
            "a signature of 500 KB",
            bearer(&assemble(&header, &claims, |_| vec![1; 500_000])),
            Outcome::refused(401, "bad_signature"),
        ),
        (
            "a signature of one byte",
            bearer(&assemble(&header, &claims, |_| vec![1])),
            Outcome::refused(401, "bad_signature"),
        ),
        (
            "an issuer of 700 KB",
            bearer(&api().issuer(&"i".repeat(700_000)).sign(&key)),
            Outcome::refused(401, "unknown_issuer"),
        ),
        ("the largest exp", exp("9007199254740992"), Outcome::passes()),
        ("an exp of half a megabyte", exp(&digits), malformed()),
    ];
    let mut config = two_sources(&key);
    config["limits"] = json!({ "maxTokenBytes": MB });
    check(config, &key, cases).await
}

#[tokio::test]
async fn large_token_is_rejected_over_http2() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(two_sources(&key));
        let gate = Gate::start(setup.max_request_headers_kb(LARGEST_KB)).await?;
        let refused = Request::get("/secrets/1").http2().bearer(&"a".repeat(100_000));
        let response = refused.send(gate.envoy.port()).await?;
        crate::support::check_refused(&response, 401, "token_too_large")?;
        let twice = Request::get("/secrets/1").http2().bearer("a").bearer("b");
        let response = twice.send(gate.envoy.port()).await?;
        crate::support::check_refused(&response, 400, "conflicting_tokens")?;
        let text = Request::get("/secrets/1").http2().header("x-client-id", b"\xff\xfe");
        let response = text.send(gate.envoy.port()).await?;
        crate::support::check_refused(&response, 401, "malformed_token")?;
        assert_eq!(gate.upstream.count(), 0, "Envoy {version}");
        gate.check_alive(&api().sign(&key)).await?;
    }
    Ok(())
}
