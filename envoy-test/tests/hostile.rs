//! Malformed HTTP/1 requests as raw bytes: the filter or Envoy rejects them, and the filter does not crash.

use crate::support::{Case, Gate, Outcome, api, get, rules, with_upgrades};
use anyhow::Result;
use envoy_test::envoy::versions;
use envoy_test::{EnvoySetup, KeyKind, SigningKey, Upstream, poll};

/// An HTTP/1.1 request with a Host and further lines, then a body.
fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("{line}\r\nhost: a\r\nconnection: close\r\n{headers}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn malformed_http1_requests_are_rejected_without_a_crash() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let token = api().sign(&key);
    let bearer = format!("authorization: Bearer {token}\r\n");
    let mut failures = Vec::new();
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(rules(&key));
        let gate = Gate::start(setup.normalize_path(false).patch(with_upgrades)).await?;
        for cases in [targets(&bearer), methods(&bearer), framing(&bearer), headers(&bearer)] {
            let found = gate.failures(&cases).await?;
            failures.extend(found.into_iter().map(|failure| format!("Envoy {version}: {failure}")));
        }
        gate.check_alive(&token).await?;
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

fn targets(bearer: &str) -> Vec<Case> {
    let line = |target: &str| format!("GET {target} HTTP/1.1");
    let with = |target: &str| request(&line(target), bearer, "");
    let without = |target: &str| request(&line(target), "", "");
    vec![
        ("a good request", with("/secrets/1"), Outcome::passes()),
        ("no path", with(""), Outcome::envoy(400, "http1.codec_error")),
        ("an absolute form", with("http://b/secrets/1"), Outcome::passes()),
        (
            "an absolute form without a token",
            without("http://b/secrets/1"),
            Outcome::refused(401, "missing_token"),
        ),
        ("an absolute form of an open path", without("http://b/public/1"), Outcome::passes()),
        ("an absolute form without a path", with("http://b"), Outcome::refused(403, "forbidden")),
        (
            "an absolute form of another scheme",
            without("ftp://b/public/1"),
            Outcome::envoy(400, "http1.invalid_scheme"),
        ),
        ("an authority for a path", with("b:80"), Outcome::envoy(400, "http1.codec_error")),
        ("a fragment", without("/public/1#a"), Outcome::envoy(400, "path_normalization_failed")),
        ("a path with a space", without("/public/a b"), Outcome::envoy(400, "http1.codec_error")),
    ]
}

fn methods(bearer: &str) -> Vec<Case> {
    let to = |method: &str, target: &str, headers: &str| {
        request(&format!("{method} {target} HTTP/1.1"), headers, "")
    };
    let codec_error = || Outcome::envoy(400, "http1.codec_error");
    let no_path = || Outcome::refused(400, "ambiguous_path");
    vec![
        ("CONNECT", to("CONNECT", "b:443", bearer), no_path()),
        ("CONNECT without a token", to("CONNECT", "b:443", ""), no_path()),
        (
            "CONNECT with a path",
            to("CONNECT", "/secrets/1", bearer),
            Outcome::envoy(400, "http1.invalid_url"),
        ),
        ("OPTIONS *", to("OPTIONS", "*", bearer), Outcome::envoy(404, "absolute_path_rejected")),
        ("TRACE", to("TRACE", "/secrets/1", bearer), Outcome::passes()),
        (
            "TRACE without a token",
            to("TRACE", "/secrets/1", ""),
            Outcome::refused(401, "missing_token"),
        ),
        ("a method in small letters", to("get", "/secrets/1", bearer), codec_error()),
        ("an unknown method", to("FROB", "/secrets/1", bearer), codec_error()),
        ("a method of 5,000 letters", to(&"A".repeat(5000), "/secrets/1", bearer), codec_error()),
        ("HTTP/0.9", b"GET /secrets/1\r\n\r\n".to_vec(), Outcome::envoy(426, "low_version")),
        (
            "HTTP/1.0",
            format!("GET /secrets/1 HTTP/1.0\r\nhost: a\r\n{bearer}\r\n").into_bytes(),
            Outcome::envoy(426, "low_version"),
        ),
        ("a TLS handshake", vec![0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0], codec_error()),
    ]
}

fn framing(bearer: &str) -> Vec<Case> {
    let post = |headers: &str, body: &str| request("POST /secrets/1 HTTP/1.1", headers, body);
    let with = |headers: &str, body: &str| post(&format!("{headers}\r\n{bearer}"), body);
    let expect = "expect: 100-continue\r\ncontent-length: 5";
    let chunked = "transfer-encoding: chunked";
    let missing = || Outcome::refused(401, "missing_token");
    let trailer = format!("5\r\nhello\r\n0\r\n{bearer}\r\n");
    let websocket = "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    let h2c = "upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n";
    vec![
        ("expect 100-continue", with(expect, "hello"), Outcome::passes()),
        ("expect 100-continue without a token", post(&format!("{expect}\r\n"), ""), missing()),
        (
            "chunks and trailers",
            with(chunked, "5\r\nhello\r\n0\r\nx: y\r\n\r\n"),
            Outcome::passes(),
        ),
        ("a token in the trailers", post(&format!("{chunked}\r\n"), &trailer), missing()),
        (
            "chunks and a length",
            with("transfer-encoding: chunked\r\ncontent-length: 5", "5\r\nhello\r\n0\r\n\r\n"),
            Outcome::envoy(400, "http1.content_length_and_chunked_not_allowed"),
        ),
        (
            "two lengths",
            with("content-length: 6\r\ncontent-length: 5", "hello"),
            Outcome::envoy(400, "http1.codec_error"),
        ),
        // The upstream receives the request, and answers without an upgrade.
        (
            "a WebSocket",
            with(websocket, ""),
            Outcome { reached: 1, ..Outcome::envoy(200, "websocket_handshake_unsuccessful") },
        ),
        ("a WebSocket without a token", post(&format!("{websocket}\r\n"), ""), missing()),
        ("an upgrade to h2c without a token", post(h2c, ""), missing()),
    ]
}

fn headers(bearer: &str) -> Vec<Case> {
    let get = |headers: &str| request("GET /secrets/1 HTTP/1.1", headers, "");
    let with = |headers: &str| get(&format!("{headers}\r\n{bearer}"));
    let many: String = (0..200).map(|at| format!("x-{at}: y\r\n")).collect();
    let no_host = format!("GET /secrets/1 HTTP/1.1\r\nconnection: close\r\n{bearer}\r\n");
    vec![
        ("two hosts", with("host: b"), Outcome::passes()),
        ("no host", no_host.into_bytes(), Outcome::envoy(400, "missing_host_header")),
        ("200 headers", get(&many), Outcome::envoy(431, "http1.too_many_headers")),
        ("a NUL in a value", with("x-a: a\0b"), Outcome::envoy(400, "http1.invalid_characters")),
        ("a folded line", with("x-a: a\r\n b"), Outcome::passes()),
        (
            "a space before the colon",
            with("x-sa-name : admin"),
            Outcome::envoy(400, "http1.codec_error"),
        ),
    ]
}

#[tokio::test]
async fn smuggled_identity_headers_are_removed() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let token = api().sign(&key);
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(rules(&key));
        let gate = Gate::start(setup).await?;
        for forged in [
            "X-SA-Name: admin\r\n",
            "x_sa_name: admin\r\nX_Sa-NAME: admin\r\n",
            "x-a: a\nx-sa-name: admin\r\n",
            "x-a: a\rx-sa-name: admin\r\n",
            "x-a: a\r\n\tx-sa-name: admin\r\n",
            "x-sa-name:\r\n admin\r\n",
            "connection: x-sa-name\r\nx-sa-name: admin\r\n",
            "te: trailers\r\ntrailer: x-sa-name\r\nx-sa-name: admin\r\n",
        ] {
            let open = gate.http1(&request("GET /public/1 HTTP/1.1", forged, "")).await?;
            assert_eq!(open, Outcome::passes(), "{forged:?}");
            assert_eq!(identities(&gate.upstream), [""; 0], "{forged:?} in Envoy {version}");
            let named = format!("{forged}authorization: Bearer {token}\r\n");
            let named = gate.http1(&request("GET /secrets/1 HTTP/1.1", &named, "")).await?;
            assert_eq!(named, Outcome::passes(), "{forged:?}");
            let expected = ["x-sa-name: api", "x-sa-namespace: api"];
            assert_eq!(identities(&gate.upstream), expected, "{forged:?} in Envoy {version}");
        }
        gate.check_alive(&token).await?;
    }
    Ok(())
}

