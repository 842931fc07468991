//! Any bytes as a fetched JWKS: a token passes only if the JWKS contains its key.

use sa_authn::authn::keys::KeySet;
use sa_authn::core::Event;
use serde_json::{Value, json};

use super::Target;
use crate::genuine::{DISCOVERY, JWKS, TOKENS};
use crate::json::holds_the_recorded_key;
use crate::world::{bearer, config, discovered, judge, now, ok, proven, under};

/// The target.
pub const TARGET: Target = Target { name: "key_sets", check, seeds };

fn check(bytes: &[u8]) {
    if let Ok(set) = KeySet::parse(bytes) {
        check_set(&set, bytes);
    }
    let mut core = under(&config(discovered(), json!({})));
    for body in [DISCOVERY.as_bytes(), bytes] {
        let calls = core.take_calls(now());
        let call = calls.first().expect("a call for the keys");
        core.handle(Event::CallEnded(call.id, ok(body)), now());
    }
    let finished = judge(&mut core, &bearer(TOKENS[0].token.as_bytes()));
    assert!(proven(&finished).is_none() || holds_the_recorded_key(bytes), "{finished:?}");
}

fn check_set(set: &KeySet, bytes: &[u8]) {
    let document: Value = serde_json::from_slice(bytes).expect("the core took it for JSON");
    let members = document["keys"].as_array().expect("the core took it for a list");
    assert!(members.len() <= 100 && !set.keys().is_empty());
    assert!(set.keys().len() + set.skipped().len() <= members.len());
    for key in set.keys() {
        let found = set.candidates(Some(key.kid()), key.algorithm().name());
        // Two keys can have one key ID; a third is skipped.
        assert!((1..=2).contains(&found.len()));
        assert!(found.iter().any(|found| found.fingerprint() == key.fingerprint()));
        assert!(set.candidates(None, key.algorithm().name()).is_empty());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    vec![JWKS.into(), MIXED.into()]
}

const MIXED: &str = include_str!("../../../tests/testdata/jwks_mixed_5_keys.json");
