//! Valid configurations are accepted.

use super::{check_text, good, problems, put, set, without};
use envoy_test::{KeyKind, SigningKey, jwks};
use sa_authn::authz::Mode;
use sa_authn::config::{Config, Limits};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

#[test]
fn example_configuration_is_valid() {
    check_text(&good().to_string(), &[]);
}

#[test]
fn every_example_of_the_repository_parses() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for page in [
        "README.md",
        "docs/from-jwt-authn.md",
        "docs/from-request-authentication.md",
        "docs/from-kube-rbac-proxy.md",
        "docs/kubernetes-rbac.md",
    ] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let blocks: Vec<_> = text.split("\n```").filter_map(configuration).collect();
        assert_eq!(blocks.len(), 1, "{page}");
        blocks.iter().for_each(|block| check_text(block, &[]));
    }
    for file in std::fs::read_dir(root.join("filter-config")).into_iter().flatten() {
        let path = file.unwrap().path();
        let json = path.extension().is_some_and(|extension| extension == "json");
        if json && path.file_name().is_some_and(|name| name != "schema.json") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(problems(&text), [], "{}", path.display());
        }
    }
}

/// The plugin configuration in a code block: JSON, or the `pluginConfig` of a mesh.
fn configuration(block: &str) -> Option<String> {
    if let Some(yaml) = block.strip_prefix("yaml\npluginConfig:") {
        let value: Value = serde_saphyr::from_str(yaml).unwrap();
        return Some(value.to_string());
    }
    let json = block.strip_prefix("json\n")?;
    json.contains("\"issuers\"").then(|| json.to_owned())
}

#[test]
fn all_fields_except_issuers_have_defaults() {
    let config = parse(&json!({ "issuers": [{
        "issuer": "https://a",
        "audiences": ["b"],
        "keys": { "discovery": { "cluster": "c", "authority": "d" } },
    }] }));
    let (identity, _) = &config.issuers[0];
    assert_eq!((&*identity.name, identity.leeway.0), ("https://a", Duration::from_secs(60)));
    let settings = config.settings;
    assert_eq!(settings.token_sources.len(), 1);
    assert_eq!(&*settings.token_sources[0].header, "authorization");
    assert_eq!(settings.token_sources[0].prefix.as_deref(), Some("Bearer "));
    let names: Vec<_> = settings.identity.headers.iter().map(|h| &*h.name).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&"x-sa-namespace") && names.contains(&"x-sa-name"), "{names:?}");
    assert_eq!((settings.forward_token, settings.mode), (false, Mode::Enforce));
    assert_eq!(settings.limits, Limits::default());
    assert_eq!(settings.limits.max_token_bytes, 16 * 1024);
    assert_eq!(settings.limits.max_waiting, 1000);
    assert_eq!(settings.limits.wait_timeout, Duration::from_secs(5));
}

#[test]
fn values_at_the_bounds_are_accepted() {
    for (pointer, value) in [
        ("/limits/maxTokenBytes", json!(256)),
        ("/limits/maxTokenBytes", json!(1_048_576)),
        ("/limits/maxWaiting", json!(1)),
        ("/limits/maxWaiting", json!(100_000)),
        ("/limits/waitTimeout", json!("1ms")),
        ("/limits/waitTimeout", json!("60s")),
        ("/issuers/0/leeway", json!("0s")),
        ("/issuers/0/leeway", json!("10m")),
        ("/issuers/0/keys/timeout", json!("1ms")),
        ("/issuers/0/keys/timeout", json!("60s")),
        ("/issuers/0/keys/minRefetchInterval", json!("100ms")),
        ("/issuers/0/keys/minRefetchInterval", json!("10m")),
        ("/issuers/0/keys/maxStale", json!("10m")),
        ("/issuers/0/keys/maxStale", json!("8784h")),
        ("/identityHeaders", json!({})),
        ("/mode", json!("shadow")),
        ("/rules/1/paths", json!(["/", "/*", "/a/*/b", "/a/*/*", "/a:b@c", "/%20", "/..."])),
        ("/rules/1/methods", json!(["GET", "M-SEARCH", "PROPFIND"])),
        ("/rules/1/allow", json!("authenticated")),
        ("/rules/1/allow", json!(["a/*", "*/b", "a/b.c", { "issuerName": "local" }])),
        ("/rules/1/allow", json!([{ "serviceAccount": "a/b", "issuerName": "local" }])),
        ("/tokenFrom/1/prefix", json!("Token ")),
    ] {
        check_text(&set(pointer, value).to_string(), &[]);
    }
    for pointer in ["/rules", "/tokenFrom", "/identityHeaders", "/mode", "/limits", "/forwardToken"]
    {
        check_text(&without(pointer).to_string(), &[]);
    }
}

#[test]
fn static_keys_of_every_type_are_accepted() {
    let kinds = [
        KeyKind::Rsa2048,
        KeyKind::Rsa3072,
        KeyKind::Rsa4096,
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
    ];
    let keys: Vec<_> = kinds.into_iter().map(SigningKey::generate).collect();
    let all: Vec<_> = keys.iter().collect();
    check_text(&set("/issuers/0/keys", json!({ "inline": jwks(&all) })).to_string(), &[]);
    let mut pems: Vec<_> = keys.iter().map(SigningKey::pem).collect();
    pems.extend(keys.iter().filter_map(SigningKey::pkcs1_pem));
    check_text(&set("/issuers/0/keys", json!({ "pem": pems })).to_string(), &[]);
}

#[test]
fn white_space_around_a_pem_block_is_ignored() {
    let pem = SigningKey::generate(KeyKind::P256).pem();
    for roomy in [
        pem.trim().to_owned(),
        format!("\n  \n{pem}"),
        format!("{pem}\n"),
        format!("{pem}\n\n"),
        format!("{pem}  "),
        pem.replace('\n', "\r\n"),
    ] {
        check_text(&set("/issuers/0/keys", json!({ "pem": [roomy] })).to_string(), &[]);
    }
}

#[test]
fn two_issuers_may_share_an_iss_or_a_key_but_not_both() {
    let (one, two) = (SigningKey::generate(KeyKind::P256), SigningKey::generate(KeyKind::P256));
    let issuer = |name: &str, iss: &str, key: &SigningKey| {
        json!({
            "name": name, "issuer": iss, "audiences": ["a"], "keys": { "inline": jwks(&[key]) },
        })
    };
    let config = |issuers: [Value; 2]| put(without("/rules"), "/issuers", json!(issuers));
    let shared_iss = config([issuer("a", "https://x", &one), issuer("b", "https://x", &two)]);
    check_text(&shared_iss.to_string(), &[]);
    let shared_key = config([issuer("a", "https://x", &one), issuer("b", "https://y", &one)]);
    check_text(&shared_key.to_string(), &[]);
    let both = config([issuer("a", "https://x", &one), issuer("b", "https://x", &one)]);
    check_text(
        &both.to_string(),
        &[("issuers[1].keys", "issuer \"a\" has the same `iss` and the same key")],
    );
}

#[test]
fn header_names_are_case_insensitive() {
    let config = set("/tokenFrom/1/header", json!("X-Client-ID"));
    let config = parse(&put(config, "/identityHeaders", json!({ "X-SA-Pod": "pod.name" })));
    assert_eq!(&*config.settings.token_sources[1].header, "x-client-id");
    assert_eq!(&*config.settings.identity.headers[0].name, "x-sa-pod");
}

fn parse(config: &Value) -> Config {
    Config::parse(config.to_string().as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}