/// The headers of the last request that the upstream could treat as an identity.
fn identities(upstream: &Upstream) -> Vec<String> {
    let received = upstream.last().unwrap();
    let mut found: Vec<_> = received
        .headers
        .iter()
        .chain(&received.trailers)
        .filter(|(name, _)| name.replace('_', "-").starts_with("x-sa-"))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn pipelined_requests_are_evaluated_separately() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let token = api().sign(&key);
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(rules(&key));
        let gate = Gate::start(setup).await?;
        let first = format!("GET /secrets/1 HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}");
        let second = "GET /secrets/2 HTTP/1.1\r\nhost: a\r\nconnection: close";
        gate.http1(format!("{first}\r\n\r\n{second}\r\n\r\n").as_bytes()).await?;
        let log = gate.envoy.wait_access_log(2).await?;
        let judged: Vec<_> = log.iter().map(|line| [&line["path"], &line["details"]]).collect();
        let expected = [["/secrets/1", "via_upstream"], ["/secrets/2", "sa_authn.missing_token"]];
        assert_eq!(judged, expected, "Envoy {version}");
        assert_eq!(gate.upstream.count(), 1);
    }
    Ok(())
}

/// Proves that `check_alive` can fail.
#[tokio::test]
async fn crashed_vm_is_detected_by_the_tests() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let module = folder.path().join("trap.wasm");
    std::fs::write(&module, TRAP)?;
    for version in versions() {
        let gate = Gate::start(EnvoySetup::new().version(&version).module(&module)).await?;
        assert_eq!(gate.envoy.vm_failures().await?, [""; 0]);
        assert_eq!(get("a").send(gate.envoy.port()).await?.status, 503);
        gate.envoy.wait_access_log(1).await?;
        let failures = gate.envoy.vm_failures().await?.join("\n");
        assert!(failures.contains("Uncaught RuntimeError: unreachable"), "{version}: {failures}");
        assert!(failures.contains("wasm_fail_stream"), "{version}: {failures}");
        poll::until("Envoy to say that it cannot reload the VM yet", async || {
            get("a").send(gate.envoy.port()).await?;
            let failures = gate.envoy.vm_failures().await?.join("\n");
            Ok(failures.contains(".vm_reload_backoff: ").then_some(()))
        })
        .await?;
        assert_eq!(gate.upstream.count(), 0);
    }
    Ok(())
}

/// A module that traps at every request:
/// `(memory (export "memory") 1)`, `(func (export "proxy_abi_version_0_2_1"))`, and `unreachable` in
/// `proxy_on_memory_allocate` and `proxy_on_request_headers`.
const TRAP: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x10\x03\x60\0\0\x60\x01\x7f\x01\x7f\x60\x03\x7f\x7f\x7f\x01\x7f\
    \x03\x04\x03\0\x01\x02\
    \x05\x03\x01\0\x01\
    \x07\x5a\x04\x06memory\x02\0\x17proxy_abi_version_0_2_1\0\0\
    \x18proxy_on_memory_allocate\0\x01\x18proxy_on_request_headers\0\x02\
    \x0a\x0c\x03\x02\0\x0b\x03\0\0\x0b\x03\0\0\x0b";
