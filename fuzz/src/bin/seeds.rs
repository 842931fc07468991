//! `seeds FOLDER`: writes a folder of seeds for each target, made from the recordings.
//!
//! They are made from tests/testdata each time, so that nothing recorded is kept twice.

use std::fs;
use std::io::Result;
use std::path::Path;

// For what the compiler's instrumentation calls.
use libfuzzer_sys as _;
use sa_authn::headers::to_map;
use sa_authn_fuzz::genuine::{DISCOVERY, FILTER, ISSUER, JWKS, TOKENS};
use sa_authn_fuzz::world::{bearer, config, discovered, inline};
use serde_json::{Map, Value, json};

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).expect("a folder to write to");
    let write = |target: &str, seeds: Vec<Vec<u8>>| {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        seeds
            .iter()
            .enumerate()
            .try_for_each(|(at, seed)| fs::write(folder.join(format!("recorded-{at:02}")), seed))
    };
    write("requests", requests())?;
    write("tokens", TOKENS.iter().map(|genuine| genuine.token.clone().into_bytes()).collect())?;
    write("tampering", (0..16).map(changes).collect())?;
    write("signed_claims", claims())?;
    write("key_sets", vec![JWKS.into(), MIXED.into()])?;
    write("discovery", vec![DISCOVERY.into()])?;
    write("token_reviews", reviews())?;
    write("configurations", configurations())
}

fn requests() -> Vec<Vec<u8>> {
    let mut maps: Vec<_> = TOKENS.iter().map(|genuine| bearer(genuine.token.as_bytes())).collect();
    let token = TOKENS[0].token.as_bytes();
    let other = [b"Bearer ".as_slice(), token, b",Basic eDp5"].concat();
    maps.push(to_map([
        (b":authority".as_slice(), b"a.example".as_slice()),
        (b":method", b"OPTIONS"),
        (b":path", b"/app/%2e%2e/app/1/x?q"),
        (b"origin", b"https://b.example"),
        (b"access-control-request-method", b"GET"),
        (b"authorization", &other),
        (b"x-client-id", token),
        (b"X_Sa.Name", b"admin"),
        (b"x-request-id", b"1"),
        (b"content-type", b"application/grpc"),
    ]));
    maps.push(to_map([(b":method".as_slice(), b"GET".as_slice()), (b":path", b"/open/x")]));
    maps
}

/// Long enough for several changes each; what they are, the fuzzer finds out.
fn changes(seed: u8) -> Vec<u8> {
    (0..200_u8).map(|at| at.wrapping_mul(31).wrapping_add(seed.wrapping_mul(17))).collect()
}

fn claims() -> Vec<Vec<u8>> {
    let payload = |token: &str| {
        use base64::Engine;
        let part = token.split('.').nth(1).expect("three parts");
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).expect("base64url")
    };
    let mut claims: Vec<_> = TOKENS.iter().map(|genuine| payload(&genuine.token)).collect();
    claims.push(
        json!({ "iss": ISSUER, "aud": FILTER, "exp": 1_u64 << 53, "nonce": "", "x": [1e3, -1, null] })
            .to_string()
            .into(),
    );
    claims
}

fn reviews() -> Vec<Vec<u8>> {
    let recorded: Map<String, Value> = serde_json::from_str(REVIEWS).expect("the recording");
    let review = |recorded: &Value| {
        json!({
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "status": recorded["status"],
        })
    };
    recorded.values().map(|recorded| review(recorded).to_string().into_bytes()).collect()
}

fn configurations() -> Vec<Vec<u8>> {
    let rules = json!({
        "rules": [
            { "name": "open", "methods": ["GET"], "paths": ["/open/*"], "allow": "anyone" },
            { "paths": ["/a/*/b"], "hosts": ["*.example"], "allow": ["demo/*", { "serviceAccount": "a/b" }] },
        ],
        "mode": "shadow",
        "limits": { "maxTokenBytes": 4096, "maxWaiting": 5, "waitTimeout": "1s" },
        "answers": { "realm": "r", "hideReason": true },
    });
    let configs = [config(inline(), json!({})), config(discovered(), rules)];
    let mut seeds: Vec<_> = configs.iter().map(|config| config.to_string().into_bytes()).collect();
    seeds.push(DEMO.into());
    seeds
}

const MIXED: &str = include_str!("../../../tests/testdata/jwks_mixed_5_keys.json");
const REVIEWS: &str = include_str!("../../../tests/testdata/tokenreview.json");
const DEMO: &str = include_str!("../../../xtask/demo/src/plugin-config.json");
