//! Any bytes as a configuration: rejected with a reason, or usable for requests.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sa_authn::config::Config;
use sa_authn::core::{Environment, NativeDriver};
use sa_authn_fuzz::genuine::TOKENS;
use sa_authn_fuzz::json::holds_the_recorded_key;
use sa_authn_fuzz::world::{bearer, judge, proven};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    let config = match Config::parse(bytes) {
        Ok(config) => config,
        Err(problems) => return assert!(!problems.is_empty(), "refused without a reason"),
    };
    let mut core = NativeDriver::new(config, Environment::default());
    let finished = judge(&mut core, &bearer(TOKENS[0].token.as_bytes()));
    assert!(proven(&finished).is_none() || trusts_the_recorded_key(bytes), "{finished:?}");
});

fn trusts_the_recorded_key(config: &[u8]) -> bool {
    let config: Value = serde_json::from_slice(config).expect("the core took it for JSON");
    let issuers = config["issuers"].as_array().expect("the core found issuers");
    issuers.iter().any(|issuer| {
        let keys = &issuer["keys"];
        keys["pem"].is_array() || holds_the_recorded_key(keys["inline"].to_string().as_bytes())
    })
}
