//! Ambiguous paths, with Envoy's normalization off and on.

use crate::support::{Case, Gate, Outcome, api, rules};
use anyhow::{Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::{EnvoySetup, KeyKind, SigningKey};
use serde_json::json;

/// A request without a token: a request that passes has matched the open rule.
fn anonymous(name: &'static str, path: impl AsRef<[u8]>, expected: Outcome) -> Case {
    let end = b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    (name, [b"GET ", path.as_ref(), end].concat(), expected)
}

fn cases() -> Vec<Case> {
    let ambiguous = || Outcome::refused(400, "ambiguous_path");
    let closed = || Outcome::refused(401, "missing_token");
    let codec_error = || Outcome::envoy(400, "http1.codec_error");
    vec![
        anonymous("as it is meant", "/public/1", Outcome::passes()),
        anonymous("NUL", "/public/%00", ambiguous()),
        anonymous("a slash", "/public/a%2fb", ambiguous()),
        anonymous("a slash in capitals", "/public/..%2Fsecrets/1", ambiguous()),
        anonymous("a backslash", "/public/a\\b", ambiguous()),
        anonymous("a backslash that climbs", "/public/..\\secrets/1", ambiguous()),
        anonymous("an escaped backslash", "/public/a%5cb", ambiguous()),
        anonymous("a matrix parameter", "/public/a;b", ambiguous()),
        anonymous("a matrix parameter that climbs", "/public/..;/secrets/1", ambiguous()),
        anonymous("an escaped semicolon", "/public/a%3bb", ambiguous()),
        anonymous("an escaped question mark", "/public/a%3fb", ambiguous()),
        anonymous("an escaped fragment", "/public/a%23b", ambiguous()),
        anonymous("line ends", "/public/%0d%0ax-sa-name:%20admin", ambiguous()),
        anonymous("an escape that is cut off", "/public/%", ambiguous()),
        anonymous("an escape that is none", "/public/%zz", ambiguous()),
        anonymous("an escape that is escaped", "/public/%252e%252e/secrets/1", ambiguous()),
        anonymous("dots after an empty segment", "/public//../secrets/1", ambiguous()),
        anonymous("dots", "/public/../secrets/1", ambiguous()),
        anonymous("escaped dots", "/public/%2e%2E/secrets/1", ambiguous()),
        anonymous("half-escaped dots", "/public/.%2e/secrets/1", ambiguous()),
        anonymous("dots beyond the root", "/../../secrets/1", ambiguous()),
        anonymous("dots that come back", "/secrets/../public/1", ambiguous()),
        anonymous("a dot", "/public/./1", ambiguous()),
        anonymous("three dots", "/public/.../1", Outcome::passes()),
        anonymous("escaped letters", "/%70ublic/1", Outcome::passes()),
        anonymous("escaped letters of a closed path", "/%73ecrets/1", closed()),
        anonymous("two slashes", "//public/1", ambiguous()),
        anonymous("two slashes of a closed path", "//secrets//1", ambiguous()),
        anonymous("a host as the first segment", "//public/secrets/1", ambiguous()),
        anonymous("the open rule's base", "/public", closed()),
        anonymous("capitals", "/PUBLIC/1", closed()),
        anonymous("anything in the query", "/public/1?a=/../%2f;\\%00", Outcome::passes()),
        anonymous("an open path in the query", "/secrets/1?/public/1", closed()),
        anonymous(
            "1 KB of dots",
            "/public/".to_owned() + &"../".repeat(1000) + "secrets/1",
            ambiguous(),
        ),
        anonymous("50 KB of slashes", "/".repeat(50_000) + "public/1", ambiguous()),
        anonymous(
            "10,000 escapes",
            "/public/".to_owned() + &"%41".repeat(10_000),
            Outcome::passes(),
        ),
        anonymous("a byte that is no text", b"/public/\xff", codec_error()),
        anonymous("a letter beyond ASCII", "/public/\u{fc}", codec_error()),
    ]
}

#[tokio::test]
async fn paths_are_matched_correctly_without_envoys_normalization() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(rules(&key));
        let gate = Gate::start(setup.normalize_path(false)).await?;
        let failures = gate.failures(&cases()).await?;
        ensure!(failures.is_empty(), "Envoy {version}:\n{}", failures.join("\n"));
        gate.check_alive(&api().sign(&key)).await?;
    }
    Ok(())
}

/// `GET //public/secrets/1`: the rule for `/public/*` is open, and an upstream that resolves `//public` as an authority
/// (Node's `new URL(req.url, base)`) serves `/secrets/1`.
#[tokio::test]
async fn path_with_an_empty_segment_is_ambiguous() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let paths =
        ["//public/secrets/1", "///public/1", "/public//1", "/public/1//", "/public//", "//"];
    let ambiguous =
        |path: &&'static str| anonymous(path, path, Outcome::refused(400, "ambiguous_path"));
    let mut cases: Vec<_> = paths.iter().map(ambiguous).collect();
    cases.push(anonymous("one slash at the end", "/public/1/", Outcome::passes()));
    cases.push(anonymous("slashes in the query", "/public/1?//a//", Outcome::passes()));
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(rules(&key));
        let gate = Gate::start(setup.normalize_path(false)).await?;
        let failures = gate.failures(&cases).await?;
        ensure!(failures.is_empty(), "Envoy {version}:\n{}", failures.join("\n"));
        gate.check_alive(&api().sign(&key)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn rules_and_upstream_see_the_same_path_with_envoys_normalization() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(rules(&key));
        let gate = Gate::start(setup).await?;
        for (sent, seen) in [
            ("/secrets/../public/1", "/public/1"),
            ("//public///1", "/public/1"),
            ("/%70ublic/./1", "/public/1"),
            ("/public/a\\b", "/public/a/b"),
            ("/public//../secrets/1", "/public/secrets/1"),
        ] {
            let (_, bytes, expected) = anonymous("", sent, Outcome::passes());
            assert_eq!(gate.http1(&bytes).await?, expected, "{sent} in Envoy {version}");
            assert_eq!(gate.upstream.last().unwrap().path, seen, "{sent} in Envoy {version}");
        }
        let closed = Outcome::refused(401, "missing_token");
        let ambiguous = Outcome::refused(400, "ambiguous_path");
        let cases = [
            anonymous("dots", "/public/../secrets/1", closed.clone()),
            anonymous("a backslash that climbs", "/public/..\\secrets/1", closed),
            anonymous("a slash", "/public/..%2fsecrets/1", ambiguous.clone()),
            anonymous("a backslash", "/public/..%5csecrets/1", ambiguous),
        ];
        let failures = gate.failures(&cases).await?;
        ensure!(failures.is_empty(), "Envoy {version}:\n{}", failures.join("\n"));
    }
    Ok(())
}

#[tokio::test]
async fn paths_are_forwarded_unchanged_if_no_rule_has_paths() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let mut config = rules(&key);
    config["rules"] = json!([{ "name": "all", "allow": "anyone" }]);
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(config.clone());
        let gate = Gate::start(setup.normalize_path(false)).await?;
        for path in ["/a%2fb", "/a%00", "/a;b/../c", "/%73ecrets//x", "/a\\b"] {
            let (_, bytes, expected) = anonymous("", path, Outcome::passes());
            assert_eq!(gate.http1(&bytes).await?, expected, "{path} in Envoy {version}");
            assert_eq!(gate.upstream.last().unwrap().path, path, "Envoy {version}");
        }
    }
    Ok(())
}
