//! Any bytes as a configuration: rejected with a reason, or usable for requests.

use sa_authn::config::Config;
use sa_authn::core::{Environment, NativeDriver};
use serde_json::{Value, json};

use super::Target;
use crate::genuine::TOKENS;
use crate::json::holds_the_recorded_key;
use crate::world::{bearer, config, discovered, inline, judge, proven};

/// The target.
pub const TARGET: Target = Target { name: "configurations", check, seeds };

fn check(bytes: &[u8]) {
    let config = match Config::parse(bytes) {
        Ok(config) => config,
        Err(problems) => return assert!(!problems.is_empty(), "refused without a reason"),
    };
    let mut core = NativeDriver::new(config, Environment::default());
    let finished = judge(&mut core, &bearer(TOKENS[0].token.as_bytes()));
    assert!(proven(&finished).is_none() || trusts_the_recorded_key(bytes), "{finished:?}");
}

fn trusts_the_recorded_key(config: &[u8]) -> bool {
    let config: Value = serde_json::from_slice(config).expect("the core took it for JSON");
    let issuers = config["issuers"].as_array().expect("the core found issuers");
    issuers.iter().any(|issuer| {
        let keys = &issuer["keys"];
        keys["pem"].is_array() || holds_the_recorded_key(keys["inline"].to_string().as_bytes())
    })
}

fn seeds() -> Vec<Vec<u8>> {
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

const DEMO: &str = include_str!("../../../xtask/demo/src/plugin-config.json");
