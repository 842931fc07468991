//! Paths that an upstream may read otherwise than the rules do, with Envoy's own normalization off and on.

mod support;

use anyhow::{Result, ensure};
use envoy_test::envoy::versions;
use envoy_test::{EnvoySetup, KeyKind, SigningKey};
use serde_json::json;
use support::{Case, Gate, Outcome, api, rules};

/// Nobody asks: what passes has met the open rule.
fn nobody(name: &'static str, path: impl AsRef<[u8]>, expected: Outcome) -> Case {
    let end = b" HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    (name, [b"GET ", path.as_ref(), end].concat(), expected)
}

fn cases() -> Vec<Case> {
    let ambiguous = || Outcome::refused(400, "ambiguous_path");
    let closed = || Outcome::refused(401, "missing_token");
    let codec_error = || Outcome::envoy(400, "http1.codec_error");
    vec![
        nobody("as it is meant", "/public/1", Outcome::passes()),
        nobody("NUL", "/public/%00", ambiguous()),
        nobody("a slash", "/public/a%2fb", ambiguous()),
        nobody("a slash in capitals", "/public/..%2Fsecrets/1", ambiguous()),
        nobody("a backslash", "/public/a\\b", ambiguous()),
        nobody("a backslash that climbs", "/public/..\\secrets/1", ambiguous()),
        nobody("an escaped backslash", "/public/a%5cb", ambiguous()),
        nobody("a matrix parameter", "/public/a;b", ambiguous()),
        nobody("a matrix parameter that climbs", "/public/..;/secrets/1", ambiguous()),
        nobody("an escaped semicolon", "/public/a%3bb", ambiguous()),
        nobody("an escaped question mark", "/public/a%3fb", ambiguous()),
        nobody("an escaped fragment", "/public/a%23b", ambiguous()),
        nobody("line ends", "/public/%0d%0ax-sa-name:%20admin", ambiguous()),
        nobody("an escape that is cut off", "/public/%", ambiguous()),
        nobody("an escape that is none", "/public/%zz", ambiguous()),
        nobody("an escape that is escaped", "/public/%252e%252e/secrets/1", ambiguous()),
        nobody("dots behind an empty segment", "/public//../secrets/1", ambiguous()),
        nobody("dots", "/public/../secrets/1", closed()),
        nobody("escaped dots", "/public/%2e%2E/secrets/1", closed()),
        nobody("half-escaped dots", "/public/.%2e/secrets/1", closed()),
        nobody("dots beyond the root", "/../../secrets/1", closed()),
        nobody("dots that come back", "/secrets/../public/1", Outcome::passes()),
        nobody("escaped letters", "/%70ublic/1", Outcome::passes()),
        nobody("escaped letters of a closed path", "/%73ecrets/1", closed()),
        nobody("two slashes", "//public/1", ambiguous()),
        nobody("two slashes of a closed path", "//secrets//1", ambiguous()),
        nobody("a host for a segment", "//public/secrets/1", ambiguous()),
        nobody("the open rule's base", "/public", closed()),
        nobody("capitals", "/PUBLIC/1", closed()),
        nobody("anything in the query", "/public/1?a=/../%2f;\\%00", Outcome::passes()),
        nobody("an open path in the query", "/secrets/1?/public/1", closed()),
        nobody("1 KB of dots", "/public/".to_owned() + &"../".repeat(1000) + "secrets/1", closed()),
        nobody("50 KB of slashes", "/".repeat(50_000) + "public/1", ambiguous()),
        nobody("10,000 escapes", "/public/".to_owned() + &"%41".repeat(10_000), Outcome::passes()),
        nobody("a byte that is no text", b"/public/\xff", codec_error()),
        nobody("a letter beyond ASCII", "/public/\u{fc}", codec_error()),
    ]
}

#[tokio::test]
async fn without_envoys_normalization_no_path_is_taken_for_another() -> Result<()> {
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
async fn a_path_with_an_empty_segment_is_ambiguous() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let paths = [
        "//public/secrets/1",
        "///public/1",
        "/.//public/1",
        "/%2e//public/1",
        "/..//public/1",
        "/public/..//public/1",
        "/public/%2e%2E//public/1",
        "/public//1",
        "/public/1//",
        "/public//",
        "//",
    ];
    let ambiguous =
        |path: &&'static str| nobody(path, path, Outcome::refused(400, "ambiguous_path"));
    let mut cases: Vec<_> = paths.iter().map(ambiguous).collect();
    cases.push(nobody("one slash at the end", "/public/1/", Outcome::passes()));
    cases.push(nobody("slashes in the query", "/public/1?//a//", Outcome::passes()));
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
async fn with_envoys_normalization_the_rules_see_what_the_upstream_sees() -> Result<()> {
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
            let (_, bytes, expected) = nobody("", sent, Outcome::passes());
            assert_eq!(gate.http1(&bytes).await?, expected, "{sent} in Envoy {version}");
            assert_eq!(gate.upstream.last().unwrap().path, seen, "{sent} in Envoy {version}");
        }
        let closed = Outcome::refused(401, "missing_token");
        let ambiguous = Outcome::refused(400, "ambiguous_path");
        let cases = [
            nobody("dots", "/public/../secrets/1", closed.clone()),
            nobody("a backslash that climbs", "/public/..\\secrets/1", closed),
            nobody("a slash", "/public/..%2fsecrets/1", ambiguous.clone()),
            nobody("a backslash", "/public/..%5csecrets/1", ambiguous),
        ];
        let failures = gate.failures(&cases).await?;
        ensure!(failures.is_empty(), "Envoy {version}:\n{}", failures.join("\n"));
    }
    Ok(())
}

#[tokio::test]
async fn where_no_rule_looks_at_paths_every_path_reaches_the_upstream_as_it_came() -> Result<()> {
    let key = SigningKey::generate(KeyKind::P256);
    let mut config = rules(&key);
    config["rules"] = json!([{ "name": "all", "allow": "anyone" }]);
    for version in versions() {
        let setup = EnvoySetup::new().version(&version).plugin_config(config.clone());
        let gate = Gate::start(setup.normalize_path(false)).await?;
        for path in ["/a%2fb", "/a%00", "/a;b/../c", "/%73ecrets//x", "/a\\b"] {
            let (_, bytes, expected) = nobody("", path, Outcome::passes());
            assert_eq!(gate.http1(&bytes).await?, expected, "{path} in Envoy {version}");
            assert_eq!(gate.upstream.last().unwrap().path, path, "Envoy {version}");
        }
    }
    Ok(())
}
